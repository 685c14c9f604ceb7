"""A real Chromium for tests of the pages: the system's own, or the test is skipped with its reason."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

ARGS = [
    *("--no-sandbox", "--disable-gpu", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-quic"),
    *("--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """The browser, without a window; a page may sound only after a gesture, as for people."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("chromium is not installed")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=ARGS)
        yield browser
        browser.close()


@contextlib.contextmanager
def visitor(browser: Browser, **options: Any) -> Iterator[Page]:
    """A page of somebody new. What it asks of another host, and any error on it, fails the test."""
    context: BrowserContext = browser.new_context(**{"viewport": {"width": 1400, "height": 800}, **options})
    context.set_default_timeout(15_000)
    page = context.new_page()
    elsewhere: list[str] = []
    errors: list[str] = []
    page.on("request", lambda asked: elsewhere.append(asked.url) if not _ours(asked.url) else None)
    page.on("websocket", lambda socket: elsewhere.append(socket.url) if not _ours(socket.url) else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.append(said.text) if "Content Security" in said.text else None)
    yield page
    context.close()
    assert not elsewhere, elsewhere
    assert not errors, errors


def _ours(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("data", "blob") or parts.hostname == "127.0.0.1"
