"""`opencram siren`: the part of a device, on a terminal: it shows what it does and, if asked, makes sound."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

from opencram.console import Console
from opencram.errors import InputError
from opencram.outputs.sirens.device import Device
from opencram.outputs.sirens.messages import ALARMS, Command
from opencram.outputs.sirens.player import Player
from opencram.outputs.sirens.runner import Mute, Runner, read_memory
from opencram.outputs.sirens.sounds import SYSTEM_FAULT, sound_of, words
from opencram.serve.secrets import read_token, token_file
from opencram.steadyclock import SteadyClock

TICK_S = 0.1
LOOK_AGAIN_S = 1.0
SILENCE_NS = 10_000_000_000
"""Without a word from the service for so long the display says that silence is no safety."""
LOUD, PLAIN = "\x1b[1;7m", "\x1b[0m"


def run_siren(siren_id: str, server: str, mqtt: str | None, own_token: Path | None, sound: bool) -> None:
    """Play the part of a siren until SIGINT or SIGTERM; InputError where it cannot begin."""
    path = own_token or token_file(f"siren-{siren_id}")
    if not path.exists():
        raise InputError(
            f"{path}: found no token for the siren '{siren_id}', expected one: opencram serve makes it at its first "
            "start; on another machine give a copy of it with --token-file"
        )
    secret = read_token(path).encode()
    console = Console()
    try:
        asyncio.run(_run(siren_id, server, mqtt, path, secret, sound, console))
    finally:
        console.close()


async def _run(
    siren_id: str, server: str, mqtt: str | None, path: Path, secret: bytes, sound: bool, console: Console
) -> None:
    speaker = Player() if sound else None
    clock, memory_file = SteadyClock(), _memory_file(siren_id)
    display = Display(console, clock)
    device = Device(siren_id, read_memory(memory_file), speaker.fault if speaker else "")
    runner = Runner(device, secret, clock, speaker or Mute(), memory_file, display.event)
    way = f"the broker {mqtt}" if mqtt else server
    console.say(f"Siren {siren_id} reports to {way}. {_how_loud(speaker)} Ctrl-C ends it.")
    link = asyncio.create_task(_link(runner, server, mqtt, path, display))
    ending = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
    try:
        while not ending.is_set() and not link.done():
            runner.tick()
            display.watch(runner)
            await asyncio.sleep(TICK_S)
    finally:
        if speaker is not None:
            speaker.close()
        display.sum_up(runner)
        link.cancel()
    if link.done() and not link.cancelled():
        link.result()


def _how_loud(speaker: Player | None) -> str:
    if speaker is None:
        return "It shows what it would sound (--sound makes it heard)."
    if speaker.fault:
        return f"It CANNOT be heard: {speaker.fault}; it says so to the service."
    return "It sounds" + (" and speaks." if speaker.voice else "; words are shown only (no espeak-ng here).")


async def _link(runner: Runner, server: str, mqtt: str | None, path: Path, display: Display) -> None:
    if mqtt is not None:
        from opencram.outputs.sirens.mqtt import mqtt_link, siren_broker

        await mqtt_link(runner, siren_broker(mqtt, runner.device.siren, path))
        return
    from opencram.outputs.sirens.websocket import websocket_link

    await websocket_link(runner, await _endpoint(server, display))


async def _endpoint(server: str, display: Display) -> str:
    """The WebSocket at which sirens report, as the service tells it; asked for until there is an answer."""
    if server.startswith(("ws://", "wss://")):
        return server
    if not server.startswith(("http://", "https://")):
        raise InputError(f"--server: found '{server}', expected http://HOST:PORT or ws://HOST:PORT")
    while True:
        try:
            return await asyncio.to_thread(_ask, f"{server.rstrip('/')}/siren-endpoint")
        except (OSError, ValueError, KeyError) as error:
            display.event("link", None, f"{server}: {getattr(error, 'reason', error)}")
            await asyncio.sleep(LOOK_AGAIN_S)


def _ask(url: str) -> str:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(url, timeout=3.0) as answer:
        return str(json.load(answer)["url"])


def _memory_file(siren_id: str) -> Path:
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    folder = Path(state) / "opencram" / "sirens"
    with suppress(OSError):  # what it does not remember it says, and it sounds all the same
        folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{siren_id}.json"


class Display:
    """A line for each thing that happens; what is said over and over is said once."""

    def __init__(self, console: Console, clock: SteadyClock, colour: bool | None = None) -> None:
        self._console, self._clock = console, clock
        self._colour = sys.stdout.isatty() if colour is None else colour
        self._link, self._warned = "", False

    def event(self, what: str, command: Command | None, words: str) -> None:
        """Something happened, as `Runner` tells it."""
        now_ns = self._clock.now_ns()
        if what == "link":
            if words != self._link:
                self._console.say(f"link      {words}", now_ns)
            self._link = words
        elif what == "fault":
            self._loud(f"SYSTEM FAULT  {words}: “{_of_fault()}”", now_ns)
        elif what == "fault over":
            self._console.say(f"restored  {words}", now_ns)
        elif what == "memory":
            self._console.say(f"FAULT     {words}", now_ns)
        elif what == "refused":
            which = f"{command.kind} for {command.zone}: " if command else ""
            self._console.say(f"REFUSED   {which}{words}", now_ns)
        elif what == "sounding" and command is not None:
            self._loud(f"SOUNDING  {_told(command)}", now_ns)
        elif what == "goes on" and command is not None:
            self._console.say(f"goes on   {command.kind} for {command.zone}", now_ns)
        elif what == "says" and command is not None:
            self._console.say(f"says      {_told(command)}", now_ns)
        elif what == "done" and command is not None and command.kind in ALARMS:
            self._console.say(f"silent    {command.kind} for {command.zone} ended ({words or 'ended'})", now_ns)

    def watch(self, runner: Runner) -> None:
        """Say so when the service has said nothing for long."""
        if runner.pulsed_ns is None:
            return
        quiet = self._clock.now_ns() - runner.pulsed_ns > SILENCE_NS
        if quiet and not self._warned:
            self._loud("NO WORD from the service: this siren's silence is no sign of safety", self._clock.now_ns())
        self._warned = quiet

    def sum_up(self, runner: Runner) -> None:
        """What came of it all."""
        refused = runner.refused + runner.device.refused
        starts = ", ".join(f"{zone} {n}" for zone, n in runner.device.starts.items()) or "never"
        told = ", ".join(f"{reason} {n}" for reason, n in sorted(refused.items())) or "nothing"
        self._console.say(f"Sounded for: {starts}. Refused: {told}.")

    def _loud(self, line: str, now_ns: int) -> None:
        self._console.say(f"{LOUD}{line}{PLAIN}" if self._colour else line, now_ns)


def _of_fault() -> str:
    return words(SYSTEM_FAULT)


def _told(command: Command) -> str:
    """What is heard of a command."""
    mark = "" if command.status == "Actual" else f" [{command.status.upper()}]"
    zone = "" if command.kind == "test" else f" for {command.zone}"
    return f"{command.kind}{zone}{mark}: “{words(sound_of(command))}”"
