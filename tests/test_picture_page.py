"""The picture and the zone's page in a real browser, on the real web process: what people see, hear and do."""

from __future__ import annotations

import io
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from browser import visitor
from chromium import PROGRAM, chromium
from entrance import PASSWORD
from made_up_maps import CORNERS, west_geojson, west_image, west_picture_tiles, west_vector_tiles
from opencram.serve import basemaps
from opencram.serve.access.accounts import add_user, changing
from opencram.serve.link import TrackSeen
from web_stub import ZONES, Stub, picture, serving, warning

CARD = "#alarms .alarm"
SESSIONS: dict[str, Any] = {}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if PROGRAM is None:
        pytest.skip("chromium is not installed")
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def stub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stub]:
    folder = tmp_path_factory.mktemp("secrets")
    with changing(folder) as accounts:
        add_user(accounts, "otto", "operator", PASSWORD)
        add_user(accounts, "vera", "viewer", PASSWORD)
    with serving(folder, zones=zones()) as running:
        running.picture = raid
        yield running


def zones() -> tuple[Any, ...]:
    """The stub's zones with outlines and names."""
    from opencram.serve.link import ZoneInfo

    found = []
    for i, (zone, arabic) in enumerate(zip(ZONES, ("القاعدة", "المخيم", "المدينة"), strict=True)):
        west, south = 44.39 + 0.01 * i, 33.295
        ring = tuple((west + e, south + n) for e, n in ((0, 0), (0.009, 0), (0.009, 0.01), (0, 0.01), (0, 0)))
        found.append(ZoneInfo(id=zone, name=f"The {zone}", name_ar=arabic, people=500, rings=((ring,),)))
    return tuple(found)


def raid() -> Any:
    """A rocket on its way, seen now."""
    now_ns = time.time_ns()
    seen = TrackSeen(
        track=3, cls="rocket-107", lat=33.31, lon=44.43, height_m=900.0, east_mps=-200.0, north_mps=-80.0,
        up_mps=-30.0, impact_ns=now_ns + 12 * 10**9, impact_lat=33.3, impact_lon=44.395, major_m=400.0, minor_m=150.0,
        axis_deg=70.0, launch_lat=33.32, launch_lon=44.47, launch_major_m=900.0, launch_minor_m=300.0,
        launch_axis_deg=80.0, seen_ns=now_ns,
    )  # fmt: skip
    return picture(tracks=(seen,))


@pytest.fixture(autouse=True)
def _clear(stub: Stub) -> Iterator[None]:
    yield
    for zone in ZONES:
        stub.web.tell(warning(zone, "all-clear", None))


def enter(page: Page, stub: Stub, user: str = "otto", query: str = "?view=list") -> Page:
    """Sign in (once: then the session goes on) and open the picture."""
    if user in SESSIONS:
        page.context.add_cookies(SESSIONS[user])
        page.goto(f"{stub.url}/{query}")
    else:
        page.goto(f"{stub.url}/sign-in?next=/{query}")
        page.fill("#user", user)
        page.fill("#password", PASSWORD)
        page.press("#password", "Enter")
        page.wait_for_selector("body.watch")
        SESSIONS[user] = page.context.cookies()
    expect(page.locator("#lost")).to_be_hidden()
    expect(page.locator("#who")).to_contain_text(user)
    return page


def sounding(page: Page, kind: str) -> None:
    """Wait until this sound is played, by a Web Audio context that runs."""
    expect(page.locator("#lamp")).to_have_attribute("data-playing", kind)


# ---- the alarm ------------------------------------------------------------------------------------------------------


