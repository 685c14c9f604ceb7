"""Who may enter and do what, against a real server: roles, sessions, tokens, limits, and the log of what was done."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from entrance import CSRF, PASSWORD, USERS, Entrance, Loose
from opencram.serve.access import accounts as kept
from opencram.serve.access.limits import network_of
from opencram.serve.access.sessions import IDLE_S, LASTS_S
from opencram.serve.secrets import token_file

ALARM = {"zone": "base"}
DRILL = {"zones": ["base"]}
RANK = {"": 0, "viewer": 1, "operator": 2, "admin": 3}
ROUTES = [
    ("GET", "/healthz", None, ""),
    ("GET", "/siren-endpoint", None, ""),
    ("GET", "/api/phrases", None, ""),
    ("GET", "/api/session", None, ""),
    ("GET", "/sign-in", None, ""),
    ("GET", "/zone/base", None, ""),
    ("GET", "/zone", None, ""),
    ("GET", "/api/places", None, ""),
    ("GET", "/static/style.css", None, ""),
    ("GET", "/cap/atom.xml", None, ""),
    ("GET", "/", None, "viewer"),
    ("GET", "/docs", None, "viewer"),
    ("GET", "/openapi.json", None, "viewer"),
    ("GET", "/api/zones", None, "viewer"),
    ("GET", "/metrics", None, "viewer"),
    ("GET", "/api/site", None, "viewer"),
    ("GET", "/api/history", None, "viewer"),
    ("GET", "/api/history/0", None, "viewer"),
    ("GET", "/api/reports", None, "viewer"),
    ("GET", "/basemap/none", None, "viewer"),
    ("GET", "/reports/none/study.md", None, "viewer"),
    ("GET", "/no/such/address", None, "viewer"),
    ("POST", "/api/alarm", ALARM, "operator"),
    ("POST", "/api/all-clear", ALARM, "operator"),
    ("POST", "/api/drill", DRILL, "operator"),
    ("POST", "/api/self-test", {"all": True}, "operator"),
    ("POST", "/api/reload-zones", None, "admin"),
    ("POST", "/api/zones", {}, "operator"),
    ("PUT", "/metrics", {}, "operator"),
    ("GET", "/api/audit", None, "admin"),
]


@pytest.fixture(scope="module")
def entrance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Entrance]:
    with Entrance(tmp_path_factory.mktemp("entrance"), limits=Loose()) as running:
        yield running


# ---- roles ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path", "body", "role"), ROUTES, ids=lambda value: str(value))
@pytest.mark.parametrize("caller", ["", *USERS])
@pytest.mark.parametrize("by", ["token", "session"])
def test_each_address_asks_for_its_role(
    entrance: Entrance, method: str, path: str, body: Any, role: str, caller: str, by: str
) -> None:
    headers = {} if not caller else entrance.bearer(caller) if by == "token" else session_of(entrance, caller)
    answer = entrance.ask(method, path, body, **headers)
    if RANK[USERS.get(caller, "")] >= RANK[role]:
        assert answer.status in (200, 404, 405), answer.text
    elif not caller and path in ("/", "/docs", "/reports/none/study.md"):
        assert (answer.status, answer.headers["location"]) == (303, f"/sign-in?next={path}")
    else:
        assert answer.status == (403 if caller else 401), answer.text
        assert answer.json["error"]


SESSIONS: dict[str, dict[str, str]] = {}


def session_of(entrance: Entrance, user: str) -> dict[str, str]:
    """One session of each user for all tests of roles: a password takes a tenth of a second to look at."""
    if user not in SESSIONS:
        SESSIONS[user] = entrance.signed_in(user)
    return SESSIONS[user]


def test_no_address_is_left_out_of_the_tests_of_roles(entrance: Entrance) -> None:
    tested = {(method, path.replace("/zone/base", "/zone/{zone}")) for method, path, _, _ in ROUTES}
    tested = {(method, path.replace("/static/style.css", "/static/{name}")) for method, path in tested}
    named = {"/basemap/none": "/basemap/{name}", "/api/history/0": "/api/history/{minute}"}
    named["/reports/none/study.md"] = "/reports/{run}/{file}"
    tested = {(method, named.get(path, path)) for method, path in tested}
    there = entrance.ask("GET", "/openapi.json", **entrance.bearer("vera")).json["paths"]
    found = {(method.upper(), path) for path, methods in there.items() for method in methods}
    session = {("POST", "/api/session"), ("DELETE", "/api/session")}
    assert found - tested == {*session, ("GET", "/cap/{identifier}.xml")}


def test_the_description_says_who_may(entrance: Entrance) -> None:
    paths = entrance.ask("GET", "/openapi.json", **entrance.bearer("vera")).json["paths"]
    for method, path, _, role in ROUTES:
        route = paths.get(path, {}).get(method.lower())
        if route is not None:
            assert ("security" in route) == bool(role), path
            assert not role or f"`{role}`" in route["description"], path


def test_an_act_is_done_in_the_name_of_who_asked(entrance: Entrance) -> None:
    entrance.ask("POST", "/api/alarm", ALARM, **session_of(entrance, "otto"))
    line = entrance.audit(what="alarm", who="user otto")[-1]
    assert (line["role"], line["from"], line["target"], line["result"], line["status"], line["why"]) == (
        "operator", "127.0.0.1", "base", "done", 200, "alarm done",
    )  # fmt: skip
    entrance.ask("POST", "/api/drill", DRILL, **entrance.bearer("operator"))
    assert entrance.audit(what="drill", who="token operator")
    assert entrance.acts[-1].by == "operator"  # no name of a person leaves by warnings and recordings


def test_without_accounts_the_loopback_sees_everything_and_acts_with_the_token(tmp_path: Path) -> None:
    with Entrance(tmp_path, users=False) as entrance:
        for path in ("/", "/api/zones", "/metrics", "/openapi.json", "/docs"):
            assert entrance.ask("GET", path).status == 200
        assert entrance.ask("GET", "/api/session").json["accounts"] is False
        assert entrance.ask("POST", "/api/alarm", ALARM).status == 401
        assert entrance.ask("POST", "/api/alarm", ALARM, **entrance.bearer("operator")).status == 200
        assert entrance.ask("GET", "/api/audit", **entrance.bearer("operator")).status == 403
        with kept.changing(entrance.secrets) as accounts:
            kept.add_user(accounts, "ada", "admin", PASSWORD)
        assert entrance.ask("GET", "/api/zones").status == 401  # from the first account on, at once


def test_a_site_may_keep_its_phones_to_those_who_have_signed_in(tmp_path: Path) -> None:
    with Entrance(tmp_path, more={"phones_public": False}) as entrance:
        answer = entrance.ask("GET", "/zone/base")
        assert (answer.status, answer.headers["location"]) == (303, "/sign-in?next=/zone/base")
        with pytest.raises(InvalidStatus):
            connect(f"ws://127.0.0.1:{entrance.port}/ws?zone=base")
        assert entrance.ask("GET", "/zone/base", **entrance.signed_in("vera")).status == 200


# ---- sessions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("user", "password"), [("otto", "not his pass phrase"), ("nobody", PASSWORD), (PASSWORD, "x")])
def test_what_is_wrong_is_said_without_saying_who_is_there(entrance: Entrance, user: str, password: str) -> None:
    answer = entrance.sign_in(user, password)
    assert answer.status == 401
    assert answer.json == {"error": "found a user and a password that do not belong together"}
    assert "set-cookie" not in answer.headers
    line = entrance.audit(what="sign-in", result="refused")[-1]
    assert (line.get("target", ""), line["why"]) == ("otto" if user == "otto" else "", "wrong password")


def test_a_user_who_is_not_there_takes_as_long(entrance: Entrance) -> None:
    def took_s(user: str) -> float:
        begun_s = time.perf_counter()
        entrance.sign_in(user, "not the pass phrase")
        return time.perf_counter() - begun_s

    took_s("nobody")
    absent, there = min(took_s("nobody") for _ in range(5)), min(took_s("otto") for _ in range(5))
    assert absent > 0.5 * there  # a tenth of a second of argon2 against a millisecond without


def test_the_cookie_is_for_the_server_alone(entrance: Entrance) -> None:
    answer = entrance.sign_in("vera")
    parts = {part.strip() for part in answer.headers["set-cookie"].split(";")[1:]}
    assert parts == {"Path=/", "HttpOnly", "SameSite=Strict", f"Max-Age={int(LASTS_S)}"}
    kept_there = (entrance.state / "sessions.json").read_text()
    assert answer.cookie.partition("=")[2] not in kept_there
    assert (entrance.state / "sessions.json").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("change", [lambda c: c[:-6] + c[-5:] + c[-6], lambda c: c.split("=")[0] + "=x"])
def test_a_forged_cookie_is_nobodys(entrance: Entrance, change: Any) -> None:
    headers = {**session_of(entrance, "otto")}
    headers["Cookie"] = change(headers["Cookie"])
    assert entrance.ask("GET", "/api/zones", Cookie=headers["Cookie"]).status == 401
    assert entrance.ask("POST", "/api/alarm", ALARM, **headers).status == 401


@pytest.mark.parametrize("said", [None, "", "x" * 32, "\xff"])
def test_an_act_in_a_session_needs_what_our_page_alone_knows(entrance: Entrance, said: str | None) -> None:
    before, headers = len(entrance.acts), dict(session_of(entrance, "otto"))
    del headers[CSRF]
    answer = entrance.ask("POST", "/api/alarm", ALARM, **headers, **({} if said is None else {CSRF: said}))
    assert (answer.status, len(entrance.acts)) == (403, before)
    assert "X-CSRF-Token" in answer.json["error"]
    assert entrance.audit(who="user otto", what="alarm", result="refused")[-1]["why"] == "no CSRF token"


def test_the_csrf_token_of_another_session_is_wrong(entrance: Entrance) -> None:
    headers = {**session_of(entrance, "otto"), CSRF: session_of(entrance, "ada")[CSRF]}
    assert entrance.ask("POST", "/api/alarm", ALARM, **headers).status == 403


def test_another_sites_page_can_neither_act_nor_sign_in_nor_look(entrance: Entrance) -> None:
    headers = {**session_of(entrance, "otto"), "Origin": "https://elsewhere.example"}
    assert entrance.ask("POST", "/api/alarm", ALARM, **headers).status == 403
    body = {"user": "otto", "password": PASSWORD}
    assert entrance.ask("POST", "/api/session", body, Origin="https://elsewhere.example").status == 403
    with pytest.raises(InvalidStatus):
        connect(f"ws://127.0.0.1:{entrance.port}/ws", additional_headers=headers)


@pytest.mark.parametrize(
    "body", [b"{", b'"secret phrase"', {"user": "otto"}, {"user": 1, "password": "secret phrase"},
             {"user": "otto", "password": ["secret phrase"]}, {"user": "otto", "password": "p", "secret phrase": 1}]
)  # fmt: skip
def test_a_bad_sign_in_is_refused_and_what_was_typed_not_repeated(entrance: Entrance, body: Any) -> None:
    answer = entrance.ask("POST", "/api/session", body)
    assert answer.status in (400, 422)
    assert "secret phrase" not in answer.text


def test_signing_out_ends_the_session(entrance: Entrance) -> None:
    headers = entrance.signed_in("vera")
    assert entrance.ask("DELETE", "/api/session", Cookie=headers["Cookie"]).status == 403
    answer = entrance.ask("DELETE", "/api/session", **headers)
    assert (answer.status, answer.headers["set-cookie"].split(";")[0].partition("=")[2]) == (200, "")
    assert entrance.ask("GET", "/api/zones", **headers).status == 401
    assert entrance.ask("DELETE", "/api/session", **headers).status == 401
    assert entrance.audit(what="sign-out", who="user vera", result="done")


@pytest.mark.parametrize("later_s", [IDLE_S + 1, LASTS_S + 1])
def test_a_session_ends_when_nothing_is_asked_and_after_a_shift(tmp_path: Path, later_s: float) -> None:
    with Entrance(tmp_path) as entrance:
        headers = entrance.signed_in("vera")
        while entrance.ahead_s + IDLE_S - 60 < later_s and later_s > IDLE_S + 1:  # asked all the time
            entrance.ahead_s += IDLE_S - 60
            assert entrance.ask("GET", "/api/zones", **headers).status == 200
        entrance.ahead_s = later_s
        assert entrance.ask("GET", "/api/zones", **headers).status == 401
        assert entrance.ask("GET", "/api/session", **headers).json["name"] == ""


@pytest.mark.parametrize("what", ["password", "role", "remove"])
def test_all_sessions_end_when_the_account_changes(tmp_path: Path, what: str) -> None:
    with Entrance(tmp_path) as entrance:
        sessions = [entrance.signed_in("otto") for _ in range(2)]
        others = entrance.signed_in("vera")
        with kept.changing(entrance.secrets) as accounts:
            if what == "password":
                kept.set_password(accounts, "otto", "another pass phrase")
            elif what == "role":
                kept.set_role(accounts, "otto", "admin")
            else:
                kept.remove_user(accounts, "otto")
        assert [entrance.ask("GET", "/api/zones", **headers).status for headers in sessions] == [401, 401]
        assert entrance.ask("GET", "/api/zones", **others).status == 200
        told = {"password": "password changed", "role": "role changed", "remove": "user removed"}[what]
        assert entrance.audit(what=told)[-1]["target"].startswith("otto")


def test_a_new_web_process_knows_who_is_signed_in(tmp_path: Path) -> None:
    with Entrance(tmp_path) as entrance:
        headers, port, sent = entrance.signed_in("vera"), entrance.port, entrance.sent
    with Entrance(tmp_path, users=False) as entrance:
        entrance.gate.cookie = f"opencram-{port}"
        assert entrance.ask("GET", "/api/zones", **headers).status == 200
        assert sent


# ---- tokens ---------------------------------------------------------------------------------------------------------


def test_a_revoked_token_is_worthless_at_once(tmp_path: Path) -> None:
    with Entrance(tmp_path) as entrance:
        assert entrance.ask("GET", "/metrics", **entrance.bearer("vera")).status == 200
        with kept.changing(entrance.secrets) as accounts:
            kept.revoke_token(accounts, "machine-vera", entrance.secrets)
        assert entrance.ask("GET", "/metrics", **entrance.bearer("vera")).status == 401
        assert entrance.audit(what="token revoked", target="machine-vera")


def test_the_operators_token_is_one_of_them(tmp_path: Path) -> None:
    with Entrance(tmp_path) as entrance:
        with kept.changing(entrance.secrets) as accounts:
            kept.revoke_token(accounts, "operator", entrance.secrets)
        assert not token_file("operator", entrance.secrets).exists()
        assert entrance.ask("POST", "/api/alarm", ALARM, **entrance.bearer("operator")).status == 401


def test_a_token_ends_on_its_day(tmp_path: Path) -> None:
    with Entrance(tmp_path) as entrance:
        with kept.changing(entrance.secrets) as accounts:
            entrance.tokens["brief"] = kept.add_token(accounts, "brief", "viewer", days=1)
        assert entrance.ask("GET", "/metrics", **entrance.bearer("brief")).status == 200
        entrance.ahead_s = 86_401
        assert entrance.ask("GET", "/metrics", **entrance.bearer("brief")).status == 401


def test_accounts_that_cannot_be_read_let_nobody_in_and_say_why(tmp_path: Path) -> None:
    with Entrance(tmp_path) as entrance:
        headers = entrance.signed_in("ada")
        (entrance.secrets / "accounts.json").chmod(0o644)
        assert entrance.ask("GET", "/api/zones", **headers).status == 503
        assert entrance.ask("GET", "/healthz").status == 200
        assert "expected 600" in entrance.audit(what="accounts")[-1]["why"]
        (entrance.secrets / "accounts.json").chmod(0o600)
        assert entrance.ask("GET", "/api/zones", **headers).status == 200


# ---- limits ---------------------------------------------------------------------------------------------------------


def test_sign_ins_from_one_address_are_limited(tmp_path: Path) -> None:
    with Entrance(tmp_path) as entrance:
        told = [entrance.sign_in(f"user-{i}", "not the pass phrase") for i in range(14)]
        assert [answer.status for answer in told[:10]] == [401] * 10
        limited = [answer for answer in told if answer.status == 429]
        assert len(limited) >= 2
        assert 1 <= int(limited[-1].headers["retry-after"]) <= 5
        assert "wait" in limited[-1].json["error"]


def test_who_signs_in_often_and_rightly_is_not_limited(tmp_path: Path) -> None:
    with Entrance(tmp_path) as entrance:
        assert {entrance.sign_in("vera").status for _ in range(15)} == {200}
        assert len(entrance.gate.sessions) == 15


def test_guesses_at_one_account_are_limited_wherever_they_come_from(tmp_path: Path) -> None:
    with Entrance(tmp_path) as entrance:
        gate = entrance.gate
        assert entrance.sign_in("otto").status == 200  # from 127.0.0.1
        waits = [gate.may_try("otto", f"10.0.{i}.1") for i in range(15)]
        assert waits[:10] == [0] * 10
        assert all(20 < wait <= 30 for wait in waits[10:])
        assert gate.may_try("vera", "10.0.99.1") == 0
        assert entrance.sign_in("otto").status == 200, "others' guesses have locked him out where he was signed in"


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer oc_wrong"}])
def test_acts_without_a_right_token_are_limited_by_address(tmp_path: Path, headers: dict[str, str]) -> None:
    with Entrance(tmp_path) as entrance:
        told = [entrance.ask("POST", "/api/alarm", ALARM, **headers).status for _ in range(14)]
        assert told[:10] == [401] * 10
        assert 429 in told[10:]
        assert entrance.ask("POST", "/api/alarm", ALARM, **entrance.bearer("operator")).status == 200


def test_acts_of_one_account_are_limited(tmp_path: Path) -> None:
    with Entrance(tmp_path) as entrance:
        headers = entrance.signed_in("otto")
        told = [entrance.ask("POST", "/api/alarm", ALARM, **headers) for _ in range(80)]
        limited = [answer for answer in told if answer.status == 429]
        assert [answer.status for answer in told[:60]] == [200] * 60
        assert limited
        assert int(limited[0].headers["retry-after"]) >= 1
        assert entrance.audit(who="user otto", what="alarm", status=429)


def test_an_address_is_a_household() -> None:
    assert network_of("10.0.0.7") == "10.0.0.7"
    assert network_of("2001:db8:1:2::7") == network_of("2001:db8:1:2:ffff::1") == "2001:db8:1:2::/64"
    assert network_of("2001:db8:1:3::7") != network_of("2001:db8:1:2::7")
    assert network_of("?") == "?"


# ---- the feed -------------------------------------------------------------------------------------------------------


def test_the_whole_feed_asks_who_is_there_and_the_phones_do_not(entrance: Entrance) -> None:
    url = f"ws://127.0.0.1:{entrance.port}/ws"
    with pytest.raises(InvalidStatus) as refused:
        connect(url)
    assert refused.value.response.status_code == 401
    with connect(url + "?zone=base") as phone:
        assert json.loads(phone.recv(timeout=5))["type"] == "state"
    for headers in (session_of(entrance, "vera"), entrance.bearer("vera")):
        with connect(url, additional_headers=headers) as watch:
            assert json.loads(watch.recv(timeout=5))["type"] == "state"


def hear_on(client: ClientConnection) -> None:
    """Until it is closed, or for long enough."""
    for _ in range(100):
        client.recv(timeout=5)


@pytest.mark.parametrize("how", ["sign-out", "role", "shift"])
def test_the_feed_ends_with_the_session(tmp_path: Path, how: str) -> None:
    with Entrance(tmp_path) as entrance:
        headers = entrance.signed_in("vera")
        with (
            connect(f"ws://127.0.0.1:{entrance.port}/ws", additional_headers=headers) as watch,
            connect(f"ws://127.0.0.1:{entrance.port}/ws?zone=base") as phone,
        ):
            watch.recv(timeout=5)
            if how == "sign-out":
                entrance.ask("DELETE", "/api/session", **headers)
            elif how == "role":
                with kept.changing(entrance.secrets) as accounts:
                    kept.set_role(accounts, "vera", "operator")
            else:
                entrance.ahead_s = LASTS_S + 1
            with pytest.raises(ConnectionClosed) as closed:
                hear_on(watch)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 4401
            assert json.loads(phone.recv(timeout=5))


def test_an_open_page_is_not_idle(tmp_path: Path) -> None:
    with Entrance(tmp_path) as entrance:
        headers = entrance.signed_in("vera")
        with connect(f"ws://127.0.0.1:{entrance.port}/ws", additional_headers=headers) as watch:
            for _ in range(3):
                entrance.ahead_s += IDLE_S - 60
                ends_s = time.monotonic() + 1.5  # it is seen once a second
                while time.monotonic() < ends_s:
                    watch.recv(timeout=5)
        assert entrance.ask("GET", "/api/zones", **headers).status == 200


# ---- the log, and what may never be in it ---------------------------------------------------------------------------


def test_no_secret_is_ever_written_down(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Entrance(tmp_path) as entrance:
        typed = "my real password, in the wrong field"
        headers = entrance.signed_in("otto")
        entrance.sign_in(typed[:60], typed)
        entrance.sign_in("otto", typed)
        entrance.ask("POST", "/api/session", {"user": "otto", typed: 1})
        entrance.ask("POST", "/api/alarm", {"zone": typed}, **headers)
        entrance.ask("POST", "/api/alarm", {"zone": typed[:60], typed: 1}, **entrance.bearer("operator"))
        entrance.ask("POST", f"/api/{typed.replace(' ', '-')}", {}, **entrance.bearer("operator"))
        entrance.ask("POST", "/api/alarm", ALARM, Authorization=f"Bearer {typed}")
        entrance.ask("POST", "/api/alarm", ALARM, Authorization=f"Basic {entrance.tokens['ada']}")
        entrance.ask("GET", "/api/audit", **entrance.bearer("vera"))
        entrance.ask("POST", "/api/alarm", ALARM, Cookie=headers["Cookie"], X_CSRF_Token=typed)
        entrance.ask("DELETE", "/api/session", **headers)
        written = "".join(path.read_text() for path in entrance.state.iterdir()) + caplog.text
        written += (entrance.secrets / "accounts.json").read_text()
        written += entrance.ask("GET", "/metrics", **entrance.bearer("vera")).text
        assert len(entrance.audit(result="refused")) >= 8
    assert len(entrance.sent) > 6
    for secret in (*entrance.sent, typed, typed[:60], typed.replace(" ", "-"), typed[:20]):
        assert secret not in written


def test_the_log_is_only_added_to_and_an_admin_reads_it(entrance: Entrance) -> None:
    path = entrance.state / "audit.jsonl"
    before = path.read_bytes()
    entrance.ask("POST", "/api/alarm", ALARM, **entrance.bearer("operator"))
    after = path.read_bytes()
    assert after.startswith(before)
    assert after.count(b"\n") == before.count(b"\n") + 1
    assert path.stat().st_mode & 0o077 == 0
    told = entrance.ask("GET", "/api/audit?last=1", **entrance.bearer("ada")).json
    assert told == [json.loads(after.splitlines()[-1])]
    assert entrance.ask("GET", "/api/audit?last=0", **entrance.bearer("ada")).status == 422


def test_a_flood_of_refusals_does_not_fill_the_disk(tmp_path: Path) -> None:
    with Entrance(tmp_path, limits=Loose()) as entrance:
        for _ in range(90):
            entrance.ask("POST", "/api/alarm", ALARM)
        entrance.ask("POST", "/api/alarm", ALARM, **entrance.bearer("operator"))
        lines = entrance.audit(what="alarm")
        assert 60 <= len(lines) < 80
        assert sum(line.get("left_out", 0) for line in lines) == 91 - len(lines)


def test_a_log_that_cannot_be_written_holds_up_no_alarm(tmp_path: Path) -> None:
    with Entrance(tmp_path) as entrance:
        (entrance.state / "audit.jsonl").unlink()
        (entrance.state / "audit.jsonl").mkdir()
        assert entrance.ask("POST", "/api/alarm", ALARM, **entrance.bearer("operator")).status == 200
        assert "opencram_audit_broken 1" in entrance.ask("GET", "/metrics", **entrance.bearer("vera")).text
