"""What `make live` does: the service with a raid played to it, and a software siren for each siren of its site.

    python scripts/live.py SITE [OPTIONS OF opencram serve]

It opens the operator's picture where there is a screen, and prints its address everywhere. Ctrl-C ends all of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
import webbrowser
from typing import Any

from opencram.outputs.sirens.device import Device
from opencram.outputs.sirens.runner import Runner
from opencram.outputs.sirens.websocket import websocket_link
from opencram.serve import DEFAULT_HTTP
from opencram.serve.secrets import read_token, token_file
from opencram.site import load_site

TICK_S = 0.1
START_S = 300.0
"""The very first start compiles kernels."""


async def fleet(http: str, ids: list[str]) -> None:
    """Sirens of these ids, mute, that report to the service at `http` until cancelled."""
    endpoint = str(answer(f"{http}/siren-endpoint")["url"])
    runners = [Runner(Device(name), read_token(token_file(f"siren-{name}")).encode()) for name in ids]
    links = [asyncio.create_task(websocket_link(runner, endpoint)) for runner in runners]
    try:
        while True:
            for runner in runners:
                runner.tick()
            await asyncio.sleep(TICK_S)
    finally:
        for link in links:
            link.cancel()


def answer(url: str) -> dict[str, Any]:
    """A page's JSON."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(url, timeout=5.0) as page:
        return dict(json.load(page))


def until_there(http: str, service: subprocess.Popen[bytes]) -> bool:
    """Whether the service answers, in the end."""
    ends_s = time.monotonic() + START_S
    while time.monotonic() < ends_s and service.poll() is None:
        with contextlib.suppress(OSError):
            answer(f"{http}/healthz")
            return True
        time.sleep(0.2)
    return False


def main() -> None:
    """Service, sirens, picture."""
    site, *options = sys.argv[1:]
    at = options[options.index("--http") + 1] if "--http" in options else DEFAULT_HTTP
    service = subprocess.Popen([sys.executable, "-m", "opencram", "serve", site, *options])
    try:
        if until_there(f"http://{at}", service):
            ids = [siren.id for siren in load_site(site).sirens]
            play_sirens = threading.Thread(target=lambda: asyncio.run(fleet(f"http://{at}", ids)), daemon=True)
            play_sirens.start()
            print(f"\n  The picture: http://{at}/\n", flush=True)
            if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
                webbrowser.open(f"http://{at}/")
        sys.exit(service.wait())
    except KeyboardInterrupt:
        pass
    finally:
        if service.poll() is None:
            service.send_signal(signal.SIGINT)
            service.wait(20.0)


if __name__ == "__main__":
    main()