def test_a_raid_is_seen_heard_and_acknowledged(stub: Stub, browser: Browser) -> None:
    with visitor(browser) as page:
        enter(page, stub)
        stub.web.tell(warning("base", "alert", 20.0))
        card = page.locator(CARD)
        expect(card).to_contain_text("The base")
        expect(card.locator(".left")).to_have_text(re.compile(r"^\d+ s$"))
        expect(page.locator("#say")).to_contain_text("ALERT, The base")
        expect(page.locator("#lamp")).to_have_attribute("data-state", "locked")
        page.keyboard.press("u")
        expect(page.locator("#lamp")).to_have_attribute("data-state", "running")
        sounding(page, "rocket")
        page.keyboard.press("a")
        sounding(page, "")
        expect(card).to_have_class("alarm alert  acked")
        expect(page.locator("#board-zones .zone.alert")).to_contain_text("The base")


def test_an_alarm_stays_until_acknowledged_also_when_over_and_after_a_reload(stub: Stub, browser: Browser) -> None:
    with visitor(browser) as page:
        enter(page, stub)
        stub.web.tell(warning("camp", "alert"))
        expect(page.locator(CARD)).to_contain_text("The camp")
        stub.web.tell(warning("camp", "all-clear", None))
        expect(page.locator(f"{CARD}.over")).to_contain_text("The camp")
        page.reload()
        expect(page.locator(f"{CARD}.over")).to_contain_text("The camp")
        page.goto("about:blank")
        stub.web.tell(warning("town", "alert"))  # comes and goes while nobody looks
        stub.web.tell(warning("town", "all-clear", None))
        page.goto(f"{stub.url}/?view=list")
        expect(page.locator(f"{CARD}.over")).to_have_count(2)
        page.keyboard.press("A")
        expect(page.locator(CARD)).to_have_count(0)


def test_drones_and_places_nearby_have_sounds_of_their_own_and_silence_hides_nothing(
    stub: Stub, browser: Browser
) -> None:
    with visitor(browser) as page:
        enter(page, stub)
        page.keyboard.press("u")
        stub.web.tell(warning("base", "alert", kind="drone"))
        sounding(page, "drone")
        page.locator('.zone[data-id="town"] [data-act="own"]').click()
        sounding(page, "near")
        page.keyboard.press("s")
        sounding(page, "")
        expect(page.locator(f"{CARD}:not(.acked)")).to_contain_text("The base")
        stub.web.tell(warning("town", "alert"))
        sounding(page, "rocket")


# ---- acts -----------------------------------------------------------------------------------------------------------


def test_an_operator_acts_after_one_more_question_and_a_viewer_cannot(stub: Stub, browser: Browser) -> None:
    with visitor(browser) as page:
        enter(page, stub)
        page.locator('.zone[data-id="camp"] [data-act="alarm"]').click()
        expect(page.locator("#ask-text")).to_contain_text("The camp")
        expect(page.locator("#ask-mark")).to_contain_text("EXERCISE")
        page.keyboard.press("Enter")  # what stands under the finger is to leave it
        expect(page.locator("#ask")).to_be_hidden()
        assert not stub.acts
        for key, kind in (("x", "alarm"), ("c", "all-clear"), ("e", "drill")):
            page.keyboard.press(key)
            page.locator("#ask-yes").click()
            expect(page.locator("#ask")).to_be_hidden()
            assert stub.acts[-1].kind == kind
    done = len(stub.acts)
    with visitor(browser) as page:
        enter(page, stub, "vera")
        expect(page.locator("[data-act=alarm], #act-drill:visible")).to_have_count(0)
        page.keyboard.press("x")
        expect(page.locator("#ask")).to_be_hidden()
    assert len(stub.acts) == done


# ---- what is not real, and what is not known -------------------------------------------------------------------------


def test_an_exercise_says_so_and_nothing_hides_it(stub: Stub, browser: Browser) -> None:
    with visitor(browser) as page:
        enter(page, stub)
        expect(page.locator("#watermark span").first).to_have_text("EXERCISE")
        page.evaluate("document.getElementById('watermark').remove()")
        expect(page.locator("#watermark span").first).to_be_visible()
        assert page.title().startswith("EXERCISE")


