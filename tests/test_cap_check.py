"""`opencram check` on CAP messages: every change of a whole message is judged as the OASIS schema judges it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import pytest
from lxml import etree

from made_up_run import WARNINGS, write_site
from opencram.check import check_file
from opencram.errors import InputError
from opencram.outputs.cap import Provenance, Source, cap_messages
from opencram.outputs.cap_check import check_cap

NS = "urn:oasis:names:tc:emergency:cap:1.2"
WHOLE = f"""<?xml version="1.0" encoding="UTF-8"?>
<alert xmlns="{NS}">
 <identifier>made.up.1</identifier><sender>opencram.made-up</sender><sent>2020-11-17T17:30:05-00:00</sent>
 <status>Exercise</status><msgType>Update</msgType><source>s</source><scope>Restricted</scope>
 <restriction>r</restriction><addresses>a</addresses><code>c</code><code>d</code><note>n</note>
 <references>opencram.made-up,made.up.0,2020-11-17T17:30:00-00:00</references><incidents>i</incidents>
 <info>
  <language>en-GB</language><category>Security</category><category>Safety</category><event>e</event>
  <responseType>Shelter</responseType><urgency>Immediate</urgency><severity>Extreme</severity>
  <certainty>Likely</certainty><audience>a</audience>
  <eventCode><valueName>n</valueName><value>v</value></eventCode>
  <effective>2020-11-17T17:30:05-00:00</effective><onset>2020-11-17T17:30:20-00:00</onset>
  <expires>2020-11-17T17:31:05-00:00</expires><senderName>s</senderName><headline>h</headline>
  <description>d</description><instruction>i</instruction><web>https://example.org/</web><contact>c</contact>
  <parameter><valueName>n</valueName><value>v</value></parameter>
  <resource><resourceDesc>d</resourceDesc><mimeType>text/plain</mimeType><size>7</size><uri>u</uri>
   <derefUri>x</derefUri><digest>d</digest></resource>
  <area><areaDesc>a</areaDesc>
   <polygon>33.0,44.0 33.0,44.1 33.1,44.1 33.0,44.0</polygon><circle>33.0,44.0 1.5</circle>
   <geocode><valueName>n</valueName><value>v</value></geocode><altitude>10</altitude><ceiling>20.5</ceiling></area>
 </info>
</alert>
"""
NOT_IN_THE_SCHEMA = (
    *("without spaces", "expected points", "a radius in km", "sender,identifier,sent", "refers to"),
    *("where the scope is", "at least 4", "before it was sent"),
)
"""Words of the sentences for what only the standard's text forbids."""


@pytest.fixture(scope="module")
def schema() -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(Path(__file__).parent / "data" / "CAP-v1.2-schema.xsd"))


def whole() -> etree._Element:
    return etree.fromstring(WHOLE.encode(), etree.XMLParser(remove_blank_text=True))


def changes() -> Iterator[tuple[str, etree._Element]]:
    """Every element of the whole message left out, doubled, moved, renamed, filled otherwise, or given a child."""
    for i, element in enumerate(whole().iter()):
        name = f"{i} {etree.QName(element).localname}"
        for change in ("out", "double", "later", "rename", "foreign", "child", *TEXTS):
            root = whole()
            if _changed(list(root.iter())[i], change):
                yield f"{name}: {change!r}", root


TIMES = ("2020-11-17T17:30:05Z", "2020-11-17T17:30:05.5+00:00", "2020-13-17T17:30:05-00:00")
TEXTS = ("", " ", "x", "-1", "1.5", "a b", "Shelter", "Actual", "x y,z", *TIMES)


def _changed(element: etree._Element, change: str) -> bool:
    parent = element.getparent()
    if change in TEXTS:
        if len(element):
            return False
        element.text = change
    elif change == "child":
        etree.SubElement(element, f"{{{NS}}}event").text = "e"
    elif parent is None:
        return False
    elif change == "out":
        parent.remove(element)
    elif change == "double":
        element.addnext(copy.deepcopy(element))
    elif change == "later":
        if element.getnext() is None:
            return False
        element.getnext().addnext(element)
    else:
        element.tag = f"{{{NS}}}unheard-of" if change == "rename" else "{urn:x}" + etree.QName(element).localname
    return True


def refusal(root: etree._Element) -> str:
    try:
        check_cap(etree.tostring(root), "file.xml")
    except InputError as error:
        return str(error)
    return ""


def test_the_whole_message_is_good(schema: etree.XMLSchema) -> None:
    schema.assertValid(whole())
    assert refusal(whole()) == ""


def test_each_change_is_judged_as_the_schema_judges_it(schema: etree.XMLSchema) -> None:
    judged = {True: 0, False: 0}
    for name, root in changes():
        good, said = schema.validate(root), refusal(root)
        judged[good] += 1
        if good:
            assert said == "" or any(words in said for words in NOT_IN_THE_SCHEMA), (name, said)
        else:
            assert said, (name, schema.error_log.last_error.message)
        if said:
            assert said.startswith("file.xml: alert"), said
            assert said.count("\n") == 0
            assert ": found " in said
            assert ", expected " in said
    assert min(judged.values()) > 100


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("33.0,44.0 33.0,44.1 33.1,44.1 33.0,44.0", "33.0,44.0 33.1,44.1 33.0,44.1 33.1,44.0 33.0,44.0", "crossing"),
        ("33.0,44.0 33.0,44.1 33.1,44.1 33.0,44.0", "999,999 1,1 2,1 999,999", "found the point 999"),
        ("33.0,44.0 33.0,44.1 33.1,44.1 33.0,44.0", "33.0,44.0 33.0,44.1 33.1,44.1 33.0,44.2", "found it open"),
        ("33.0,44.0 1.5", "33.0,44.0 1500", "found a radius of 1500 km"),
        ("<expires>2020-11-17T17:31:05", "<expires>2020-11-17T17:29:05", "which is before it was sent"),
        ("<references>opencram.made-up,made.up.0,2020-11-17T17:30:00-00:00</references>", "", "found none"),
    ],
)
def test_what_the_schema_lets_pass_is_refused(schema: etree.XMLSchema, old: str, new: str, words: str) -> None:
    root = etree.fromstring(WHOLE.replace(old, new).encode())
    schema.assertValid(root)
    assert words in refusal(root)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<alert/>", "found <alert>, expected an alert of CAP 1.2"),
        (b"<alert", "not XML"),
        (b"\xff\xfe\x00", "not XML"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><alert>&a;</alert>', "no entities"),
        (WHOLE.replace("cap:1.2", "cap:1.1").encode(), "expected an alert of CAP 1.2"),
    ],
)
def test_what_is_no_cap_is_refused_in_one_sentence(data: bytes, words: str) -> None:
    with pytest.raises(InputError, match=words) as told:
        check_cap(data, "file.xml")
    assert "\n" not in str(told.value)


def test_a_signed_message_is_good(schema: etree.XMLSchema) -> None:
    root = whole()
    etree.SubElement(root, "{http://www.w3.org/2000/09/xmldsig#}Signature").text = "not looked at"
    schema.assertValid(root)
    assert refusal(root) == ""


def test_our_own_messages_pass_and_the_command_says_what_they_are(tmp_path: Path) -> None:
    site = write_site(tmp_path)
    for message in cap_messages(WARNINGS, site, Source("opencram.made-up", "x", Provenance.REPLAY)):
        check_cap(message, "x")
    (tmp_path / "a.xml").write_bytes(message)
    assert check_file(tmp_path / "a.xml") == "a CAP 1.2 message, Update, Test"
