"""Makes docs/images/picture anew: the operator's picture of a raid that is played, as Chromium shows it; two minutes.

make pictures        needs chromium
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from live import until_there
from playwright.sync_api import Browser, Page

from chromium import chromium

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images" / "picture"
AT = "127.0.0.1:8731"
PASSWORD = "a pass phrase for pictures"
RAID_S = 17.0
"""So long after the start of the page there is most to be seen."""


@contextmanager
def service(folder: Path) -> Iterator[None]:
    """A raid that is played, with sirens, accounts and state of its own."""
    os.environ["XDG_STATE_HOME"] = str(folder / "state")
    os.environ.pop("OPENCRAM_SECRETS", None)
    (folder / "password").write_text(PASSWORD)
    (folder / "password").chmod(0o600)
    opencram = [sys.executable, "-m", "opencram"]
    user = ("users", "add", "watch", "--role", "operator", "--password-file", str(folder / "password"))
    subprocess.run([*opencram, *user], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([*opencram, "warmup"], check=True, stdout=subprocess.DEVNULL)
    live = [sys.executable, str(ROOT / "scripts" / "live.py"), "baghdad-embassy", "--play", "baghdad-2020-11-17"]
    with (folder / "log").open("wb") as log:
        running = subprocess.Popen([*live, "--http", AT, "--record", str(folder / "record")], stdout=log, stderr=log)
        try:
            assert until_there(f"http://{AT}", running)
            yield
        finally:
            running.send_signal(2)
            running.wait(30.0)


def sign_in(browser: Browser) -> Page:
    """The picture of somebody who may act."""
    page = browser.new_page(viewport={"width": 1600, "height": 900})
    page.goto(f"http://{AT}/sign-in?next=/?map=plan")
    page.fill("#user", "watch")
    page.fill("#password", PASSWORD)
    page.press("#password", "Enter")
    page.wait_for_selector("html[data-map]")
    page.keyboard.press("u")
    return page


def save(page: Page, name: str) -> None:
    """A picture, and that it was made."""
    page.wait_for_timeout(400)
    page.screenshot(path=IMAGES / f"{name}.png")
    print(f"{name}.png", flush=True)


def take(browser: Browser) -> None:
    """Every picture, in the order in which the raid goes on."""
    begun_s = time.monotonic()
    page = sign_in(browser)
    phone = browser.new_page(viewport={"width": 390, "height": 700})
    phone.goto(f"http://{AT}/zone/green-zone")
    page.wait_for_selector("#alarms .alert >> nth=2")
    page.wait_for_timeout(max(0.0, 1000.0 * (begun_s + RAID_S - time.monotonic())))
    if "behind" in (page.text_content("#degraded") or ""):
        sys.exit("the machine is too busy to play the raid in real time: make the pictures when it is not")
    save(page, "raid")
    save(phone, "zone")
    page.select_option("#language", "ar")
    save(page, "arabic")
    page.select_option("#language", "en")
    page.keyboard.press("m")
    save(page, "list")
    page.keyboard.press("m")
    page.wait_for_timeout(15_000)
    page.keyboard.press("A")
    page.keyboard.press("d")
    page.wait_for_timeout(1_000)
    for _ in range(2):
        page.keyboard.press("[")
    page.wait_for_timeout(1_500)
    save(page, "past")
    page.keyboard.press("d")
    page.keyboard.press("n")
    page.keyboard.press("x")
    save(page, "confirm")


def main() -> None:
    """All pictures."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, service(Path(folder)):
        os.nice(15)  # the raid goes before the browser, which draws by the processor
        with chromium() as browser:
            take(browser)


if __name__ == "__main__":
    main()
