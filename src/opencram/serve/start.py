"""`opencram serve`: puts the process together, starts the web process, and runs until it is told to stop."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import signal
import socket
import ssl
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from opencram import __version__
from opencram.console import Console
from opencram.errors import InputError
from opencram.outputs.cap_folder import CapFolder, feed_head
from opencram.outputs.source import Provenance, Source, sender_of
from opencram.serve.access.accounts import read_accounts
from opencram.serve.door import Door, check_door, is_reachable, listener, names_in, tls_context
from opencram.serve.keep import Keeper, Play, Resumed
from opencram.serve.link import Act
from opencram.serve.outlets import Outlets, ways_of
from opencram.serve.picture import hello_of
from opencram.serve.radars import over_udp, radar_endpoints
from opencram.serve.reload import Reloader
from opencram.serve.rolls import Rolling
from opencram.serve.secrets import OPERATOR, secrets_folder, token
from opencram.serve.service import LINK_SOURCE, Service, threadsafe
from opencram.serve.sources import NoSensors, Played
from opencram.serve.sources import Source as InputSource
from opencram.serve.systemd import keep_alive, notify
from opencram.serve.tracks_out import TracksOut, sac_sic
from opencram.serve.udp import endpoint
from opencram.serve.webprocess import WebProcess
from opencram.site import Site, load_site
from opencram.steadyclock import SteadyClock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opencram.outputs.sirens.connection import Broker
    from opencram.outputs.sirens.websocket import WebSocketSirens
    from opencram.serve.udp import Endpoint
    from opencram.world.scenario import Scenario

PORT_WAIT_S = 5.0
"""How long a port may still be held by the web process of a service that was killed."""
START_NS = 500_000_000
"""A scenario begins so long after the start of the service."""


@dataclass(frozen=True)
class Asked:
    """What the command line asks for."""

    site: str
    http: str
    mqtt: str | None = None
    record: Path | None = None
    play: str | None = None
    seed: int = 0
    hooks: Path | None = None
    tak: tuple[str, ...] = ()
    tls_cert: Path | None = None
    tls_key: Path | None = None
    log_format: str = "text"
    asterix: tuple[str, ...] = ()
    burst_ms: float = 10.0
    rolling: Rolling = field(default_factory=Rolling)
    asterix_out: tuple[str, ...] = ()
    asterix_code: str = "0/0"
    label: str = ""
    """Stands before each line, where several services share a terminal."""
    reports: Path | None = None


def serve(asked: Asked) -> None:
    """Run the service until SIGINT or SIGTERM; InputError where it cannot begin."""
    from opencram.physics.kernel import warmup

    scenario = _scenario(asked.play)
    site = load_site(asked.site)
    ways_of(site, asked.hooks, asked.tak, time.time_ns)  # bad ones are told before anything is begun
    _broker(asked.mqtt, site)
    sac_sic(asked.asterix_code)
    for text in asked.asterix_out:
        endpoint(text)
    endpoints = radar_endpoints(site, asked.asterix, playing=scenario is not None)
    _has_reports(asked.reports)
    tls = _tls(asked)
    check_door(asked.http, secrets_folder(), tls is not None)
    provenance = Provenance.LIVE if scenario is None else Provenance.SIMULATION
    keeper = Keeper(asked.record or state_folder(site.name), site, provenance, asked.rolling)
    http = _listen(asked.http)
    sirens = _listen(_next_port(http))
    warmup()
    console = Console(as_json=asked.log_format == "json", label=asked.label)
    try:
        asyncio.run(_run(asked, site, scenario, endpoints, keeper, http, sirens, console, tls))
    finally:
        console.close()


def state_folder(site: str) -> Path:
    """Where a site's service keeps its recordings and state, where nothing else is said."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "opencram" / "serve" / re.sub(r"[^\w.-]", "_", site)


def _scenario(name: str | None) -> Scenario | None:
    from opencram.world.scenario import load_scenario

    return None if name is None else load_scenario(name)


def _listen(address: str) -> socket.socket:
    """A listening socket; a port that a killed service's web process still holds is waited for."""
    ends_s = time.monotonic() + PORT_WAIT_S
    while True:
        try:
            return listener(address)
        except InputError as error:
            if "cannot be listened on" not in str(error) or time.monotonic() > ends_s:
                raise
            time.sleep(0.1)


