"""Whoever is told of warnings beside the sirens and the browsers: CAP and its feed, hooks, TAK.

They run on a thread of their own, after the sirens: telling them is an append and a wake-up. What fails here is counted
and noted, and holds up nobody: neither the pipeline nor each other.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal

import msgspec

from opencram.outputs.cap import CapMessage, CapWriter
from opencram.outputs.cap_area import area_of
from opencram.outputs.hooks import hook_message
from opencram.outputs.tak import TakPicture
from opencram.tables import ZoneWarning

if TYPE_CHECKING:
    from pathlib import Path

    from opencram.outputs.cap_folder import CapFolder
    from opencram.outputs.hooks import Hook
    from opencram.outputs.source import Source
    from opencram.outputs.tak_link import TakLink
    from opencram.serve.link import Drill, TrackSeen
    from opencram.site import Site

MAX_WAITING = 2_000
"""Warnings that may wait for this thread, every zone of the largest site once; beyond, the oldest are dropped."""
EVERY_S = 1.0
"""TAK is shown all that stands, and the feed is written, so often: one raid makes many messages a second."""
CLOSE_S = 2.0
"""So long hooks may still deliver what waits when the service ends."""
MAX_NOTES = 20

Told = tuple[Literal["news", "standing"], ZoneWarning]


class Outlets:
    """Start it, tell it, close it. `notes` and `counts` are of the last second: what is degraded, what became of what.

    `now_ns` is the service's clock.
    """

    def __init__(
        self,
        site: Site,
        source: Source,
        now_ns: Callable[[], int],
        cap: CapFolder | None = None,
        hooks: Sequence[Hook] = (),
        links: Sequence[TakLink] = (),
    ) -> None:
        self.notes: tuple[str, ...] = ()
        self.counts: dict[str, int] = {}
        self._site, self._source, self._now_ns = site, source, now_ns
        self._cap, self._hooks, self._links = cap, hooks, links
        self._writer = CapWriter(site, source, told=cap.told() if cap else None)
        self._picture = TakPicture(site, source)
        self._tracks: tuple[TrackSeen, ...] = ()
        self._waiting, self._counted = deque[Told](), Counter[str]()
        self._faults = dict(_outline_faults(site))
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready, self._ending, self._news = threading.Event(), asyncio.Event(), asyncio.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="outlets", daemon=True)

    # ---- what the service calls -----------------------------------------------------------------------------------

    def start(self, standing: Iterable[ZoneWarning] = (), whole: bool = True) -> None:
        """Start. `standing` are the warnings under which zones are when the service begins.

        CAP and TAK are told of them, hooks were told before. A CAP alert whose zone is under none any more is ended,
        where these are the `whole` of it: of a service that has lost its state nobody knows what is over.
        """
        still = [_now(warning, self._now_ns()) for warning in standing]
        for warning in [*(self._ended(still) if whole else ()), *still]:
            self._waiting.append(("standing", warning))
        self._thread.start()
        self._ready.wait(CLOSE_S)

    def tell(self, warning: ZoneWarning) -> None:
        """Tell of a warning; never waits."""
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.popleft()
            self._counted["warnings not told on"] += 1
        self._waiting.append(("news", warning))
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(self._news.set)

    def tell_drill(self, step: Drill) -> None:
        """Tell of a step of a drill."""
        for warning in drill_warnings(step):
            self.tell(warning)

    def change_site(self, site: Site) -> None:
        """Speak of other zones from here on: of what waits already, too."""
        self._site = site
        self._writer.change_site(site)
        self._picture.change_site(site)
        self._faults |= dict(_outline_faults(site))

    def show(self, tracks: tuple[TrackSeen, ...]) -> None:
        """The tracks of now, for TAK's next second."""
        self._tracks = tracks

    @property
    def waiting(self) -> int:
        """Warnings that have not been told on yet."""
        return len(self._waiting)

    def close(self) -> None:
        """End; hooks may deliver what waits for them."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join(2.0 * CLOSE_S)

    # ---- the thread -----------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ready.set()
        work = [hook.run() for hook in self._hooks] + [link.run() for link in self._links]
        tasks = [asyncio.ensure_future(one) for one in work]
        taking = asyncio.ensure_future(self._take())
        while not self._ending.is_set():
            with self._guarded("TAK"):
                await self._show_tak()
            self._publish()
            self._sum_up()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), EVERY_S)
        self._news.set()
        await taking
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                while any(hook.busy for hook in self._hooks):
                    await asyncio.sleep(0.01)
        self._publish()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _take(self) -> None:
        """Tell on what waits, one by one: in between, the pipeline's thread may have the interpreter."""
        while not (self._ending.is_set() and not self._waiting):
            if not self._waiting:
                self._news.clear()
                await self._news.wait()
                continue
            self._tell_on(*self._waiting.popleft())
            await asyncio.sleep(0)

    def _tell_on(self, how: str, warning: ZoneWarning) -> None:
        """Tell all of a warning, each whatever becomes of the others."""
        identifier = f"{self._source.run}.{warning.time_ns}.{warning.zone}"
        with self._guarded("CAP"):
            message = self._writer.message(warning)
            identifier = message.identifier
            self._keep(message)
        with self._guarded("TAK"):
            self._picture.tell(warning)
        if how == "news" and self._hooks:
            with self._guarded("hooks"):
                told = hook_message(warning, self._site, self._source, identifier)
                for hook in self._hooks:
                    hook.put(told)

    @contextlib.contextmanager
    def _guarded(self, what: str) -> Iterator[None]:
        """A fault of ours is counted and noted, and the rest goes on."""
        try:
            yield
        except Exception as fault:
            self._counted[f"{what}: faults"] += 1
            self._faults[what] = f"{what}: a fault kept something from being told ({type(fault).__name__}: {fault})"

    def _keep(self, message: CapMessage) -> None:
        if self._cap is None:
            return
        try:
            self._cap.add(message)
            self._faults.pop("cap", None)
        except OSError as error:
            self._counted["cap: not written"] += 1
            self._faults["cap"] = f"CAP: {self._cap.path} takes no messages ({error.strerror})"

    def _publish(self) -> None:
        if self._cap is None:
            return
        try:
            self._cap.publish()
            self._faults.pop("feed", None)
        except OSError as error:
            self._faults["feed"] = f"CAP: {self._cap.path} takes no feed ({error.strerror})"

    async def _show_tak(self) -> None:
        if not self._links:
            return
        self._picture.see(self._tracks)
        for event in self._picture.events(self._now_ns()):
            for link in self._links:
                link.send([event])
            await asyncio.sleep(0)

    def _sum_up(self) -> None:
        for reject in self._writer.rejects(self._now_ns()):
            self._counted[f"{reject.source}: {reject.reason}"] += reject.count
        counts = dict(self._counted)
        for hook in self._hooks:
            counts |= {f"hook {hook.spec.name}: {what}": count for what, count in hook.counts.items()}
        counts |= {f"TAK {link.name}: not sent": link.unsent for link in self._links if link.unsent}
        if self._picture.left_out:
            counts["TAK: tracks left out"] = self._picture.left_out
        hooks = [f"hook {hook.spec.name}: {hook.fault}" for hook in self._hooks if hook.fault]
        links = [f"TAK {link.name}: no way there" for link in self._links if not link.open]
        self.counts, self.notes = counts, (*list(self._faults.values())[:MAX_NOTES], *hooks, *links)

    def _ended(self, standing: Sequence[ZoneWarning]) -> list[ZoneWarning]:
        """All-clears for what CAP says still stands, and ended while the service was away."""
        real = self._source.provenance.cap_status
        zones = {zone.id for zone in self._site.zones} - {warning.zone for warning in standing}
        return [
            ZoneWarning(
                time_ns=self._now_ns(),
                zone=zone,
                state="all-clear",
                tracks=(),
                p_hit=0.0,
                seconds_left=None,
                kind="observed",
                reason="ended while the service was away",
            )
            for zone, status in self._writer.told
            if status == real and zone in zones
        ]


