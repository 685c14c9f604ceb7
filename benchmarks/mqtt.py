"""Sirens over a real Mosquitto on the loopback: from a command to its answers, with and without TLS and Nagle's wait.

The service (desk, post room) is this process, the sirens are another one; both share the machine with the broker.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import multiprocessing
import tempfile
import time
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from opencram.outputs.cap import Provenance
from opencram.outputs.sirens import connection, mqtt
from opencram.outputs.sirens.desk import Desk
from opencram.outputs.sirens.device import Device
from opencram.outputs.sirens.messages import Ack, ToService
from opencram.outputs.sirens.post import Post
from opencram.outputs.sirens.runner import Runner
from opencram.site import Site
from opencram.steadyclock import SteadyClock
from opencram.tables import ZoneWarning
from peers.mosquitto import Mosquitto, made_up, token_of

PAUSE_S = 0.05
"""Between commands, as between alarms: the wait for a delayed acknowledgement shows only on a quiet line."""


def site_with(zones: int, sirens: int) -> Site:
    """A site with its sirens shared out evenly over its zones."""
    where = {"lat": 33.3, "lon": 44.4}
    ring = ((44.40, 33.30), (44.41, 33.30), (44.41, 33.31), (44.40, 33.30))
    radar = {"id": "radar", "position": where, "range_sigma_m": 10.0, "azimuth_sigma_mrad": 2.0, "elevation_sigma_mrad": 2.0, "update_s": 0.1}  # fmt: skip # noqa: E501
    return Site.model_validate(
        {
            "name": "benchmark",
            "origin": where,
            "zones": [{"id": f"zone-{z}", "title": {"en": f"zone {z}"}, "rings": ((ring,),)} for z in range(zones)],
            "sensors": [radar],
            "sirens": [
                {"id": f"siren-{s}", "position": where, "zones": [f"zone-{s % zones}"], "audible_m": 1.0}
                for s in range(sirens)
            ],
        }
    )


def broker_as(name: str, at: Mosquitto, tls: bool) -> connection.Broker:
    """The broker, to be reached as this siren or as the service."""
    url = at.url if tls else at.url.replace("mqtts", "mqtt")
    return mqtt.broker(url, name, token_of(name), at.folder)


# ---- the sirens' process ----------------------------------------------------------------------------------------


def play_sirens(names: list[str], at: Mosquitto, tls: bool, no_delay: bool) -> None:
    """Be these sirens until this process is ended."""
    connection.NO_DELAY = no_delay
    asyncio.run(_play(names, at, tls))


async def _play(names: list[str], at: Mosquitto, tls: bool) -> None:
    runners = [Runner(Device(name), token_of(name), SteadyClock()) for name in names]
    links = [asyncio.create_task(mqtt.mqtt_link(r, broker_as(r.device.siren, at, tls))) for r in runners]
    while not any(link.done() for link in links):
        for runner in runners:
            runner.tick()
        await asyncio.sleep(0.1)


@contextlib.contextmanager
def sirens_of(site: Site, at: Mosquitto, tls: bool, no_delay: bool) -> Iterator[None]:
    """All sirens of a site, in a process of their own."""
    names = [siren.id for siren in site.sirens]
    process = multiprocessing.get_context("spawn").Process(
        target=play_sirens, args=(names, at, tls, no_delay), daemon=True
    )
    running, at.process = at.process, None  # a process handle is not handed on
    process.start()
    at.process = running
    try:
        yield
    finally:
        process.kill()
        process.join()


# ---- the service's side -----------------------------------------------------------------------------------------


class Service:
    """Desk and post room over the broker; when each answer came, by command and stage."""

    def __init__(self, site: Site, at: Mosquitto, tls: bool) -> None:
        self.clock, self.site = SteadyClock(), site
        self.desk = Desk(site, Provenance.SIMULATION)
        tokens = {siren.id: token_of(siren.id) for siren in site.sirens}
        self.post = Post(self.desk, tokens, self.clock.now_ns, on_heard=self._heard)
        way = mqtt.MqttSirens(broker_as(mqtt.SERVICE, at, tls), tokens, self.post.received, self.post.lost)
        self.post.add([way])
        self.work: Coroutine[Any, Any, None] = way.run()
        self.came_s: dict[tuple[str, str], float] = {}

    def _heard(self, message: ToService, transport: str) -> None:
        if isinstance(message, Ack):
            self.came_s.setdefault((message.id, message.stage), time.perf_counter())

    async def tick(self) -> None:
        while True:
            self.post.tick()
            await asyncio.sleep(0.05)

    async def say(self, state: str, stage: str) -> dict[str, list[float]]:
        """Say so to all zones; ms until each siren's answers came, by stage, of the last one being `stage`."""
        now_ns = self.clock.now_ns()
        told = [
            ZoneWarning(
                time_ns=now_ns, zone=zone.id, state=state, tracks=(1,), p_hit=0.5, seconds_left=9.0, kind="rocket",
                reason="",
            )
            for zone in self.site.zones
        ]  # fmt: skip
        self.came_s.clear()
        began_s = time.perf_counter()
        self.desk.warn(told, now_ns)
        self.post.flush()
        while sum(key[1] == stage for key in self.came_s) < len(self.site.sirens):
            await asyncio.sleep(0.001)
            if time.perf_counter() - began_s > 10.0:
                raise RuntimeError("a siren has not answered within 10 s")
        ms: dict[str, list[float]] = {}
        for (_, came), at_s in self.came_s.items():
            ms.setdefault(came, []).append((at_s - began_s) * 1e3)
        return ms