def _next_port(http: socket.socket) -> str:
    """The sirens' address: the port after the one for HTTP."""
    host, port = http.getsockname()[:2]
    return f"[{host}]:{port + 1}" if ":" in host else f"{host}:{port + 1}"


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _has_reports(folder: Path | None) -> None:
    if folder is not None and not folder.is_dir():
        raise InputError(f"--reports: found no folder '{folder}', expected one that holds runs or studies")


def _tls(asked: Asked) -> ssl.SSLContext | None:
    if asked.tls_cert is None and asked.tls_key is None:
        return None
    if asked.tls_cert is None or asked.tls_key is None:
        raise InputError("--tls-cert, --tls-key: found one of the two, expected both or neither")
    return tls_context(asked.tls_cert, asked.tls_key)


def _door(asked: Asked, keeper: Keeper, tls: bool) -> Door:
    return Door(
        secrets=str(secrets_folder().absolute()),
        state=str(keeper.folder.absolute()),
        tls_cert=str(asked.tls_cert.absolute()) if tls and asked.tls_cert else "",
        tls_key=str(asked.tls_key.absolute()) if tls and asked.tls_key else "",
        reachable=is_reachable(asked.http),
        json_log=asked.log_format == "json",
        reports=str(asked.reports.absolute()) if asked.reports else "",
    )


def _named(http: socket.socket, door: Door) -> str:
    """The service's address for those who read it elsewhere: by the certificate's name, where it has one."""
    names = names_in(Path(door.tls_cert)) if door.tls_cert else []
    plain = [name for name in names if not name.startswith("*")]
    return f"{plain[0]}:{http.getsockname()[1]}" if plain and door.reachable else _address(http)


