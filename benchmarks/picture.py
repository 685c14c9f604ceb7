"""How soon a plot on the wire is a word in the browser's banner, and what 300 tracks cost 50 pictures.

`picture.py banner`: the real service; a play of fifty rockets on six zones, whose radar sends ASTERIX over UDP twenty
times a second; Chromium with the page as list, as map (MapLibre, which a machine without a graphics card draws by its
processor) or as plan (`--view list|gl|plan`). Timed is from the reception of the newest datagram of the tick that
decided a word, by the recording, to the first frame of the browser after the word is in the banner.

`picture.py crowd`: the real web process, a picture of 300 tracks ten times a second, 50 clients in another process for
`--seconds`: how old a picture is when it comes, how many were left out, and how the process grows.
"""

import argparse
import asyncio
import json
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from live_service import LiveService
from made_up import given, place, square
from processes import processor_s, resident_mb

ROCKETS, GROUPS = 50, 5
LASTS_S = 45.0
PLACES_M = [(-900.0, -500.0), (0.0, -500.0), (900.0, -500.0), (-900.0, 500.0), (0.0, 500.0), (900.0, 500.0)]
WATCH = """() => {
  window.banner = [];
  new MutationObserver((changes) => requestAnimationFrame(() => {
    for (const change of changes) window.banner.push([Number(change.target.dataset.seq), Date.now()]);
  })).observe(document.getElementById("alarms"), { subtree: true, attributeFilter: ["data-seq"] });
}"""
LISTEN = """
window.came = [];
const Plain = WebSocket;
window.WebSocket = class extends Plain {
  constructor(...args) {
    super(...args);
    this.addEventListener("message", (event) => {
      if (event.data.startsWith('{"type":"warning"')) window.came.push([JSON.parse(event.data).seq, Date.now()]);
    });
  }
};"""
"""A card bears the number of the word that it shows."""


# ---- plot -> banner -------------------------------------------------------------------------------------------------


