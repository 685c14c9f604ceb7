"""The feed's own rules, with clocks that the test holds: who is told what, what is left out, and what never is."""

import contextlib
import json
import re
import time
import typing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencram.errors import InputError
from opencram.serve import feed as feed_module
from opencram.serve import messages, webprocess
from opencram.serve.access.audit import Line
from opencram.serve.access.gate import Gate
from opencram.serve.api import app_of
from opencram.serve.door import check_door, listener
from opencram.serve.feed import HISTORY, MAX_WAITING, SLOW_S, Client, Feed
from opencram.serve.link import LENGTH, MAX_FRAME_BYTES, Act, Drill, Frames, LinkError, Told, ToPipeline, ToWeb, frame
from web_stub import hello, picture, warning

REFERENCE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "http-api.md"


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_000.0

    def feed(self) -> Feed:
        return Feed(hello(), lambda: self.now_s)


def told(seq: int, zone: str = "base", state: str = "alert") -> Told:
    return Told(seq=seq, warning=warning(zone, state))


def step(seq: int, phase: str, zones: tuple[str, ...] = ("base",)) -> Drill:
    return Drill(seq=seq, drill="d", zones=zones, phase=phase, time_ns=0, starts_ns=0, ends_ns=0)  # type: ignore[arg-type]


def texts(client: Client, now_s: float = 0.0) -> list[dict[str, Any]]:
    found = []
    while (text := client.take(now_s)) is not None:
        found.append(json.loads(text))
    return found


# ---- the feed -------------------------------------------------------------------------------------------------------


def test_words_go_before_pictures_and_only_the_newest_picture_is_kept() -> None:
    clock = Clock()
    feed, client = clock.feed(), Client(None)
    with feed.looking(client, "", 0):
        for now_ns in (1, 2, 3):
            feed.hear(picture())
            feed.hear(picture(notes=(str(now_ns),)))
            feed.show(beat=False)
        feed.hear(told(1))
        got = texts(client)
    assert [m["type"] for m in got] == ["state", "warning", "picture"]
    assert got[2]["notes"] == ["3"]
    assert feed.counts["pictures left out"] == 2


def test_a_client_with_too_many_words_waiting_is_dropped_and_none_is_left_out() -> None:
    clock, dropped = Clock(), []
    feed, slow, quick = clock.feed(), Client(None, lambda: dropped.append("slow")), Client(None)
    with feed.looking(slow, "", 0), feed.looking(quick, "", 0):
        feed.next_for(slow)  # its state is on the way, and stays there
        for seq in range(1, MAX_WAITING + 2):
            assert dropped == []
            feed.hear(told(seq))
            texts(quick)
            feed.drop_slow()
        assert dropped == ["slow"]
        assert feed.clients == [quick]
        feed.hear(told(MAX_WAITING + 2))
        assert [m["seq"] for m in texts(quick)] == [MAX_WAITING + 2]
    assert feed.counts["too slow, disconnected"] == 1


def test_a_client_that_takes_nothing_while_a_word_waits_is_dropped() -> None:
    clock, dropped = Clock(), []
    feed, slow = clock.feed(), Client("base", lambda: dropped.append("slow"))
    with feed.looking(slow, "", 0):
        feed.next_for(slow)
        clock.now_s += 2 * SLOW_S
        feed.drop_slow()
        assert dropped == [], "no word waits"
        feed.hear(told(1))
        feed.drop_slow()
    assert dropped == ["slow"]


def test_words_that_wait_for_us_drop_nobody() -> None:
    clock, dropped = Clock(), []
    feed, client = clock.feed(), Client("base", lambda: dropped.append("slow"))
    with feed.looking(client, "", 0):
        texts(client)
        for seq in range(1, 2 * MAX_WAITING):
            feed.hear(told(seq))
        clock.now_s += 2 * SLOW_S
        feed.drop_slow()
    assert dropped == []


