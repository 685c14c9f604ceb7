"""ASTERIX: what is read and written, beside libasterix (another's codec, made from the specifications by a machine)."""

import random
from typing import Any

import pytest
from asterix import base, generated
from hypothesis import example, given, settings
from hypothesis import strategies as st

from opencram.asterix.cat015 import CAT015
from opencram.asterix.cat034 import CAT034
from opencram.asterix.cat048 import CAT048
from opencram.asterix.cat062 import CAT062
from opencram.asterix.cat065 import CAT065
from opencram.asterix.layout import Chained, Compound, Explicit, Extended, Fault, Field, Fixed, Kind, Repeated, Single
from opencram.asterix.records import MAX_PLANS, Block, Category, Refused, block_of, blocks, records, write

ORACLES: dict[int, Any] = {
    15: generated.Cat_015_1_2,
    34: generated.Cat_034_1_29,
    48: generated.Cat_048_1_32,
    62: generated.Cat_062_1_21,
    65: generated.Cat_065_1_6,
}
CATEGORIES = {c.number: c for c in (CAT015, CAT034, CAT048, CAT062, CAT065)}


# ---- the tables beside libasterix' ------------------------------------------------------------------------------


def flat(spec: Any, name: str = "") -> list[tuple[str, int, float, bool]]:
    """An oracle's fields: name, bits, value of the last bit, whether it has a sign; spares have no name."""
    if issubclass(spec, base.Element):
        content = getattr(spec.cv_rule, "cv_content", None)
        lsb = getattr(content, "cv_lsb", 1.0)
        signed = issubclass(getattr(content, "cv_signedness", base.Unsigned), base.Signed)
        return [(name, spec.cv_bit_size, lsb, signed)]
    return [field for item, _ in spec.cv_items_list for field in of_item(item)]


def of_item(item: Any) -> list[tuple[str, int, float, bool]]:
    if issubclass(item, base.Spare):
        return [("", item.cv_bit_size, 1.0, False)]
    inner = item.cv_non_spare
    spec = inner.cv_rule.cv_variation
    if issubclass(spec, base.Element):
        return flat(spec, inner.cv_name)
    return [(f"{inner.cv_name}.{n}" if n else "", *rest) for n, *rest in flat(spec)]  # type: ignore[misc]


def ours(fields: tuple[Field, ...]) -> list[tuple[str, int, float, bool]]:
    return [(f.name, f.bits, f.lsb, f.kind == "s") for f in fields]


def assert_same_kind(kind: Kind, spec: Any, where: str) -> None:
    match kind:
        case Single(one):
            assert issubclass(spec, base.Element), where
            assert flat(spec) == [("", one.bits, one.lsb, one.kind == "s")], where
        case Fixed(fields):
            assert issubclass(spec, base.Group), where
            assert flat(spec) == ours(fields), where
        case Extended(parts):
            assert issubclass(spec, base.Extended), where
            groups = [[f for item in group if item for f in of_item(item[0])] for group in spec.cv_items_list]
            assert groups == [ours(part) for part in parts], where
        case Repeated(fields) | Chained(fields):
            assert issubclass(spec, base.Repetitive), where
            assert (spec.cv_rep_bytes is None) == isinstance(kind, Chained), where
            assert flat(spec.cv_variation, "value") == ours(fields), where
        case Explicit():
            assert issubclass(spec, base.Explicit), where
        case Compound(parts):
            assert issubclass(spec, base.Compound), where
            assert len(parts) == len(spec.cv_items_list), where
            for part, other in zip(parts, spec.cv_items_list, strict=True):
                assert (part is None) == (other is None), where
                if part is not None:
                    assert part[0] == other.cv_name, where
                    assert_same_kind(part[1], other.cv_rule.cv_variation, f"{where}/{part[0]}")


@pytest.mark.parametrize("number", sorted(CATEGORIES))
def test_the_tables_are_those_of_the_specification(number: int) -> None:
    """Every item, field, width, sign, last bit and spare, of every category."""
    category, specs = CATEGORIES[number], ORACLES[number].cv_uap.cv_record.cv_items_list
    items = list(category.items)
    specs = list(specs)
    while len(specs) > len(items):
        assert issubclass(specs.pop(), base.UapItemSpare)
    for item, spec in zip(items, specs, strict=True):
        assert (item is None) == issubclass(spec, base.UapItemSpare)
        if item is not None:
            inner = spec.cv_non_spare
            assert item.number == inner.cv_name
            rule = inner.cv_rule
            assert_same_kind(item.kind, getattr(rule, "cv_variation", None), f"{number}/{item.number}")


# ---- records beside libasterix' ----------------------------------------------------------------------------------


def read_by_oracle(number: int, body: bytes) -> list[Any] | None:
    """The records of a block's body; None where libasterix refuses it."""
    found = ORACLES[number].cv_uap._parse(base.Bits.from_bytes(body))
    return None if isinstance(found, ValueError) else list(found)