def write_raid(folder: Path) -> tuple[Path, Path]:
    """A site of six zones with a radar of 20 Hz, and fifty rockets on them."""
    features = []
    for i, (east_m, north_m) in enumerate(PLACES_M):
        properties = {"id": f"zone-{i}", "name": f"zone {i}", "kind": "base", "people": 100}
        shape = {"type": "Polygon", "coordinates": [square(east_m, north_m, 400.0)]}
        features.append({"type": "Feature", "properties": properties, "geometry": shape})
    (folder / "zones.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    radar = {
        "id": "radar", "position": place(0, 0), "range_sigma_m": 10.0, "azimuth_sigma_mrad": 2.0,
        "elevation_sigma_mrad": 2.0, "update_s": 0.05, "detection": 0.9, "asterix": {"sac": 1, "sic": 1},
    }  # fmt: skip
    site = {"name": "bench", "origin": place(0, 0), "zones": "zones.geojson", "sensors": [radar]}
    (folder / "site.yaml").write_text(json.dumps(site))
    groups = [
        {
            "id": f"group-{i}", "kind": "salvo", "threat": given("rocket-122"), "count": given(ROCKETS // GROUPS),
            "first_s": given(6.0 + 0.2 * i), "spacing_s": given({"least": 0.4, "most": 0.4}),
            "from_deg": given(50.0 + 20.0 * i), "elevation_deg": given({"least": 40.0, "most": 45.0}),
            "dispersion_m": given(100.0),
            "aims": [
                {"zone": given(f"zone-{(i + k) % 6}"), "at": given(place(*PLACES_M[(i + k) % 6]))}
                for k in range(ROCKETS // GROUPS)
            ],
        }
        for i in range(GROUPS)
    ]  # fmt: skip
    scenario = {
        "name": "fifty", "title": {"en": "fifty", "fr": "cinquante"}, "site": str(folder / "site.yaml"),
        "start": given("2026-01-01T00:00:00Z"), "duration_s": given(90.0), "defence": given(False), "groups": groups,
    }  # fmt: skip
    (folder / "fifty.yaml").write_text(json.dumps(scenario))
    return folder / "site.yaml", folder / "fifty.yaml"


def banner(view: str) -> None:
    """Play the raid and print how long words took."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        site, scenario = write_raid(folder)
        subprocess.run([sys.executable, "-m", "opencram", "warmup"], check=True, stdout=subprocess.DEVNULL)
        with LiveService(folder, site, "--play", str(scenario)) as service:
            seen, came, words, tracks = watch(service.http, view)
        report(view, seen, came, words, tracks, received(service.record))


def watch(url: str, view: str) -> tuple[list[list[int]], list[list[int]], list[dict[str, Any]], int]:
    """What the banner showed and when, what came to the page, the words told, and the most tracks of a picture."""
    from chromium import chromium

    query = "?view=list" if view == "list" else f"?view=map&map={view}"
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1600, "height": 900})
        page.add_init_script(LISTEN)
        page.goto(url + "/" + query)
        page.wait_for_selector("#board-zones .zone")
        print(f"first screen with every zone: {page.evaluate('performance.now()'):.0f} ms after the address was opened")
        page.evaluate(WATCH)
        tracks, ends_s = 0, time.monotonic() + LASTS_S
        while time.monotonic() < ends_s:
            page.wait_for_timeout(1000)
            said = page.text_content("#tab-tracks") or "-"
            tracks = max(tracks, int(said.split()[-1]) if said.split()[-1].isdigit() else 0)
        seen, came = page.evaluate("window.banner"), page.evaluate("window.came")
    print("mean of a tick's parts, ms: " + stages(url))
    with urllib.request.urlopen(f"{url}/api/history", timeout=10.0) as answer:
        return seen, came, json.load(answer)["words"], tracks


def stages(url: str) -> str:
    """What a tick's parts took on the average, as the service itself tells."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=10.0) as answer:
        text = answer.read().decode()
    found = dict(re.findall(r'opencram_tick_seconds_(\w+{stage="[^"]+"}) (\S+)', text))
    names = [key.partition('"')[2].rstrip('"}') for key in found if key.startswith("sum")]
    mean = {
        name: float(found[f'sum{{stage="{name}"}}']) / max(1.0, float(found[f'count{{stage="{name}"}}']))
        for name in names
    }
    return ", ".join(f"{name} {1e3 * s:.1f}" for name, s in mean.items())


def received(record: Path) -> list[tuple[int, int]]:
    """Of each tick its time and the reception of its newest datagram, ns."""
    from opencram.record.recording import Recording
    from opencram.tables import Datagram

    found = []
    for path in sorted(record.glob("recording-*.mcap")):
        for tick in Recording(path).ticks():
            datagrams = [one.received_ns for one in tick.inbox if isinstance(one, Datagram)]
            if datagrams:
                found.append((tick.now_ns, max(datagrams)))
    return found


def report(
    view: str,
    seen: list[list[int]],
    came: list[list[int]],
    words: list[dict[str, Any]],
    tracks: int,
    ticks: list[tuple[int, int]],
) -> None:
    """Print the figures."""
    wire_ms = {now_ns // 1_000_000: received_ns * 1e-6 for now_ns, received_ns in ticks}
    told_ms = {word["seq"]: word["time_ms"] for word in words if word["type"] == "warning"}
    plot_ms = {seq: wire_ms[ms] for seq, ms in told_ms.items() if ms in wire_ms}
    there, first = first_of(came), first_of(seen)
    print(f"{view}: {len(words)} words, {tracks} tracks at most")
    line("plot received -> word in the page", [there[seq] - ms for seq, ms in plot_ms.items() if seq in there])
    line(
        "word in the page -> first frame of the banner", [ms - there[seq] for seq, ms in first.items() if seq in there]
    )
    line(
        "plot received -> first frame of the banner", [ms - plot_ms[seq] for seq, ms in first.items() if seq in plot_ms]
    )


def first_of(times: list[list[int]]) -> dict[int, int]:
    """The first time of each word."""
    found: dict[int, int] = {}
    for seq, ms in times:
        found.setdefault(seq, ms)
    return found


def line(what: str, ways_ms: list[float]) -> None:
    """A line of figures."""
    if not ways_ms:
        return print(f"{what:46} n    0: the machine was too busy to play the raid")
    figures = [np.median(ways_ms), np.quantile(ways_ms, 0.99), max(ways_ms)]
    print(f"{what:46} n {len(ways_ms):4}  median {figures[0]:6.0f}  99 % {figures[1]:6.0f}  worst {figures[2]:6.0f} ms")


# ---- the crowd ------------------------------------------------------------------------------------------------------


async def clients(port: int, n: int, seconds: float) -> None:
    """All clients; prints how old pictures were when they came (ms), and how many came to each."""
    from websockets.asyncio.client import connect

    ages: list[float] = []
    counts: list[int] = []

    async def one() -> None:
        counts.append(0)
        mine = len(counts) - 1
        async with connect(f"ws://127.0.0.1:{port}/ws", compression=None, max_size=None) as ws:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    async for text in ws:
                        if text[9:16] == "picture":
                            now_ms = int(text[text.index('"now_ms":') + 9 : text.index(",", 20)])
                            ages.append(time.time() * 1e3 - now_ms)
                            counts[mine] += 1

    await asyncio.gather(*(one() for _ in range(n)))
    print(json.dumps({"ages": ages[:: max(1, len(ages) // 20_000)], "counts": counts}))


def many(now_ns: int) -> Any:  # noqa: ANN401
    from opencram.serve.link import Picture, SensorSeen, TrackSeen

    tracks = tuple(
        TrackSeen(
            track=i, cls="rocket-107", lat=33.3 + 1e-4 * i, lon=44.4, height_m=900.0, east_mps=100.0, north_mps=-50.0,
            up_mps=-30.0, impact_ns=now_ns + 10**10, impact_lat=33.31, impact_lon=44.41, major_m=120.0, minor_m=40.0,
            axis_deg=30.0, launch_lat=33.2, launch_lon=44.3, launch_major_m=800.0, launch_minor_m=200.0,
            launch_axis_deg=20.0, seen_ns=now_ns,
        )
        for i in range(300)
    )  # fmt: skip
    return Picture(now_ns=now_ns, tracks=tracks, sensors=(SensorSeen(id="radar", state="ok", plot_ns=now_ns),))


def crowd(n: int, seconds: float) -> None:
    """Show pictures to `n` clients and print the figures."""
    from opencram.serve.door import Door, listener
    from opencram.serve.link import Hello, ZoneInfo
    from opencram.serve.secrets import token
    from opencram.serve.webprocess import WebProcess

    listening = listener("127.0.0.1:0")
    port = listening.getsockname()[1]
    zones = tuple(ZoneInfo(id=f"zone-{i}", name=f"zone {i}") for i in range(20))
    hello = Hello(run="bench", version="0", site="bench", title="bench", provenance="simulation", zones=zones)
    with tempfile.TemporaryDirectory() as folder:
        token("operator", Path(folder))
        web = WebProcess(hello, listening, Door(secrets=folder, state=folder), lambda act: None, print)
        web.start()
        web.show(many(time.time_ns()))
        time.sleep(3.0)
        before_s = processor_s(web.pid)
        command = [sys.executable, __file__, "--clients", str(n), "--port", str(port), "--seconds", str(seconds)]
        said = Path(folder) / "said.json"
        with said.open("w") as out, subprocess.Popen(command, stdout=out) as child:
            sizes, shown = [], 0
            while child.poll() is None:
                web.show(many(time.time_ns()))
                shown += 1
                if shown % 10 == 0:
                    sizes.append(resident_mb(web.pid))
                time.sleep(0.1)
        found = json.loads(said.read_text())
        used_s = processor_s(web.pid) - before_s
        left_out = web.counts.get("pictures left out", 0)
        web.close()
    ages, rates = np.array(found["ages"]), np.array(found["counts"]) / seconds
    print(f"{n} clients, 300 tracks, {seconds:.0f} s: {rates.min():.1f} to {rates.max():.1f} pictures a second each")
    print(f"age of a picture when it comes, ms: median {np.median(ages):.0f}, 99 % {np.quantile(ages, 0.99):.0f}, "
          f"worst {ages.max():.0f}; left out {left_out}")  # fmt: skip
    print(f"processor time of the web process: {1e3 * used_s / sum(found['counts']):.2f} ms for a picture to a client")
    third = max(1, len(sizes) // 3)
    print(f"memory, MB: {np.mean(sizes[:third]):.0f} in the first third, {np.mean(sizes[-third:]):.0f} in the last")


def main() -> None:
    """One of the two."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=["banner", "crowd"])
    parser.add_argument("--view", choices=["list", "gl", "plan"], default="list")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--clients", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.clients:
        asyncio.run(clients(asked.port, asked.clients, asked.seconds))
    elif asked.what == "banner":
        banner(asked.view)
    else:
        crowd(50, asked.seconds)


if __name__ == "__main__":
    main()