def test_who_missed_more_than_is_kept_is_told_of_the_gap() -> None:
    feed = Clock().feed()
    for seq in range(1, HISTORY + 11):
        feed.hear(told(seq, state="update"))
    state = feed.state(None, "r1", after=10)
    assert (len(state.missed), state.missed[0].seq, state.gap) == (HISTORY, 11, False)
    assert feed.state(None, "r1", after=9).gap
    assert not feed.state(None, "", 0).gap


def test_a_drill_is_shown_while_it_runs_and_leaves_the_zone_as_it_is() -> None:
    feed, client = Clock().feed(), Client("base")
    feed.hear(told(1))
    feed.hear(step(2, "notice"))
    feed.hear(step(3, "sounding"))
    state = feed.state(client.zone)
    assert ([d.seq for d in state.drills], state.zones[0].state) == ([3], "alert")
    assert feed.state("camp").drills == ()
    for phase in ("over", "stopped"):
        feed.hear(step(4, "sounding"))
        feed.hear(step(5, phase))
        assert feed.state(client.zone).drills == ()


@pytest.mark.parametrize(
    ("word", "level"),
    [("pre-alert", "pre-alert"), ("alert", "alert"), ("update", "alert"), ("cancel", "quiet"), ("all-clear", "quiet")],
)
def test_a_zones_level_follows_from_the_last_word(word: str, level: str) -> None:
    feed = Clock().feed()
    feed.hear(told(1, state="alert"))
    feed.hear(told(2, state=word))
    assert [z.state for z in feed.state(None).zones] == [level, "quiet", "quiet"]


def test_a_full_house_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "MAX_CLIENTS", 1)
    feed = Clock().feed()
    assert not feed.full
    with feed.looking(Client(None), "", 0):
        assert feed.full


def test_silence_of_the_pipeline_is_a_stall() -> None:
    clock = Clock()
    feed = clock.feed()
    feed.hear(picture())
    clock.now_s += 2.0
    assert not feed.stalled
    clock.now_s += 0.1
    assert (feed.stalled, feed.health().status) == (True, "stalled")


def test_the_time_that_phones_count_down_by_is_the_services_and_no_wall_clock_steps_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    feed = clock.feed()
    shown = picture()
    feed.hear(shown)
    monkeypatch.setattr(time, "time_ns", lambda: shown.now_ns - 3_600_000_000_000)  # the machine's is set by an hour
    clock.now_s += 1.5
    assert feed.now_ns() == shown.now_ns + 1_500_000_000
    assert feed.state(None).now_ms == feed.now_ns() // 1_000_000
    looking = Client(None)
    with feed.looking(looking, "", 0):
        feed.show(beat=True)
        assert texts(looking)[-1]["now_ms"] == feed.now_ns() // 1_000_000


# ---- the link -------------------------------------------------------------------------------------------------------

ACT = Act(act="a", kind="alarm", targets=("base",), by="operator", time_ns=1)


@given(st.lists(st.integers(1, 9), max_size=40))
def test_frames_come_whole_however_the_stream_is_cut(cuts: list[int]) -> None:
    stream, frames, got = frame(hello()) + frame(told(1)) + frame(picture()), Frames(ToWeb), []
    for length in cuts:
        got += list(frames.feed(stream[:length]))
        stream = stream[length:]
    got += list(frames.feed(stream))
    assert [type(m).__name__ for m in got] == ["Hello", "Told", "Picture"]


@pytest.mark.parametrize(
    "data",
    [
        LENGTH.pack(MAX_FRAME_BYTES + 1),
        LENGTH.pack(3) + b"abc",
        frame(told(1)),
        LENGTH.pack(0),
    ],
)
def test_what_is_not_of_the_protocol_ends_the_link(data: bytes) -> None:
    with pytest.raises(LinkError, match="found"):
        list(Frames(ToPipeline).feed(data))


@given(st.binary(max_size=200))
def test_random_bytes_never_do_worse(data: bytes) -> None:
    with contextlib.suppress(LinkError):
        list(Frames(ToPipeline).feed(data))


