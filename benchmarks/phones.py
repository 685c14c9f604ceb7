"""A thousand phones on the feed: how soon an alert of 20 zones reaches the last, and whether a siren waits for them.

This process stands for the pipeline (the real link, pictures of 50 tracks five times a second); beside it run the real
web process, one with all phones, and one with a siren that echoes. 50 clients look at everything, the others at one
zone each; among them are 10 that read nothing, and 10 that read one message a second until the alerts are over.
`--alerts N` and `--phones N` change the numbers.
"""

import argparse
import asyncio
import contextlib
import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from websockets.asyncio.client import connect

from opencram.serve.door import Door, listener
from opencram.serve.link import Hello, Picture, SensorSeen, SirenSeen, TrackSeen, ZoneInfo
from opencram.serve.secrets import token
from opencram.serve.webprocess import WebProcess
from opencram.tables import ZoneWarning
from processes import health, until

ZONES = [f"zone-{i}" for i in range(20)]
OVERVIEWS, DEAF, SLOW = 50, 10, 10
FIRST_S, EVERY_S = 3.0, 0.5
PICTURE_S, SLOW_S = 0.2, 1.0
CATCH_UP_S = 10.0

# ---- the phones, in a process of their own --------------------------------------------------------------------------


async def phone(
    port: int, zone: str | None, heard: list[list[int]], again: list[int], slow: bool, hurry: asyncio.Event
) -> None:
    """One that looks: notes the number of each word and when it came (ns), and comes again when it is cut off."""
    run, after, mine = "", 0, []
    heard.append(mine)
    with contextlib.suppress(asyncio.CancelledError):
        while True:
            query = f"?run={run}&after={after}" + (f"&zone={zone}" if zone else "")
            async with connect(f"ws://127.0.0.1:{port}/ws{query}", compression=None, max_size=None, max_queue=1) as ws:
                with contextlib.suppress(Exception):
                    async for text in ws:
                        now_ns = time.monotonic_ns()
                        kind = text[9:14]
                        if kind == "state":
                            state = json.loads(text)
                            mine += [x for w in state["missed"] for x in (w["seq"], now_ns)]
                            run, after = state["run"], state["seq"]
                        elif kind == "warni":
                            after = json.loads(text)["seq"]
                            mine += [after, now_ns]
                        if slow:
                            with contextlib.suppress(TimeoutError):
                                await asyncio.wait_for(hurry.wait(), SLOW_S)
            again.append(1)