def test_what_is_real_bears_no_mark(browser: Browser, tmp_path: Path) -> None:
    with serving(tmp_path, provenance="live") as live, visitor(browser) as page:
        page.goto(f"{live.url}/?view=list")
        expect(page.locator("#board-zones .zone")).to_have_count(3)
        expect(page.locator("#watermark")).to_be_hidden()
        expect(page.locator("#mark")).to_be_hidden()


def test_a_lost_service_is_said_and_found_again(stub: Stub, browser: Browser) -> None:
    with visitor(browser) as page:
        enter(page, stub)
        stub.drawing = False
        expect(page.locator("#stalled")).to_contain_text("Silence is no safety")
        stub.drawing = True
        expect(page.locator("#stalled")).to_be_hidden()
        os.kill(stub.web.pid, signal.SIGSTOP)
        try:
            expect(page.locator("#lost")).to_contain_text("CONNECTION LOST")
            expect(page.locator("#calm")).to_contain_text("not known")
        finally:
            os.kill(stub.web.pid, signal.SIGCONT)
        expect(page.locator("#lost")).to_be_hidden()


# ---- the last hours -------------------------------------------------------------------------------------------------


def test_the_past_is_looked_at_while_the_alarm_stays_that_of_now(stub: Stub, browser: Browser) -> None:
    with visitor(browser) as page:
        enter(page, stub)
        stub.web.tell(warning("town", "alert", 30.0))
        expect(page.locator(".zone.alert")).to_contain_text("The town")
        page.wait_for_timeout(1200)  # a moment of it, for there to be a past
        stub.web.tell(warning("town", "all-clear", None))
        expect(page.locator(".zone.alert")).to_have_count(0)
        page.wait_for_timeout(1600)
        page.keyboard.press("j")
        expect(page.locator("#past-band")).to_contain_text("THE PAST")
        expect(page.locator(".zone.alert")).to_contain_text("The town")
        expect(page.locator(f"{CARD}.over")).to_contain_text("The town")
        page.keyboard.press("i")
        link = page.locator("#share-link").input_value()
        page.keyboard.press("Escape")
        expect(page.locator("#share-box")).to_be_hidden()
        page.keyboard.press("n")
        expect(page.locator("#past-band")).to_be_hidden()
        page.goto("about:blank")
        page.goto(link)
        expect(page.locator("#past-band")).to_be_visible()


# ---- for everyone ---------------------------------------------------------------------------------------------------


def test_arabic_runs_from_right_to_left(stub: Stub, browser: Browser) -> None:
    with visitor(browser) as page:
        enter(page, stub)
        page.select_option("#language", "ar")
        stub.web.tell(warning("base", "alert"))
        expect(page.locator("html")).to_have_attribute("dir", "rtl")
        expect(page.locator(CARD)).to_contain_text("القاعدة")
        expect(page.locator("#watermark span").first).to_have_text("تمرين")
        tabs, map_pane = page.locator("#board-zones").bounding_box(), page.locator("#board-tracks").bounding_box()
        assert tabs is not None
        assert map_pane is not None
        assert tabs["x"] > map_pane["x"]


def test_every_command_has_a_key_and_every_key_a_name(stub: Stub, browser: Browser) -> None:
    with visitor(browser) as page:
        enter(page, stub)
        page.keyboard.press("?")
        names = page.locator("#help-list span").all_text_contents()
        assert len(names) == page.locator("#help-list kbd").count() > 20
        assert not [name for name in names if name.startswith("key-") or "-" in name.split()[0]]
        page.keyboard.press("Escape")
        page.keyboard.press("d")
        expect(page.locator("html")).to_have_attribute("data-theme", "light")
        expect(page.locator("#tracks tbody")).to_contain_text("107 mm rocket")
        page.keyboard.press("2")
        expect(page.locator("#tracks tbody tr:focus")).to_contain_text("107 mm rocket")


