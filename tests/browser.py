"""Somebody who looks at the pages, in a real Chromium."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page


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