async def _measure(site: Site, at: Mosquitto, tls: bool, rounds: int) -> dict[str, list[list[float]]]:
    service = Service(site, at, tls)
    tasks = [asyncio.create_task(service.work), asyncio.create_task(service.tick())]
    while any(siren.away for siren in service.desk.state.sirens.values()):
        await asyncio.sleep(0.05)
    await asyncio.sleep(1.0)
    all_ms: dict[str, list[list[float]]] = {}
    for _ in range(rounds):
        for state, last in (("alert", "sounding"), ("all-clear", "done")):
            for stage, ms in (await service.say(state, last)).items():
                all_ms.setdefault(stage, []).append(ms)
            await asyncio.sleep(PAUSE_S)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return all_ms


def measure(zones: int, sirens: int, rounds: int, tls: bool, no_delay: bool) -> dict[str, list[list[float]]]:
    """ms from the warning to each answer, by stage and round."""
    site = site_with(zones, sirens)
    connection.NO_DELAY = no_delay
    with tempfile.TemporaryDirectory(prefix="mosquitto-") as folder:
        at = Mosquitto(Path(folder), made_up(siren.id for siren in site.sirens))
        _configure(at, tls, no_delay)
        at.start()
        try:
            with sirens_of(site, at, tls, no_delay):
                return asyncio.run(_measure(site, at, tls, rounds))
        finally:
            at.kill()


def _configure(at: Mosquitto, tls: bool, no_delay: bool) -> None:
    """Take out of the ready configuration what is measured without."""
    path = at.folder / "mosquitto.conf"
    without = ([] if tls else ["certfile", "keyfile", "tls_version"]) + ([] if no_delay else ["set_tcp_nodelay"])
    lines = [line for line in path.read_text().splitlines() if line.split(" ")[0] not in without]
    path.write_text("\n".join(lines) + "\n")


def spread(ms: list[float]) -> str:
    """Median, 99th percentile and worst."""
    return f"{np.median(ms):8.2f} {np.quantile(ms, 0.99):8.2f} {max(ms):8.2f}"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commands", type=int, default=1_000, help="commands to one siren, alerts and all-clears")
    parser.add_argument("--rounds", type=int, default=100, help="alerts of 20 zones to 200 sirens")
    asked = parser.parse_args()
    print(f"ms from a warning to the answer {'':12} {'median':>8} {'99 %':>8} {'worst':>8}")
    for tls, no_delay in ((True, True), (False, True), (True, False), (False, False)):
        how = f"{'TLS' if tls else 'no TLS'}, {'TCP_NODELAY' if no_delay else 'without it'}"
        few = asked.commands // 2 if no_delay else max(1, asked.commands // 20)  # half of them alerts, half all-clears
        stages = measure(1, 1, few, tls, no_delay)
        for stage in ("received", "sounding", "done"):
            ms = [value for one in stages[stage] for value in one]
            print(f"1 siren, {how:23} {stage:10} {spread(ms)}   of {len(ms):,}", flush=True)
    stages = measure(20, 200, asked.rounds, True, True)
    every = [value for one in stages["sounding"] for value in one]
    print(f"200 sirens, 20 zones, TLS, each {'sounding':10} {spread(every)}   of {len(every):,}")
    print(f"{'':24}the last {'sounding':9} {spread([max(one) for one in stages['sounding']])}   of {asked.rounds}")


if __name__ == "__main__":
    main()