def deaf(port: int) -> socket.socket:
    """One that opened the feed and reads nothing."""
    client = socket.create_connection(("127.0.0.1", port))
    client.sendall(
        f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    return client


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A siren that acknowledges at once."""
    while data := await reader.read(100):
        writer.write(data)


async def phones(port: int, n: int) -> None:
    """All phones; says on stdout when they stand, and what they heard when stdin ends."""
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))  # real phones are on other machines
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    heard: list[list[int]] = []
    again: list[int] = []
    hurry = asyncio.Event()
    deaf_ones = [deaf(port) for _ in range(DEAF if n else 0)]
    tasks = []
    for i in range(n - len(deaf_ones)):
        zone = None if i < OVERVIEWS else ZONES[i % len(ZONES)]
        tasks.append(asyncio.create_task(phone(port, zone, heard, again, i < SLOW, hurry)))
        await asyncio.sleep(0.002)
    say({"ready": True})
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    hurry.set()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for client in deaf_ones:
        client.close()
    say({"heard": heard, "slow": SLOW if n else 0, "again": len(again)})


async def sirens() -> None:
    """The siren alone, on a port that it says."""
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    say({"port": server.sockets[0].getsockname()[1]})
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


def say(what: object) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


# ---- the pipeline's side --------------------------------------------------------------------------------------------


@contextlib.contextmanager
def process(*arguments: object) -> Iterator[tuple[dict[str, Any], subprocess.Popen[str]]]:
    """This script as another process, and the first thing that it said."""
    command = [sys.executable, __file__, *map(str, arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        try:
            yield json.loads(child.stdout.readline()), child
        finally:
            if child.stdin is not None and not child.stdin.closed:
                child.stdin.close()


def picture(now_ns: int) -> Picture:
    tracks = tuple(
        TrackSeen(
            track=i,
            cls="rocket-107mm",
            lat=33.3 + 1e-3 * i,
            lon=44.4,
            height_m=900.0,
            east_mps=100.0,
            north_mps=-50.0,
            up_mps=-30.0,
            impact_ns=now_ns + 10**10,
            impact_lat=33.31,
            impact_lon=44.41,
            major_m=120.0,
            minor_m=40.0,
            axis_deg=30.0,
        )
        for i in range(50)
    )
    sirens = tuple(SirenSeen(id=f"siren-{i}", state="ok", beat_ns=now_ns) for i in range(200))
    return Picture(now_ns=now_ns, tracks=tracks, sirens=sirens, sensors=(SensorSeen(id="radar", state="ok"),))


def measure(web: WebProcess, siren: socket.socket, alerts: int) -> dict[str, Any]:
    """Alert all zones `alerts` times; when each word was told (ns), how long telling took, and the siren's answers."""
    told, telling_ns, answers_ns = [], [], []
    next_s = time.monotonic()
    for i in range(alerts):
        next_s += EVERY_S
        while (left_s := next_s - time.monotonic()) > 0:
            web.show(picture(time.time_ns()))
            time.sleep(min(left_s, PICTURE_S))
        now_ns, state = time.time_ns(), "update" if i else "alert"
        words = [
            ZoneWarning(
                time_ns=now_ns,
                zone=zone,
                state=state,
                tracks=(i,),
                p_hit=0.5,
                seconds_left=20.0,
                kind="rocket",
                reason=f"track {i} (rocket) may hit {zone}: chance 0.5, alert from 0.016 on",
            )
            for zone in ZONES
        ]
        begun_ns = time.perf_counter_ns()
        siren.sendall(b"sound")
        told.append((time.monotonic_ns(), [web.tell(word) for word in words]))
        telling_ns.append((time.perf_counter_ns() - begun_ns) / len(words))
        siren.recv(100)
        answers_ns.append(time.perf_counter_ns() - begun_ns)
    return {"told": told, "telling_us": np.array(telling_ns) * 1e-3, "answers_ms": np.array(answers_ns) * 1e-6}


def children_s() -> float:
    """Processor time of the processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def trial(n: int, alerts: int, siren: socket.socket) -> dict[str, Any]:
    """One trial with `n` phones."""
    listening = listener("127.0.0.1:0")
    port = listening.getsockname()[1]
    hello = Hello(
        run="bench",
        version="0",
        site="bench",
        title="bench",
        provenance="simulation",
        zones=tuple(ZoneInfo(id=zone, name=zone) for zone in ZONES),
    )
    with tempfile.TemporaryDirectory() as folder:
        token("operator", Path(folder))
        web = WebProcess(hello, listening, Door(secrets=folder), lambda act: None, print)
        web.start()
        until(lambda: health(f"http://127.0.0.1:{port}"), 15.0)
        with process("--clients", n, "--port", port) as (_, child):
            time.sleep(FIRST_S)
            found = measure(web, siren, alerts)
            assert child.stdin is not None
            assert child.stdout is not None
            child.stdin.write("the alerts are over\n")
            child.stdin.flush()
            time.sleep(CATCH_UP_S if n else 0.0)
            found["health"] = health(f"http://127.0.0.1:{port}")
            child.stdin.close()
            found |= json.loads(child.stdout.readline())
        before_s = children_s()
        web.close()
        listening.close()
        found["web_s"] = children_s() - before_s
    return found


def deliveries(found: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, int, int]:
    """Of those who read: each word's way (ms), each alert's last (ms); words lost, and heard twice."""
    at_ns = {seq: ns for ns, seqs in found["told"] for seq in seqs}
    last: dict[int, float] = {}
    ways, lost, twice = [], 0, 0
    for i, flat in enumerate(found["heard"]):
        mine = dict(zip(flat[::2], flat[1::2], strict=True))
        everything = i < OVERVIEWS
        zone = i % len(ZONES)
        wanted = [seq for _, seqs in found["told"] for k, seq in enumerate(seqs) if everything or k == zone]
        lost += len(set(wanted) - set(mine))
        twice += len(flat) // 2 - len(mine)
        if i < found["slow"]:
            continue
        for seq, ns in mine.items():
            if seq in at_ns:
                way = (ns - at_ns[seq]) * 1e-6
                ways.append(way)
                last[at_ns[seq]] = max(last.get(at_ns[seq], 0.0), way)
    return np.array(ways), np.array(list(last.values())), lost, twice


def line(name: str, values: np.ndarray, unit: str) -> str:
    figures = [np.median(values), np.quantile(values, 0.99), values.max()]
    return f"{name:58}" + "".join(f"{figure:10.2f}" for figure in figures) + f"  {unit}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alerts", type=int, default=100)
    parser.add_argument("--phones", type=int, default=1_000)
    parser.add_argument("--clients", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--sirens", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.sirens:
        return asyncio.run(sirens())
    if asked.clients is not None:
        return asyncio.run(phones(asked.port, asked.clients))
    with process("--sirens") as (said, _), socket.create_connection(("127.0.0.1", said["port"])) as siren:
        siren.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        alone, crowd = (trial(n, asked.alerts, siren) for n in (0, asked.phones))
    ways, last, lost, twice = deliveries(crowd)
    print(f"{asked.alerts} alerts of {len(ZONES)} zones, {asked.phones} phones, {len(ways)} words delivered")
    print(f"{'':58}{'p50':>10}{'p99':>10}{'worst':>10}")
    print(line("told -> at a phone", ways, "ms"))
    print(line("told -> at the last of all phones", last, "ms"))
    for name, found in (("no phones", alone), (f"{asked.phones} phones", crowd)):
        print(line(f"telling one word, {name}", found["telling_us"], "us"))
        print(line(f"siren: sent before the fan-out -> answered, {name}", found["answers_ms"], "ms"))
    print(f"web process: {crowd['web_s']:.1f} s of processor time")
    print(f"lost {lost}, told twice {twice}; came again {crowd['again']}; {crowd['health']['web_counts']}")


if __name__ == "__main__":
    main()