def bits_of(thing: Any, path: str = "") -> dict[str, int]:
    """All fields of an oracle's record as unsigned numbers, by the paths that we use."""
    if isinstance(thing, base.Record):
        return {k: v for name, item in thing.items_regular.items() for k, v in bits_of(item.arg.arg, name).items()}
    if isinstance(thing, base.Element):
        return {path: thing.as_uint()}
    if isinstance(thing, base.Group):
        return {k: v for item in thing.arg for k, v in bits_of_item(item, path, "/").items()}
    if isinstance(thing, base.Extended):
        return {k: v for part in thing.arg for item in part for k, v in bits_of_item(item, path, "/").items()}
    if isinstance(thing, base.Repetitive):
        parts = [bits_of(part, f"{path}/{i}") for i, part in enumerate(thing.arg)]
        return {(f"{k}/value" if k.count("/") == path.count("/") + 1 else k): v for p in parts for k, v in p.items()}
    if isinstance(thing, base.Compound):
        return {k: v for name, item in thing.arg.items() for k, v in bits_of(item.arg.arg, f"{path}/{name}").items()}
    assert isinstance(thing, base.Explicit)
    content = thing.get_bytes()
    return {f"{path}/content": int.from_bytes(content)}


def bits_of_item(item: Any, path: str, joint: str) -> dict[str, int]:
    if item is None or isinstance(item, base.Spare):
        return {}
    inner = item.arg
    name = f"{path}{joint}{inner.cv_name}"
    thing = inner.arg.arg if hasattr(inner.arg, "arg") else inner.arg
    if isinstance(thing, base.Group):
        return {k: v for part in thing.arg for k, v in bits_of_item(part, name, ".").items()}
    return {name: inner.as_uint()}


def spares_of(thing: Any) -> int:
    """All spare bits of an oracle's record, ored."""
    if isinstance(thing, base.Spare):
        return thing.as_uint()
    parts = getattr(thing, "items_regular", None) or getattr(thing, "arg", None)
    if isinstance(parts, dict):
        parts = list(parts.values())
    if isinstance(parts, list):
        found = 0
        for part in parts:
            found |= spares_of(part)
        return found
    return spares_of(parts) if parts is not None and not isinstance(parts, int) else 0


def raw(category: Category, data: bytes, block: Block) -> list[dict[str, int]]:
    return [
        {path: number >> slot.shift & slot.ones for path, slot in plan.slots.items()}
        for plan, number in records(category, data, block)
    ]


STRICTER = ("spare bits are set", "says that nothing", "presence bits are set", "states a length", "has more than")
"""What libasterix lets pass."""


def read_by_us(category: Category, data: bytes, block: Block) -> tuple[list[dict[str, int]], Fault | None]:
    try:
        return raw(category, data, block), None
    except Fault as fault:
        return [], fault


def compare(number: int, body: bytes) -> bool:
    """Whether a body is one of records; both codecs must say the same of it."""
    data = bytes([number]) + (3 + len(body)).to_bytes(2) + body
    (block,) = blocks(data)
    assert isinstance(block, Block)
    theirs = read_by_oracle(number, body)
    mine, fault = read_by_us(CATEGORIES[number], data, block)
    if fault is not None:
        assert theirs is None or fault.what.startswith(STRICTER), (fault.item, fault.what)
        return False
    assert theirs is not None
    assert [bits_of(record) for record in theirs] == mine
    assert not any(spares_of(record) for record in theirs)
    return True


@st.composite
def bodies(draw: st.DrawFn, number: int) -> bytes:
    """Records of random items of a category with random content, most of them right."""
    rng = random.Random(draw(st.integers(0, 2**32)))
    category = CATEGORIES[number]
    body = b""
    for _ in range(draw(st.integers(1, 3))):
        share = rng.random()
        body += some([(i.number, i.kind) if i else None for i in category.items], rng, share)
    if draw(st.integers(0, 3)) == 0 and body:
        at = rng.randrange(len(body))
        body = body[:at] + bytes([body[at] ^ 1 << rng.randrange(8)]) + body[at + 1 :]
    return body[: rng.randrange(1, len(body) + 1)] if draw(st.integers(0, 3)) == 0 else body


def some(parts: Any, rng: random.Random, share: float) -> bytes:
    chosen = [part is not None and rng.random() < share for part in parts]
    if not any(chosen):
        chosen[next(i for i, part in enumerate(parts) if part is not None)] = True
    last = max(i for i, is_in in enumerate(chosen) if is_in) // 7
    chosen += [False] * (-len(chosen) % 7)
    presence = [sum(0x80 >> k for k in range(7) if chosen[7 * i + k]) for i in range(last + 1)]
    octets = bytes(octet | (i < last) for i, octet in enumerate(presence))
    return octets + b"".join(filled(part[1], rng, share) for part, is_in in zip(parts, chosen, strict=False) if is_in)


