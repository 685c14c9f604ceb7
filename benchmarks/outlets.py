"""What CAP, its feed, TAK and hooks cost the process that commands the sirens.

First the processor time of each message. Then how late a thread wakes that sleeps a millisecond at a time, as the
pipeline's does, while the outlets beside it are told of twenty zones twice a second and show TAK fifty tracks; and the
same with nothing told. The difference is what they can cost a siren.
"""

from __future__ import annotations

import argparse
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from opencram.outputs.atom import FeedHead, atom_feed
from opencram.outputs.cap import CapWriter
from opencram.outputs.cap_folder import CapFolder
from opencram.outputs.hooks import hook_message
from opencram.outputs.source import Provenance, Source
from opencram.outputs.tak import TakPicture
from opencram.outputs.tak_link import tak_link
from opencram.serve.link import TrackSeen
from opencram.serve.outlets import Outlets
from opencram.site import Site, load_site
from opencram.tables import ZoneWarning

SITE, TRACKS, ZONES = "baghdad-embassy", 50, 20
SOURCE = Source("bench", "bench", Provenance.SIMULATION, "A benchmark.")


def track(number: int, now_ns: int) -> TrackSeen:
    return TrackSeen(
        track=number, cls="rocket-122", lat=33.3, lon=44.4 + 1e-4 * number, height_m=900.0, east_mps=-90.0,
        north_mps=200.0, up_mps=-60.0, impact_ns=now_ns + 20 * 10**9, impact_lat=33.31, impact_lon=44.4, major_m=300.0,
        minor_m=80.0, axis_deg=20.0,
    )  # fmt: skip


def warning(zone: str) -> ZoneWarning:
    return ZoneWarning(
        time_ns=time.time_ns(), zone=zone, state="update", tracks=(1, 2), p_hit=0.5, seconds_left=12.0, kind="rocket",
        reason="tracks 1 and 2 (rocket) may hit it: chance 0.5, alert from 0.016 on; first impact in 12 s",
    )  # fmt: skip


def processor_ms(work: Callable[[], object], times: int) -> float:
    began = time.thread_time_ns()
    for _ in range(times):
        work()
    return (time.thread_time_ns() - began) * 1e-6 / times


def costs(site: Site) -> dict[str, float]:
    """Processor time of each, ms."""
    writer, said = CapWriter(site, SOURCE), warning(site.zones[0].id)
    messages = [writer.message(said) for _ in range(200)]
    picture = TakPicture(site, SOURCE)
    picture.see([track(i, time.time_ns()) for i in range(TRACKS)])
    for zone in site.zones[:ZONES]:
        picture.tell(warning(zone.id))
    head = FeedHead("bench", "bench")
    return {
        "a CAP message in three languages": processor_ms(lambda: writer.message(said), 500),
        "a feed of 200 messages": processor_ms(lambda: atom_feed(messages, head, 0), 50),
        f"TAK's picture: {TRACKS} tracks, their impacts, {ZONES} zones": processor_ms(
            lambda: list(picture.events(time.time_ns())), 20
        ),
        "what a hook is told": processor_ms(lambda: hook_message(said, site, SOURCE, "x"), 500),
    }


def lateness_ms(site: Site, seconds: float, told: bool) -> np.ndarray:
    """How late each sleep of a millisecond ends, and how long telling takes, which is part of it."""
    hears = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    hears.bind(("127.0.0.1", 0))
    with tempfile.TemporaryDirectory() as folder:
        cap = CapFolder(Path(folder), FeedHead("bench", "bench"), 0)
        links = [tak_link(f"udp://127.0.0.1:{hears.getsockname()[1]}")]
        outlets = Outlets(site, SOURCE, time.time_ns, cap, (), links)
        outlets.show(tuple(track(i, time.time_ns()) for i in range(TRACKS)) if told else ())
        outlets.start()
        late, ends, next_s = [], time.monotonic() + seconds, 0.0
        while (began := time.monotonic()) < ends:
            if told and began > next_s:
                next_s = began + 0.5
                for zone in site.zones[:ZONES]:
                    outlets.tell(warning(zone.id))
            time.sleep(0.001)
            late.append((time.monotonic() - began - 0.001) * 1e3)
        outlets.close()
    hears.close()
    return np.array(late)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=20.0)
    seconds = options.parse_args().seconds
    site = load_site(SITE)
    print("processor time, ms")
    for what, cost in costs(site).items():
        print(f"  {cost:8.3f}  {what}")
    print("how late a sleep of 1 ms ends, ms                        p50      p99     worst")
    for name, told in (("nothing told", False), (f"{ZONES} zones told twice a second, TAK shown", True)):
        late = lateness_ms(site, seconds, told)
        p50, p99 = np.percentile(late, [50, 99])
        print(f"  {name:50} {p50:8.2f} {p99:8.2f} {late.max():8.2f}")


if __name__ == "__main__":
    main()
