"""The feed: all who look, each with a bounded queue of its own, and what stands, for those who come.

An alarm is never left out: a client that cannot take its alarms is disconnected, and finds what stands when it comes
again. Of pictures it gets the newest it can take. Everything here runs in one event loop and waits for no client.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from opencram.serve.history import History
from opencram.serve.link import Drill, Hello, Kept, Picture, SensorSeen, SirenSeen, Told
from opencram.serve.messages import (
    LEVELS,
    MS,
    Beat,
    Health,
    State,
    drill_of,
    frame_of,
    sensor_of,
    siren_of,
    status_of,
    word_of,
    zone_of,
)

HISTORY = 4_096
"""So many words are kept, for those who missed some."""
MAX_CLIENTS = 5_000
MAX_WAITING = 256
"""Words that may wait for one client; it is disconnected before one is left out."""
PICTURE_S = 0.1
BEAT_S = 1.0
"""A client that hears nothing for two of these has lost the service."""
STALL_S = 2.0
"""Without a picture from the pipeline for so long, it is stalled."""
RUNNING = ("notice", "sounding")
FINE = ("ok", "sounding")
SLOW_S = 5.0
"""A client that does not take what is sent for so long, while words wait behind it, is disconnected."""

_json = msgspec.json.Encoder()


class Client:
    """One who looks: at everything, or at one zone. `drop` is called when it cannot take its words.

    `still` says whether it may go on looking; None: for ever. If not, it is dropped and `ended`.
    """

    def __init__(
        self,
        zone: str | None,
        drop: Callable[[], object] = lambda: None,
        still: Callable[[], bool] | None = None,
    ) -> None:
        self.zone, self.drop, self.still, self.ended = zone, drop, still, False
        self.picture: str | None = None
        self.wake = asyncio.Event()
        self._words: deque[str] = deque()
        self._sending_s: float | None = None

    def put(self, word: str) -> None:
        """A word."""
        self._words.append(word)
        self.wake.set()

    def take(self, now_s: float) -> str | None:
        """The next text, words first, then the newest picture; asked for once the one before has been sent."""
        if self._words:
            text: str | None = self._words.popleft()
        else:
            text, self.picture = self.picture, None
        self._sending_s = None if text is None else now_s
        return text

    def too_slow(self, now_s: float) -> bool:
        """Whether it does not take what is being sent, and words wait behind it for too long or too many of them."""
        if self._sending_s is None or not self._words:
            return False
        return len(self._words) > MAX_WAITING or now_s - self._sending_s > SLOW_S


class Feed:
    """What stands, and who looks; `now_s` is a clock that never steps, `past` the folder of the last hours."""

    def __init__(
        self,
        hello: Hello,
        now_s: Callable[[], float] = time.monotonic,
        past: Path | None = None,
    ) -> None:
        self.hello = hello
        self.counts: Counter[str] = Counter()
        self.history = History(past, lambda: _text(self.state(None)), self.counts)
        self._looking: dict[str | None, dict[Client, None]] = {}
        """Who looks, by zone; at None who looks at everything."""
        self.last: dict[str, Told] = {}
        self.drills: dict[str, Drill] = {}
        self.picture: Picture | None = None
        self._zones = {zone.id: zone for zone in hello.zones}
        self._words: deque[Kept] = deque(maxlen=HISTORY)
        self._left_out = 0
        """The number of the last word that is no longer kept."""
        self.seq = 0
        self._now_s = now_s
        self._heard_s, self._shown = now_s(), 0

    # ---- what comes in ----------------------------------------------------------------------------------------------

    def hear(self, message: object) -> None:
        """Take in a message from the pipeline."""
        if isinstance(message, Picture):
            self.picture, self._heard_s = message, self._now_s()
        elif isinstance(message, Told):
            self.last[message.warning.zone] = message
            self._tell(message)
        elif isinstance(message, Drill):
            if message.phase in RUNNING:
                self.drills[message.drill] = message
            else:
                self.drills.pop(message.drill, None)
            self._tell(message)

    def _tell(self, kept: Kept) -> None:
        if len(self._words) == HISTORY:
            self._left_out = self._words[0].seq
        self._words.append(kept)
        self.seq = kept.seq
        text = _text(word_of(kept, self.hello))
        for zone in (None, *zones_of(kept)):
            for client in self._looking.get(zone, ()):
                client.put(text)
        self.history.word(text, kept_ms(kept), self._now_ms())

    def now_ns(self) -> int:
        """The service's time, carried on from the newest picture by a clock that never steps."""
        if self.picture is None:
            return time.time_ns()
        return self.picture.now_ns + round((self._now_s() - self._heard_s) * 1e9)

    def _now_ms(self) -> int:
        return self.now_ns() // 1_000_000

    # ---- who looks --------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def looking(self, client: Client, run: str, after: int) -> Iterator[None]:
        """`client` is told what stands, then each word as it comes; `run` and `after` name the last word it heard."""
        client.put(_text(self.state(client.zone, run, after)))
        self._looking.setdefault(client.zone, {})[client] = None
        try:
            yield
        finally:
            self._leave(client)

    def _leave(self, client: Client) -> None:
        self._looking[client.zone].pop(client, None)

    @property
    def clients(self) -> list[Client]:
        """All who look."""
        return [client for clients in self._looking.values() for client in clients]

    def next_for(self, client: Client) -> str | None:
        """What is to be sent to a client next, once the last has been."""
        return client.take(self._now_s())

    @property
    def full(self) -> bool:
        """Whether no more can be served."""
        return sum(map(len, self._looking.values())) >= MAX_CLIENTS

    def state(self, zone: str | None, run: str = "", after: int = 0) -> State:
        """All that stands in a zone, or everywhere (None); and what was told after the word `after`, if of this run."""
        hello, same = self.hello, run == self.hello.run
        zones = [z for z in hello.zones if zone in (None, z.id)]
        missed = [w for w in self._words if w.seq > after and _wanted(w, zone)] if same else []
        return State(
            run=hello.run,
            seq=self.seq,
            now_ms=self._now_ms(),
            site=hello.site,
            title=hello.title,
            title_fr=hello.title_fr,
            title_ar=hello.title_ar,
            provenance=hello.provenance,
            status=status_of(hello),
            zones=tuple(zone_of(z, self.last.get(z.id), hello) for z in zones),
            drills=tuple(drill_of(d) for d in self.drills.values() if _wanted(d, zone)),
            missed=tuple(word_of(w, hello) for w in missed),
            gap=bool(run) and (not same or after < self._left_out),
        )

    def knows(self, zone: str) -> bool:
        """Whether the site has this zone."""
        return zone in self._zones

    # ---- what goes out by time --------------------------------------------------------------------------------------

    async def pulse(self) -> None:
        """Show pictures and beats, for ever."""
        ticks = 0
        while True:
            await asyncio.sleep(PICTURE_S)
            ticks += 1
            self.drop_slow()
            beat = ticks % round(BEAT_S / PICTURE_S) == 0
            if beat:
                self.drop_ended()
            self.show(beat)

    def drop_slow(self) -> None:
        """Disconnect who cannot take their words; they find what stands when they come again."""
        now_s = self._now_s()
        for client in [c for c in self.clients if c.too_slow(now_s)]:
            self.counts["too slow, disconnected"] += 1
            self._leave(client)
            client.drop()

    def drop_ended(self) -> None:
        """Disconnect who may not look any longer."""
        for client in [c for c in self.clients if c.still is not None and not c.still()]:
            self.counts["session ended, disconnected"] += 1
            client.ended = True
            self._leave(client)
            client.drop()

    def show(self, beat: bool) -> None:
        """Hand a new picture to those who look at everything; with `beat`, whoever gets none gets a beat."""
        picture = self.picture
        fresh = picture is not None and picture.now_ns != self._shown
        drawn, pulse = "", _text(Beat(self._now_ms(), self.stalled)) if beat else ""
        keep = picture is not None and self.history.due(self._now_ms(), bool(picture.tracks))
        if picture is not None and ((fresh and self._looking.get(None)) or keep):
            drawn = _text(frame_of(picture, self._now_ms(), self.stalled))
            if keep:
                self.history.picture(drawn, self._now_ms())
            if fresh:
                self._shown = picture.now_ns
            else:
                drawn = ""
        for client in self.clients:
            if text := drawn if client.zone is None and drawn else pulse:
                self.counts["pictures left out"] += client.picture is not None
                client.picture = text
                client.wake.set()

    # ---- health -----------------------------------------------------------------------------------------------------

    @property
    def frame_age_s(self) -> float:
        """How long ago the pipeline was last heard of."""
        return self._now_s() - self._heard_s

    @property
    def stalled(self) -> bool:
        """Whether the pipeline has fallen silent."""
        return self.frame_age_s > STALL_S

    def levels(self) -> dict[str, int]:
        """How many zones are under which level."""
        known = [told for zone, told in self.last.items() if self.knows(zone)]
        zones = Counter(LEVELS.get(told.warning.state, "quiet") for told in known)
        silent = len(self.hello.zones) - len(known)
        return {level: zones[level] + (silent if level == "quiet" else 0) for level in ("alert", "pre-alert", "quiet")}

    def health(self) -> Health:
        """What is known of every part."""
        picture = self.picture or Picture(now_ns=0)
        parts: list[SirenSeen | SensorSeen] = [*picture.sirens, *picture.sensors]
        degraded = bool(picture.notes) or any(part.state not in FINE for part in parts)
        return Health(
            status="stalled" if self.stalled else "degraded" if degraded else "ok",
            version=self.hello.version,
            site=self.hello.site,
            run=self.hello.run,
            provenance=self.hello.provenance,
            frame_age_s=round(self.frame_age_s, 3),
            sensors=tuple(map(sensor_of, picture.sensors)),
            sirens=tuple(map(siren_of, picture.sirens)),
            notes=picture.notes,
            counts=picture.counts,
            clients=len(self.clients),
            web_counts=dict(self.counts),
        )


def zones_of(kept: Kept) -> tuple[str, ...]:
    """The zones of which something was told."""
    return (kept.warning.zone,) if isinstance(kept, Told) else kept.zones


def kept_ms(kept: Kept) -> int:
    """When it was told."""
    return (kept.warning.time_ns if isinstance(kept, Told) else kept.time_ns) // MS


def _wanted(kept: Kept, zone: str | None) -> bool:
    return zone is None or zone in zones_of(kept)


def _text(message: object) -> str:
    return _json.encode(message).decode()