def filled(kind: Kind, rng: random.Random, share: float) -> bytes:
    match kind:
        case Single(one):
            return rng.randbytes(one.bits // 8)
        case Fixed(fields):
            return number_of(fields, rng).to_bytes(kind.octets)
        case Extended(parts):
            length = rng.randrange(1, len(parts) + 1)
            sizes = [(sum(f.bits for f in part) + 1) // 8 for part in parts]
            numbers = [number_of(part, rng) << 1 | (i < length - 1) for i, part in enumerate(parts[:length])]
            return b"".join(n.to_bytes(size) for n, size in zip(numbers, sizes, strict=False))
        case Repeated(fields):
            count = rng.randrange(0, 4)
            size = sum(f.bits for f in fields) // 8
            return bytes([count]) + b"".join(number_of(fields, rng).to_bytes(size) for _ in range(count))
        case Chained(fields):
            count = rng.randrange(1, 4)
            size = (sum(f.bits for f in fields) + 1) // 8
            return b"".join((number_of(fields, rng) << 1 | (i < count - 1)).to_bytes(size) for i in range(count))
        case Compound(parts):
            return some(parts, rng, share)
    length = rng.randrange(2, 8)
    return bytes([length]) + rng.randbytes(length - 1)


def number_of(fields: tuple[Field, ...], rng: random.Random) -> int:
    number = 0
    for one in fields:
        number = number << one.bits | (rng.getrandbits(one.bits) if one.name else 0)
    return number


@pytest.mark.parametrize("number", sorted(CATEGORIES))
def test_records_are_read_as_libasterix_reads_them(number: int) -> None:
    """Random records, whole, cut and with a flipped bit: both read the same fields, or both refuse."""
    seen = []

    @settings(max_examples=150, deadline=None, derandomize=True)
    @given(bodies(number))
    def check(body: bytes) -> None:
        seen.append(compare(number, body))

    check()
    assert sum(seen) > 50
    assert not all(seen)


@pytest.mark.parametrize("number", sorted(CATEGORIES))
def test_noise_is_refused_where_libasterix_refuses_it(number: int) -> None:
    @settings(max_examples=200, deadline=None, derandomize=True)
    @given(st.binary(min_size=1, max_size=60))
    def check(body: bytes) -> None:
        compare(number, body)

    check()


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
@example(b"\x0f\x00\x03")
@example(b"\x0f\x00\x02\x00")
@example(b"\x30\xff\xff\x00")
def test_blocks_cover_what_they_are_cut_from(data: bytes) -> None:
    """Blocks follow each other without a gap, up to the end or to the first that has a false length."""
    at = 0
    for block in blocks(data):
        assert block.at == at
        if isinstance(block, Refused):
            return
        assert block.end - block.at == int.from_bytes(data[at + 1 : at + 3]) > 3
        at = block.end
    assert at == len(data)


def test_what_noise_makes_up_is_not_kept_for_ever() -> None:
    rng = random.Random(1)
    for _ in range(3 * MAX_PLANS):
        body = some([(i.number, i.kind) if i else None for i in CAT062.items], rng, 0.5)
        data = block_of(CAT062, [body])
        (block,) = blocks(data)
        assert isinstance(block, Block)
        records(CAT062, data, block)
        assert sum(map(len, CAT062.plans.values())) <= MAX_PLANS


def test_what_is_written_is_read_by_libasterix() -> None:
    record = {"010/SAC": 1, "010/SIC": 2, "000/MT": 1, "020/TTAX": 3, "145": 100.0, "625/R": 6790.0, "625/RR": -312.5}
    record |= {"626/DV": -312.53, "627/AZ": 88.857421875, "628/EL": -0.5, "630/RPS": -3.0}
    written = write(CAT015, record)
    (theirs,) = read_by_oracle(15, written) or [None]
    quantity = {path: value for path, value in bits_of(theirs).items() if path in record}
    assert quantity == {
        **{"010/SAC": 1, "010/SIC": 2, "000/MT": 1, "020/TTAX": 3, "145": 12_800, "625/R": 67_900},
        **{"625/RR": 2**24 - 3125, "626/DV": 2**24 - 31_253, "627/AZ": 16_176, "628/EL": 2**16 - 182, "630/RPS": 253},
    }


@pytest.mark.parametrize(
    ("record", "found"),
    [
        ({"010/SAC": 256}, "SAC: found 256, expected what fits into 8 bits"),
        ({"628/EL": 180.0}, "EL: found 180, expected what fits into 16 bits"),
        ({"625/XY": 1}, "found 625/XY, expected fields of category 015"),
        ({"300/0/CLS": 1}, "found a repetition"),
    ],
)
def test_what_cannot_be_written_is_told(record: dict[str, float], found: str) -> None:
    with pytest.raises(ValueError, match=found):
        write(CAT015, record)