def _now(warning: ZoneWarning, now_ns: int) -> ZoneWarning:
    """A warning told before, as it is told again now."""
    left_s = None
    if warning.seconds_left is not None:
        left_s = max(warning.seconds_left - (now_ns - warning.time_ns) * 1e-9, 0.0)
    return msgspec.structs.replace(warning, time_ns=now_ns, seconds_left=left_s)


def drill_warnings(step: Drill) -> list[ZoneWarning]:
    """A step of a drill as what each of its zones is told, of kind 'drill': an exercise wherever it is said."""
    states = {"notice": "drill-notice", "sounding": "alert", "over": "all-clear", "stopped": "cancel"}
    left_s = (step.starts_ns - step.time_ns) * 1e-9 if step.phase == "notice" else None
    return [
        ZoneWarning(
            time_ns=step.time_ns,
            zone=zone,
            state=states[step.phase],
            tracks=(),
            p_hit=0.0,
            seconds_left=left_s,
            kind="drill",
            reason=step.reason or f"drill {step.phase}, ordered by {step.by}",
        )
        for zone in step.zones
    ]


def ways_of(
    site: Site, hooks: Path | None, tak: Sequence[str], now_ns: Callable[[], int]
) -> tuple[list[Hook], list[TakLink]]:
    """The hooks of a file and the ways to TAK that a command line asks for; InputError for bad ones."""
    from opencram.outputs.hooks import load_hooks
    from opencram.outputs.tak_link import tak_link

    return load_hooks(hooks, site, now_ns) if hooks is not None else [], [tak_link(url) for url in tak]


def _outline_faults(site: Site) -> Iterable[tuple[str, str]]:
    """What is wrong with the zones' outlines, told before it matters."""
    for zone in site.zones:
        for fault in area_of(zone, site.origin).faults:
            yield f"zone {zone.id}", f"CAP: the outline of zone {zone.id} cannot be told: {fault}"
