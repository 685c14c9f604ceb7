"""What comes over the wire and should not, to a real service: each kind is counted and shown, and harms nothing."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Any

import numpy as np

from live_service import Noise, noise
from opencram.asterix.write import encode_plots
from opencram.serve.udp import Endpoint, Transmitter
from opencram.site import load_site
from processes import free_port
from services import Village

SITE = "baghdad-embassy"


class Sender:
    """Sends from one of this machine's addresses, as a machine of its own would."""

    def __init__(self, address: str, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, 0))
        self._to = ("127.0.0.1", port)

    def close(self) -> None:
        self._socket.close()

    def send(self, *datagrams: bytes) -> None:
        for data in datagrams:
            self._socket.sendto(data, self._to)


def looks(sic: int, count: int = 3, clock_s: float = 0.0) -> list[bytes]:
    """A look of one of the site's radars, now by its clock."""
    sensor = load_site(SITE).sensors[sic - 1]
    plots = noise(sensor, count, time.time() + clock_s, np.random.default_rng())
    return encode_plots(plots, 1, sic, simulated=False)


def health_of(village: Village) -> dict[str, Any]:
    """What the service says of itself; nothing where it is too busy to answer in time."""
    return village.get("/healthz") or {"notes": [], "counts": {}, "sensors": []}


def kept_up(village: Village, sender: Sender, seconds: float) -> None:
    """Radar 1 goes on looking ten times a second."""
    ends_s = time.monotonic() + seconds
    while time.monotonic() < ends_s:
        sender.send(*looks(1))
        time.sleep(0.1)


def test_what_should_not_come_is_counted_shown_and_harmless(tmp_path: Path) -> None:
    port, rng = free_port(socket.SOCK_DGRAM), np.random.default_rng(0)
    with Village(tmp_path, SITE, "--asterix", f"127.0.0.1:{port}") as village:
        village.start_service()
        radar, thief, stranger, astray = (Sender(f"127.0.0.{k}", port) for k in (1, 2, 3, 4))
        kept_up(village, radar, 1.0)
        whole = encode_plots(noise(load_site(SITE).sensors[0], 1, time.time(), rng), 9, 9, simulated=False)[0]

        def misbehave() -> None:
            """Again and again: on a busy machine what waits for a second is dropped, whatever it is."""
            radar.send(*looks(1))
            stranger.send(
                b"", rng.bytes(400), rng.bytes(9_000), whole[:-1], whole[:2], whole + b"\x0f", b"\xee\x00\x05ab"
            )
            stranger.send(b"\x0f\x00\x00", b"\x0f\xff\xff" + whole[3:], whole)
            thief.send(*looks(1))
            astray.send(*looks(2, clock_s=3_600.0), *looks(2, clock_s=-3_600.0))
            stranger.send(*[rng.bytes(1_400)] * 50)

        def counts() -> dict[str, int]:
            return dict(health_of(village)["counts"])

        def noted(words: str) -> bool:
            return any(words in note for note in health_of(village)["notes"])

        ends_s = time.monotonic() + 60.0
        for reason in (
            "127.0.0.3: cut or empty", "127.0.0.3: dropped", "plots: broken data block", "plots: category not read",
            "plots: unknown source", "plots: codes claimed twice", "plots: too late", "plots: from the future",
        ):  # fmt: skip
            while counts().get(reason, 0) == 0:
                assert time.monotonic() < ends_s, (reason, counts())
                misbehave()
                time.sleep(0.1)
            assert f'reason="{reason}"' in village.text("/metrics")[1]
        while not (noted("datagrams are dropped") and noted("127.0.0.2 uses its codes, which 127.0.0.1 has")):
            assert time.monotonic() < ends_s, village.output("service")
            misbehave()
            time.sleep(0.1)
        before_ms = time.time_ns() // 10**6

        def heard_again() -> bool:
            radar.send(*looks(1))
            return any((s["plot_ms"] or 0) > before_ms for s in health_of(village)["sensors"])

        village.until(heard_again, 40.0)
        village.until(lambda: health_of(village).get("status") == "degraded")
        assert not village.journal("command")
        for sender in (radar, thief, stranger, astray):
            sender.close()
        village.end("service")


def test_a_flood_is_told_and_so_is_its_end(tmp_path: Path) -> None:
    """Ten times what one radar is stated to bear. What becomes of a raid amid it: `test_overload.py`."""
    port, site = free_port(socket.SOCK_DGRAM), load_site(SITE)
    with Village(tmp_path, SITE, "--asterix", f"127.0.0.1:{port}") as village:
        village.start_service()
        flood, sender = Noise(site.sensors[0], 10_000.0), Transmitter(Endpoint("127.0.0.1", port))

        def told() -> bool:
            flood.send(sender, time.time())
            found = health_of(village)
            many = found["counts"].get("plots: more than is used", 0) > 500
            return many and any("counter-mortar-radar sends more" in note for note in found["notes"])

        def well() -> bool:
            sender.send(looks(1))
            found = health_of(village)
            return bool(found["sensors"]) and all("sends more" not in note for note in found["notes"])

        village.until(told, 40.0)
        village.until(well, 40.0)
        sender.close()
        village.end("service")
