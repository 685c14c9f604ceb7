"""The web process as it runs: uvicorn on the loopback, real clients, and a stub at the other end of the link."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from opencram.serve import webprocess
from opencram.serve.link import SensorSeen, SirenSeen, Source, TrackSeen
from opencram.serve.page_routes import STATIC
from web_stub import ZONES, Stub, picture, serving, warning

Answer = tuple[int, dict[str, Any]]


@pytest.fixture(scope="module")
def stub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stub]:
    with serving(tmp_path_factory.mktemp("secrets")) as running:
        yield running


def get(stub: Stub, path: str, **headers: str) -> Answer:
    return request(stub, "GET", path, None, headers)


def post(stub: Stub, act: str, body: object, **headers: str) -> Answer:
    """An act with the right token, unless the headers say otherwise."""
    given = {"Authorization": f"Bearer {stub.token}", "Content-Type": "application/json", **headers}
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return request(stub, "POST", f"/api/{act}", data, {k: v for k, v in given.items() if v})


def request(stub: Stub, method: str, path: str, body: Any, headers: dict[str, str]) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", stub.port, timeout=10)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


@contextlib.contextmanager
def feed(stub: Stub, query: str = "", **more: Any) -> Iterator[ClientConnection]:
    with connect(f"ws://127.0.0.1:{stub.port}/ws{query}", max_size=None, **more) as client:
        yield client


def heard(client: ClientConnection, kind: str, within_s: float = 15.0) -> dict[str, Any]:
    """The next message of a kind; the state, pictures and beats on the way to it are let go."""
    until = time.monotonic() + within_s
    while (left_s := until - time.monotonic()) > 0:
        message = json.loads(client.recv(timeout=left_s))
        if message["type"] == kind:
            return message
        assert message["type"] in ("state", "picture", "beat"), message
    raise TimeoutError(kind)


def is_cut_off(client: ClientConnection, within_s: float = 15.0) -> None:
    """It hears no more, because the connection has ended."""
    until = time.monotonic() + within_s
    with contextlib.suppress(ConnectionClosed):
        while time.monotonic() < until:
            client.recv(timeout=within_s)
        pytest.fail("it still hears")


def eventually(true: Any, within_s: float = 15.0) -> None:
    until = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < until, "it never came true"
        time.sleep(0.02)


def refusals(stub: Stub) -> dict[str, int]:
    return dict(get(stub, "/healthz")[1]["web_counts"])


# ---- what anybody may see -------------------------------------------------------------------------------------------


def test_health_is_good_while_the_pipeline_draws(stub: Stub) -> None:
    eventually(lambda: get(stub, "/healthz")[1]["sirens"])
    status, body = get(stub, "/healthz")
    assert (status, body["status"], body["provenance"]) == (200, "ok", "simulation")
    assert [s["id"] for s in body["sirens"]] == ["roof"]
    assert body["frame_age_s"] < 2.0


@pytest.mark.parametrize(
    "degraded",
    [
        {"sirens": (SirenSeen(id="roof", state="silent"),)},
        {"sensors": (SensorSeen(id="radar", state="silent"),)},
        {"notes": ("plots are dropped",)},
    ],
)
def test_what_is_degraded_is_in_the_body_and_the_status_stays_good(stub: Stub, degraded: dict[str, Any]) -> None:
    stub.picture = lambda: picture(**degraded)
    try:
        eventually(lambda: get(stub, "/healthz")[1]["status"] == "degraded")
        assert get(stub, "/healthz")[0] == 200
    finally:
        stub.picture = picture
    eventually(lambda: get(stub, "/healthz")[1]["status"] == "ok")


def test_a_stalled_pipeline_is_said_after_two_seconds_to_all(stub: Stub) -> None:
    with feed(stub) as everything, feed(stub, "?zone=base") as phone:
        stub.drawing, begun_s = False, time.monotonic()
        try:
            eventually(lambda: get(stub, "/healthz")[0] == 503)
            assert time.monotonic() - begun_s > 1.0
            for client in (everything, phone):
                while not heard(client, "beat")["stalled"]:
                    pass
        finally:
            stub.drawing = True
        eventually(lambda: get(stub, "/healthz")[0] == 200)
        while heard(phone, "beat")["stalled"]:
            pass


def test_sirens_are_told_where_to_report(stub: Stub) -> None:
    assert get(stub, "/siren-endpoint") == (200, {"url": "ws://127.0.0.1:8701/"})


def test_an_endpoint_on_every_address_is_told_as_the_one_by_which_we_were_asked(tmp_path: Path) -> None:
    with serving(tmp_path, siren_endpoint="ws://0.0.0.0:8701/sirens") as stub:
        assert get(stub, "/siren-endpoint")[1] == {"url": "ws://127.0.0.1:8701/sirens"}


def test_pages_load_nothing_from_elsewhere_and_may_not(stub: Stub) -> None:
    own = [name for name in STATIC if "/" not in name and "swagger" not in name]
    for path in ("/", "/zone/base", "/sign-in", "/docs", *(f"/static/{name}" for name in own)):
        connection = http.client.HTTPConnection("127.0.0.1", stub.port, timeout=10)
        connection.request("GET", path)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        assert answer.status == 200, path
        assert "default-src 'self'" in (answer.headers["content-security-policy"] or "")
        assert not re.search("https?://|src=.//|href=.//", text)


def test_no_page_comes_from_a_public_network(stub: Stub) -> None:
    assert get(stub, "/redoc")[0] == 404


def test_the_description_refers_to_nothing_that_it_lacks(stub: Stub) -> None:
    _, described = get(stub, "/openapi.json")
    schemas = described["components"]["schemas"]
    text = json.dumps(described)
    referred = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert referred <= set(schemas)
    assert {"Health", "State", "Warning", "DrillStep", "Frame", "Beat", "Zone", "Fault"} <= set(schemas)
    assert described["paths"]["/api/alarm"]["post"]["security"]


# ---- operators' acts ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("act", "body", "targets"),
    [
        ("alarm", {"zone": "base"}, ("base",)),
        ("all-clear", {"zone": "town"}, ("town",)),
        ("drill", {"zones": ["town", "base"], "announce_s": 5, "last_s": 2.5}, ("base", "town")),
        ("drill", {"all": True}, ZONES),
        ("self-test", {"sirens": ["roof"]}, ("roof",)),
        ("self-test", {"all": True}, ("roof",)),
    ],
)
def test_an_act_reaches_the_pipeline_and_its_answer_the_operator(
    stub: Stub, act: str, body: dict[str, Any], targets: tuple[str, ...]
) -> None:
    assert post(stub, act, body) == (200, {"sentence": f"{act} done"})
    asked = stub.acts[-1]
    assert (asked.kind, asked.targets, asked.by) == (act, targets, "operator")
    if act == "drill":
        assert (asked.announce_s, asked.last_s) == ((5.0, 2.5) if "zones" in body else (60.0, 30.0))


def test_what_the_pipeline_refuses_is_told_with_its_reason(stub: Stub) -> None:
    before, stub.answer = stub.answer, lambda act: (False, "something still endangers base")
    try:
        assert post(stub, "all-clear", {"zone": "base"}) == (409, {"error": "something still endangers base"})
    finally:
        stub.answer = before


def test_an_act_that_is_not_answered_is_not_said_to_be_done(stub: Stub) -> None:
    before, stub.answer = stub.answer, lambda act: None
    try:
        status, body = post(stub, "alarm", {"zone": "base"})
    finally:
        stub.answer = before
    assert status == 504
    assert "look whether the alarm was carried out" in body["error"]


BAD = [
    ("alarm", {"zone": "bse"}, {}, 404, "unknown zone", "zone: found 'bse', expected 'base'"),
    ("drill", {"zones": ["base", "twn"]}, {}, 404, "unknown zone", "zone: found 'twn', expected 'town'"),
    ("self-test", {"sirens": ["rof"]}, {}, 404, "unknown siren", "siren: found 'rof', expected 'roof'"),
    ("alarm", {"zone": "base"}, {"Authorization": ""}, 401, "no token", "found no token"),
    ("alarm", {"zone": "base"}, {"Authorization": "Bearer wrong"}, 401, "wrong token", "found a wrong token"),
    ("alarm", {"zone": "base"}, {"Authorization": "Basic b3A6b3A="}, 401, "wrong token", "found a wrong token"),
    ("alarm", b'{"zone": "ba', {}, 400, "malformed request", "body: found no JSON"),
    ("alarm", b"\xff\xfe\x00", {}, 400, "malformed request", "body: found no JSON"),
    ("alarm", b"[" * 10_000, {}, 400, "malformed request", "body: found no JSON"),
    ("alarm", {}, {}, 422, "malformed request", "zone: found nothing"),
    ("alarm", [], {}, 422, "malformed request", "body: found '[]'"),
    ("alarm", {"zone": 7}, {}, 422, "malformed request", "zone: found '7', expected a valid string"),
    ("alarm", {"zone": "base", "now": 1}, {}, 422, "malformed request", "now: found a key that is not known"),
    ("drill", {}, {}, 422, "malformed request", "found neither zones nor all"),
    ("drill", {"zones": ["base"], "all": True}, {}, 422, "malformed request", "found both zones and all"),
    ("drill", {"all": True, "announce_s": -1}, {}, 422, "malformed request", "announce_s: found '-1', expected"),
    ("drill", {"all": True, "last_s": 1e9}, {}, 422, "malformed request", "last_s: found"),
    ("alarm", b'{"zone": "base"}' + b" " * 20_000, {}, 413, "body too long", "longer than the 16384 bytes"),
    ("alarm", {"zone": "base"}, {"Origin": "http://elsewhere.example"}, 403, "foreign origin", "Origin: found"),
    ("alarm", {"zone": "base"}, {"Origin": "null"}, 403, "foreign origin", "Origin: found"),
    ("alarm", {"zone": "base"}, {"Origin": "http://[::1"}, 403, "foreign origin", "Origin: found"),
    ("alarm", {"zone": "base"}, {"Host": "[::1"}, 421, "unknown host", "Host: found"),
    ("alarm", {"zone": "base"}, {"Host": "rebound.example"}, 421, "unknown host", "Host: found 'rebound.example'"),
    ("alarm", {"zone": "base"}, {"Content-Type": "text/plain"}, 415, "malformed request", "found 'text/plain'"),
    ("nothing", {"zone": "base"}, {}, 404, "unknown address", "found POST /api/nothing"),
]


@pytest.mark.parametrize(("act", "body", "headers", "status", "reason", "sentence"), BAD)
def test_bad_input_is_refused_counted_and_goes_no_further(
    stub: Stub, act: str, body: object, headers: dict[str, str], status: int, reason: str, sentence: str
) -> None:
    before, acts = refusals(stub).get(reason, 0), len(stub.acts)
    told, answer = post(stub, act, body, **headers)
    assert (told, set(answer)) == (status, {"error"})
    assert sentence in answer["error"]
    assert "\n" not in answer["error"]
    assert refusals(stub)[reason] == before + 1
    assert len(stub.acts) == acts


def test_a_body_with_no_stated_length_is_cut_off_too(stub: Stub) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", stub.port, timeout=10)
    parts = (b" " * 1_000 for _ in range(20))
    connection.request("POST", "/api/alarm", parts, {"Authorization": f"Bearer {stub.token}"}, encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()


def test_our_own_page_may_ask(stub: Stub) -> None:
    assert post(stub, "alarm", {"zone": "base"}, Origin=stub.url)[0] == 200


def test_who_guesses_is_limited_and_whoever_has_the_token_is_not(tmp_path: Path) -> None:
    with serving(tmp_path) as stub:
        told = [post(stub, "alarm", {"zone": "base"}, Authorization=f"Bearer no{i}")[0] for i in range(20)]
        assert told[:10] == [401] * 10
        assert set(told[11:]) == {429}
        assert post(stub, "alarm", {"zone": "base"})[0] == 200
        assert refusals(stub)["too many tries"] >= 9


def test_a_flood_of_acts_is_limited(tmp_path: Path) -> None:
    with serving(tmp_path) as stub:
        told = [post(stub, "alarm", {"zone": "base"})[0] for _ in range(90)]
        assert told[:60] == [200] * 60
        assert told.count(429) >= 10
        assert len(stub.acts) == told.count(200)


# ---- the feed -------------------------------------------------------------------------------------------------------


def test_a_client_is_told_what_stands_then_each_word_as_it_comes(stub: Stub) -> None:
    first = stub.web.tell(warning("base", "alert"))
    with feed(stub) as client:
        state = json.loads(client.recv(timeout=5))
        assert (state["type"], state["run"], state["seq"]) == ("state", "r1", first)
        assert [z["id"] for z in state["zones"]] == list(ZONES)
        base = state["zones"][0]
        assert (base["state"], base["last"]["seq"], base["last"]["kind"]) == ("alert", first, "rocket")
        assert base["last"]["impact_ms"] == pytest.approx(time.time() * 1e3 + 12_000, abs=5_000)
        second = stub.web.tell(warning("base", "all-clear", None), by="operator")
        word = heard(client, "warning")
        assert (word["seq"], word["zone"], word["state"], word["by"]) == (second, "base", "all-clear", "operator")
        assert word["impact_ms"] is None
    assert get(stub, "/api/zones")[0] == 200


def test_a_phone_hears_of_its_own_zone_alone(stub: Stub) -> None:
    with feed(stub, "?zone=camp") as phone:
        assert [z["id"] for z in json.loads(phone.recv(timeout=5))["zones"]] == ["camp"]
        stub.web.tell(warning("base", "alert"))
        stub.tell_drill("notice", ("base", "town"))
        mine = stub.web.tell(warning("camp", "pre-alert"))
        assert heard(phone, "warning")["seq"] == mine
        own = stub.tell_drill("notice", ("camp", "town"))
        assert heard(phone, "drill")["seq"] == own
        while json.loads(phone.recv(timeout=5))["type"] != "beat":  # and no picture of the whole site
            pass
        stub.tell_drill("over", ("camp", "town"))
        assert heard(phone, "drill")["phase"] == "over"


def test_a_picture_shows_tracks_and_is_drawn_at_most_ten_times_a_second(stub: Stub) -> None:
    seen = TrackSeen(
        track=3, cls="rocket-107mm", lat=33.3, lon=44.4, height_m=900.0, east_mps=1.0, north_mps=2.0, up_mps=-3.0
    )
    stub.picture = lambda: picture(tracks=(seen,))
    try:
        with feed(stub) as client:
            eventually(lambda: heard(client, "picture")["tracks"])
            begun_s = time.monotonic()
            frames = [heard(client, "picture") for _ in range(6)]
            assert time.monotonic() - begun_s > 0.4
    finally:
        stub.picture = picture
    assert frames[0]["tracks"][0]["track"] == 3
    assert len({f["time_ms"] for f in frames}) == 6


def test_who_comes_again_is_told_nothing_twice_and_misses_nothing(stub: Stub) -> None:
    with feed(stub, "?zone=town") as client:
        seq = json.loads(client.recv(timeout=5))["seq"]
    told = [stub.web.tell(warning(z, s)) for z, s in (("town", "alert"), ("base", "alert"), ("town", "all-clear"))]
    stub.web.tell(warning("town", "pre-alert"))
    eventually(lambda: get(stub, "/api/zones")[1][2]["state"] == "pre-alert")
    with feed(stub, f"?zone=town&run=r1&after={seq}") as client:
        state = json.loads(client.recv(timeout=5))
    assert [w["seq"] for w in state["missed"]] == [told[0], told[2], told[2] + 1]
    assert not state["gap"]
    with feed(stub, f"?zone=town&run=r1&after={state['seq']}") as client:
        assert json.loads(client.recv(timeout=5))["missed"] == []
    with feed(stub, f"?run=another&after={seq}") as client:
        state = json.loads(client.recv(timeout=5))
        assert (state["missed"], state["gap"]) == ([], True)


@pytest.mark.parametrize(("provenance", "status"), [("simulation", "Exercise"), ("replay", "Test"), ("live", "Actual")])
def test_only_what_live_sensors_gave_rise_to_is_called_actual(tmp_path: Path, provenance: Source, status: str) -> None:
    with serving(tmp_path, provenance=provenance) as stub, feed(stub) as client:
        assert json.loads(client.recv(timeout=5))["status"] == status
        stub.web.tell(warning("base", "alert", reason="Actual"))
        assert heard(client, "warning")["status"] == status
        stub.tell_drill("sounding")
        assert heard(client, "drill")["status"] == "Exercise"


@pytest.mark.parametrize(
    ("query", "headers", "status", "reason"),
    [
        ("?zone=bse", {}, 404, "unknown zone"),
        ("?after=-1", {}, 400, "malformed request"),
        ("?after=nine", {}, 400, "malformed request"),
        ("", {"Origin": "http://elsewhere.example"}, 403, "foreign origin"),
    ],
)
def test_a_bad_opening_is_refused_with_its_status(
    stub: Stub, query: str, headers: dict[str, str], status: int, reason: str
) -> None:
    before = refusals(stub).get(reason, 0)
    with pytest.raises(InvalidStatus) as refused, feed(stub, query, additional_headers=headers):
        pass
    assert refused.value.response.status_code == status
    assert "error" in json.loads(refused.value.response.body)
    assert refusals(stub)[reason] == before + 1


def test_our_own_page_may_look(stub: Stub) -> None:
    with feed(stub, origin=stub.url) as client:
        assert json.loads(client.recv(timeout=5))["type"] == "state"


@pytest.mark.parametrize("said", ["hello", "x" * 5_000])
def test_who_speaks_is_disconnected(stub: Stub, said: str) -> None:
    with feed(stub) as client:
        client.send(said)
        is_cut_off(client)
    eventually(lambda: get(stub, "/healthz")[1]["clients"] == 0)


def deaf(stub: Stub, query: str = "") -> socket.socket:
    """A client that opened the feed and reads nothing."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    client.connect(("127.0.0.1", stub.port))
    client.sendall(
        f"GET /ws{query} HTTP/1.1\r\nHost: 127.0.0.1:{stub.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    return client


def test_a_client_that_takes_nothing_loses_pictures_then_its_place_and_others_nothing(tmp_path: Path) -> None:
    seen = [
        TrackSeen(track=i, cls="x" * 50, lat=0, lon=0, height_m=0, east_mps=0, north_mps=0, up_mps=0)
        for i in range(500)
    ]
    with serving(tmp_path) as stub, feed(stub) as quick, contextlib.closing(deaf(stub)):
        heard(quick, "state")
        stub.picture = lambda: picture(tracks=tuple(seen))
        eventually(lambda: refusals(stub).get("pictures left out", 0) > 3)
        told = [stub.web.tell(warning("base", "update")) for _ in range(100)]
        assert [heard(quick, "warning")["seq"] for _ in told] == told
        eventually(lambda: refusals(stub).get("too slow, disconnected") == 1)
        eventually(lambda: get(stub, "/healthz")[1]["clients"] == 1)
        last = stub.web.tell(warning("base", "all-clear"))
        assert heard(quick, "warning")["seq"] == last


# ---- the two processes ----------------------------------------------------------------------------------------------


def newest(stub: Stub) -> int:
    """The newest word that a client is told when it comes."""
    with feed(stub) as client:
        return int(json.loads(client.recv(timeout=5))["seq"])


def test_a_web_process_that_dies_is_started_again_and_tells_what_stands(tmp_path: Path) -> None:
    with serving(tmp_path) as stub:
        alert = stub.web.tell(warning("base", "alert"))
        stub.tell_drill("notice", ("town",))
        eventually(lambda: newest(stub) == alert + 1)
        with feed(stub) as client:
            client.recv(timeout=5)
            os.kill(stub.web.pid, signal.SIGKILL)
            is_cut_off(client)
        missed = stub.web.tell(warning("camp", "alert"))
        with feed(stub, f"?run=r1&after={alert + 1}") as client:
            state = json.loads(client.recv(timeout=10))
        assert [w["seq"] for w in state["missed"]] == [missed]
        assert [z["state"] for z in state["zones"]] == ["alert", "alert", "quiet"]
        assert [d["phase"] for d in state["drills"]] == ["notice"]
        assert stub.web.starts == 2
        assert "started again" in stub.notes[0]


def test_telling_takes_no_longer_when_the_web_process_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webprocess, "STALL_S", 3.0)
    with serving(tmp_path) as stub:
        hung = stub.web.pid
        os.kill(hung, signal.SIGSTOP)
        begun_s = time.monotonic()
        for _ in range(2_000):  # a megabyte, more than the link holds
            stub.web.tell(warning("base", "update", reason="x" * 500))
            stub.web.show(picture())
        assert time.monotonic() - begun_s < webprocess.STALL_S, "it waited for the web process"
        eventually(lambda: stub.web.starts == 2, 15.0)
        with feed(stub) as client:
            assert json.loads(client.recv(timeout=10))["seq"] == 2_000
        assert not Path(f"/proc/{hung}").exists()


def test_the_web_process_ends_with_its_pipeline(tmp_path: Path) -> None:
    with serving(tmp_path) as stub:
        child = stub.web.pid
        with feed(stub) as client:
            heard(client, "state")
            threading.Timer(0.1, stub.web.close).start()
            is_cut_off(client)
    eventually(lambda: not Path(f"/proc/{child}").exists())