# ---- the map --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["gl", "plan"])
def test_the_map_shows_zones_sirens_and_where_a_rocket_comes_down(stub: Stub, browser: Browser, kind: str) -> None:
    with visitor(browser, viewport={"width": 900, "height": 600}) as page:
        enter(page, stub, "vera", f"?view=map&map={kind}")
        expect(page.locator("html")).to_have_attribute("data-map", kind)
        canvas = page.locator("#plan" if kind == "plan" else "#map canvas")
        before = len(set(pixels(page, canvas)))
        assert before > 8  # zones, coverage, rings, a siren, a sensor, a rocket, an ellipse: not one colour
        page.keyboard.press("r")
        expect(page.locator("#measured")).to_contain_text("0 m")
        box = canvas.bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] / 2 + 100, box["y"] + box["height"] / 2)
        expect(page.locator("#measured")).to_contain_text(re.compile("0(89|90|91)°"))


MAPS = {
    "west.geojson": (west_geojson, []),
    "west.png": (west_image, CORNERS),
    "vector.pmtiles": (west_vector_tiles, []),
    "picture.pmtiles": (west_picture_tiles, []),
}


@pytest.mark.parametrize("name", MAPS)
def test_a_base_map_of_ones_own_lies_under_the_picture(
    name: str, browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each colours what is west of the site: without it both sides look alike."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    make, corners = MAPS[name]
    with serving(tmp_path / "secrets", sensors=(), sirens=()) as stub:
        west, east = both_sides(stub, browser)
        assert west == east
        basemaps.add(make(tmp_path / name), corners, "")
        west, east = both_sides(stub, browser, unlike=True)
        assert west != east


def both_sides(stub: Stub, browser: Browser, unlike: bool = False) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The colours of the map a third of its width left and right of its middle, where nothing else is drawn."""
    with visitor(browser, viewport={"width": 900, "height": 600}) as page:
        page.goto(f"{stub.url}/?view=map&map=gl")
        expect(page.locator("html")).to_have_attribute("data-map", "gl")
        canvas = page.locator("#map canvas")
        for _ in range(50):
            page.wait_for_timeout(100)
            image = Image.open(io.BytesIO(canvas.screenshot())).convert("RGB")
            left, right = (image.getpixel((round(image.width * part), image.height // 2 + 7)) for part in (0.17, 0.83))
            if unlike == (left != right):
                break
    return left, right


def pixels(page: Page, canvas: Any) -> list[int]:
    """What has been drawn, once it has been: every 97th pixel's colour."""
    for _ in range(50):
        image = Image.open(io.BytesIO(canvas.screenshot())).convert("RGB")
        found = np.asarray(image).reshape(-1, 3)[::97].dot([65536, 256, 1]).tolist()
        if len(set(found)) > 8:
            break
        page.wait_for_timeout(100)
    return found


# ---- the zone's page ------------------------------------------------------------------------------------------------


def test_people_choose_their_zone_and_see_one_countdown_in_their_language(stub: Stub, browser: Browser) -> None:
    with visitor(browser, viewport={"width": 390, "height": 760}) as page:
        page.goto(f"{stub.url}/zone")
        page.get_by_text("The camp").click()
        expect(page.locator("#state")).to_have_text("ALL CLEAR")  # the test before it has ended with one
        stub.web.tell(warning("base", "alert"))
        stub.web.tell(warning("camp", "alert", 24.5))
        expect(page.locator("#state")).to_have_text("TAKE COVER")
        assert 0 < int(page.locator("#count").inner_text()) <= 25
        page.select_option("#language", "fr")
        expect(page.locator("#state")).to_have_text("À L’ABRI")
        expect(page.locator("#status")).to_have_text("EXERCICE")


def test_a_poor_network_costs_a_zone_page_little(stub: Stub, browser: Browser) -> None:
    with visitor(browser, viewport={"width": 390, "height": 760}) as page:
        sizes: list[int] = []
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        session.on("Network.loadingFinished", lambda done: sizes.append(done["encodedDataLength"]))
        page.goto(f"{stub.url}/zone/base")
        expect(page.locator("#state")).not_to_be_empty()
        page.wait_for_load_state("networkidle")
        assert sum(sizes) < 40_000
