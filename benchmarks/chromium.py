"""The system's own Chromium, without a window, drawing by the processor; a page may sound only after a gesture."""

import contextlib
import shutil
from collections.abc import Iterator

from playwright.sync_api import Browser, sync_playwright

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGS = [
    *("--no-sandbox", "--disable-gpu", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-quic"),
    *("--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """The browser."""
    assert PROGRAM is not None, "chromium is not installed"
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=PROGRAM, args=ARGS)
        yield browser
        browser.close()