async def _run(
    asked: Asked,
    site: Site,
    scenario: Scenario | None,
    endpoints: Sequence[Endpoint],
    keeper: Keeper,
    http: socket.socket,
    sirens: socket.socket,
    console: Console,
    tls: ssl.SSLContext | None,
) -> None:
    from opencram.outputs.sirens.websocket import WebSocketSirens

    resumed = keeper.resume()
    clock = SteadyClock(not_before_ns=resumed.now_ns + 1)
    source, play = _source(scenario, site, asked.seed, resumed, clock)
    if endpoints:
        source = over_udp(source, site, endpoints, clock.now_ns, round(asked.burst_ms * 1e6))
    tokens = {siren.id: token(f"siren-{siren.id}").encode() for siren in site.sirens}
    token(OPERATOR)
    service = Service(site, source, clock, keeper, resumed, tokens, console)
    if asked.asterix_out:
        service.tracks_out = TracksOut(site, source.provenance, asked.asterix_out, asked.asterix_code)
    documents = scenario.documents() if scenario is not None else None
    keeper.begin(service.state, clock.now_ns(), play, documents)

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, service.stop)
    service.reload = Reloader(service, asked.site).ask
    loop.add_signal_handler(signal.SIGHUP, lambda: service.act(_hung_up(clock)))
    ways = WebSocketSirens(tokens, service.post.received, service.post.lost)
    service.post.add([ways])
    await ways.start(sirens, tls)
    broker = _mqtt(_broker(asked.mqtt, site), service, tokens)
    run = f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(clock.now_ns() // 10**9))}-{secrets.token_hex(3)}"
    door = _door(asked, keeper, tls is not None)
    cap_folder, links = keeper.folder / "cap", f"{door.scheme}://{_named(http, door)}/cap/"
    endpoint = f"{'wss' if tls else 'ws'}://{_address(sirens)}/"
    hello = hello_of(site, run, __version__, LINK_SOURCE[source.provenance], endpoint, str(cap_folder.absolute()))
    teller = Source(sender_of(site), run, source.provenance, _note(scenario))
    hooks, tak = ways_of(site, asked.hooks, asked.tak, clock.now_ns)
    cap = CapFolder(cap_folder, feed_head(site, teller, links), clock.now_ns())
    service.outlets = Outlets(site, teller, clock.now_ns, cap, hooks, tak)
    service.web = WebProcess(hello, http, door, threadsafe(loop, service), lambda note: console.say(note))
    service.tell_standing()
    service.web.start()
    _say_hello(console, site, source, scenario, keeper, http, sirens, door, endpoints)
    notify("READY=1")
    living = asyncio.create_task(keep_alive(lambda: service.ticks))
    try:
        await _until_stopped(service, ways, broker)
    finally:
        living.cancel()


async def _until_stopped(service: Service, ways: WebSocketSirens, broker: asyncio.Task[None] | None) -> None:
    try:
        await service.run()
    finally:
        notify("STOPPING=1")
        if broker is not None:
            broker.cancel()
        service.close()
        if service.outlets is not None:
            await asyncio.to_thread(service.outlets.close)
        if service.web is not None:
            await asyncio.to_thread(service.web.close)
        service.source.close()
        await ways.stop()


def _hung_up(clock: SteadyClock) -> Act:
    """SIGHUP: the zones are to be read again."""
    return Act(act="", kind="reload-zones", targets=(), by="SIGHUP", time_ns=clock.now_ns())


def _note(scenario: Scenario | None) -> str:
    """What CAP messages say of a simulation."""
    return "" if scenario is None else f"Simulated: scenario {scenario.name}. No real event."


def _source(
    scenario: Scenario | None, site: Site, seed: int, resumed: Resumed, clock: SteadyClock
) -> tuple[InputSource, Play | None]:
    """The inputs; a play that a killed service was in the midst of goes on."""
    if scenario is None:
        return NoSensors(), None
    before = resumed.play
    if before is not None and (before.scenario, before.seed) == (scenario.name, seed):
        played = Played(scenario, site, seed, before.start_ns)
        if clock.now_ns() < played.end_ns:
            played.catch_up(clock.now_ns(), resumed.orders, resumed.now_ns)
            return played, before
    played = Played(scenario, site, seed, (clock.now_ns() + START_NS) // 1_000 * 1_000)
    return played, Play(scenario.name, seed, played.start_ns)


def _broker(url: str | None, site: Site) -> Broker | None:
    """The broker that the command line asks for; InputError for one that cannot be, or cannot name the sirens."""
    if url is None:
        return None
    from opencram.outputs.sirens.mqtt import check_names, service_broker

    check_names(siren.id for siren in site.sirens)
    return service_broker(url)


def _mqtt(broker: Broker | None, service: Service, tokens: dict[str, bytes]) -> asyncio.Task[None] | None:
    if broker is None:
        return None
    from opencram.outputs.sirens.mqtt import MqttSirens

    way = MqttSirens(broker, tokens, service.post.received, service.post.lost)
    service.post.add([way])
    return asyncio.create_task(way.run())


def _say_hello(
    console: Console,
    site: Site,
    source: InputSource,
    scenario: Scenario | None,
    keeper: Keeper,
    http: socket.socket,
    sirens: socket.socket,
    door: Door,
    endpoints: Sequence[Endpoint],
) -> None:
    status = source.provenance.cap_status
    playing = f", playing {scenario.name}" if scenario is not None else ""
    console.say(f"opencram serves {site.name}{playing}. All it says is of status {status}.")
    console.say(f"Radars     {_radars(scenario, endpoints)}")
    at = f"{door.scheme}://{_named(http, door)}"
    way = f"{'wss' if door.tls_cert else 'ws'}://{_address(sirens)}/"
    console.say(f"Overview   {at}/   health {at}/healthz   description {at}/docs")
    console.say(f"Sirens     {way}   e.g. opencram siren {_first_siren(site)} --server {at}")
    console.say(f"Tokens     {secrets_folder()} ({_who_may(door)})")
    console.say(f"Recording  {keeper.folder}")
    console.say("Ctrl-C ends it; what stands is kept, and taken up at the next start.")


def _radars(scenario: Scenario | None, endpoints: Sequence[Endpoint]) -> str:
    where = ", ".join(str(at) for at in endpoints)
    if scenario is not None:
        return f"simulated, their ASTERIX sent to {where}" if where else "simulated, in this process"
    return f"ASTERIX at {where}" if where else "none: operators and observers only (--asterix HOST:PORT)"


def _who_may(door: Door) -> str:
    where = "all that reach this address" if door.reachable else "this machine only: loopback"
    users = read_accounts(Path(door.secrets)).users
    return f"{where}, {len(users)} accounts" if users else f"{where}, no accounts"


def _first_siren(site: Site) -> str:
    return site.sirens[0].id if site.sirens else "ID"