def test_an_act_survives_the_link() -> None:
    assert list(Frames(ToPipeline).feed(frame(ACT))) == [ACT]


def test_a_new_web_process_gets_the_last_about_each_zone_however_long_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    out = webprocess._Outbox(kept=webprocess.deque(maxlen=2))
    for seq, zone in enumerate(("base", "camp", "town", "town", "town"), start=1):
        out.seq = seq
        out.last[zone] = told(seq, zone)
        out.kept.append(out.last[zone])
    assert [t.seq for t in out.after(0)] == [1, 2, 4, 5]
    assert [t.seq for t in out.after(4)] == [5]
    assert out.after(5) == []


@pytest.mark.parametrize("address", ["127.0.0.1:0", "[::1]:0", "localhost:0", ":0", "127.9.9.9:0"])
def test_a_loopback_address_is_listened_on(address: str) -> None:
    with listener(address) as listening:
        assert listening.getsockname()[1] > 0


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("8700", "expected HOST:PORT"),
        ("127.0.0.1:http", "expected HOST:PORT"),
        ("127.0.0.1:99999", "expected HOST:PORT"),
        ("no.such.host.invalid:1", "expected HOST:PORT"),
        ("0.0.0.0:0", "an admin's account (opencram users add NAME --role admin) and TLS (--tls-cert"),
        ("[::]:0", "which others can reach"),
        ("192.0.2.1:0", "which others can reach"),
    ],
)
def test_any_other_address_is_refused(tmp_path: Path, address: str, sentence: str) -> None:
    with pytest.raises(InputError, match=r"^--http: found ") as refused:
        check_door(address, tmp_path, False)
    assert sentence in str(refused.value)


def test_a_taken_address_is_said() -> None:
    with listener("127.0.0.1:0") as first:
        address = f"127.0.0.1:{first.getsockname()[1]}"
        with pytest.raises(InputError, match=r"cannot be listened on \(Address already in use"):
            listener(address)


# ---- what is told, and its reference --------------------------------------------------------------------------------

FEED = (messages.State, messages.Warning, messages.DrillStep, messages.Frame, messages.Beat)
PARTS = (
    *(messages.Zone, messages.Track, messages.Siren, messages.Sensor, messages.Place, messages.Plan),
    *(messages.BaseMap, messages.Past, messages.Report),
)
ANSWERS = (messages.Health, messages.Endpoint, messages.Done, messages.Fault, messages.SessionSeen, Line)


def sections() -> dict[str, set[str]]:
    """Heading -> the names in the first cells of the tables below it."""
    found: dict[str, set[str]] = {}
    heading = ""
    for line in REFERENCE.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        elif line.startswith("| `"):
            found.setdefault(heading, set()).update(re.findall(r"`([^`]+)`", line.split("|")[1]))
    return found


@pytest.mark.parametrize("kind", [*FEED, *PARTS, *ANSWERS], ids=lambda kind: kind.__name__)
def test_every_field_of_a_message_has_its_entry(kind: type[msgspec.Struct]) -> None:
    tag = kind.__struct_config__.tag
    heading = f"`{tag}`" if tag else kind.__name__
    entries = [rows for name, rows in sections().items() if name == heading]
    assert entries, f"docs/reference/http-api.md has no section '{heading}'"
    assert entries[0] == {f.encode_name for f in msgspec.structs.fields(kind)} | ({"type"} if tag else set())


def test_every_address_has_its_entry(tmp_path: Path) -> None:
    app = app_of(Clock().feed(), typing.cast(Any, None), Gate(tmp_path))
    documented = set(re.findall(r"^## (GET|POST|DELETE) (\S+)", REFERENCE.read_text(encoding="utf-8"), re.MULTILINE))
    described = {(method.upper(), path) for path, methods in app.openapi()["paths"].items() for method in methods}
    assert described | {("GET", "/ws"), ("GET", "/openapi.json")} == documented
