"""A stub of the pipeline's process for tests of the web process: the real link and the real child, no pipeline."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from opencram.serve.door import Door, listener
from opencram.serve.link import (
    Act,
    Drill,
    DrillPhase,
    Hello,
    Picture,
    SensorInfo,
    SensorSeen,
    SirenInfo,
    SirenSeen,
    ZoneInfo,
)
from opencram.serve.secrets import token, token_file
from opencram.serve.webprocess import WebProcess
from opencram.tables import ZoneWarning

SECOND_NS = 1_000_000_000
ZONES = ("base", "camp", "town")
FRAME_S = 0.1


def hello(**more: Any) -> Hello:
    given: dict[str, Any] = {
        "run": "r1",
        "version": "0",
        "site": "small",
        "title": "A small site",
        "provenance": "simulation",
        "zones": tuple(ZoneInfo(id=z, name=f"The {z}") for z in ZONES),
        "sirens": (SirenInfo("roof", 33.3, 44.4, ZONES[:2]),),
        "sensors": (SensorInfo("radar", 33.3, 44.4, max_range_m=10_000.0),),
        "lat": 33.3,
        "lon": 44.4,
        "siren_endpoint": "ws://127.0.0.1:8701/",
        "cap_folder": "no-such-folder",
    }
    return Hello(**{**given, **more})


def warning(zone: str, state: str, left_s: float | None = 12.0, **more: Any) -> ZoneWarning:
    given: dict[str, Any] = {
        "time_ns": time.time_ns(),
        "tracks": (3,),
        "p_hit": 0.5,
        "kind": "rocket",
        "reason": f"track 3 (rocket) may hit {zone}",
    }
    return ZoneWarning(zone=zone, state=state, seconds_left=left_s, **{**given, **more})


def picture(**more: Any) -> Picture:
    now_ns = time.time_ns()
    given: dict[str, Any] = {
        "sirens": (SirenSeen(id="roof", state="ok", beat_ns=now_ns),),
        "sensors": (SensorSeen(id="radar", state="ok", plot_ns=now_ns),),
    }
    return Picture(now_ns=now_ns, **{**given, **more})


class Stub:
    """Shows a picture ten times a second until told not to, and answers each act as `answer` says."""

    def __init__(self, folder: Path, said: Hello) -> None:
        self.listening = listener("127.0.0.1:0")
        self.port: int = self.listening.getsockname()[1]
        self.token = token("operator", folder)
        self.token_file = token_file("operator", folder)
        self.acts: list[Act] = []
        self.notes: list[str] = []
        self.answer: Callable[[Act], tuple[bool, str] | None] = lambda act: (True, f"{act.kind} done")
        self.drawing, self.picture = True, picture
        self.web = WebProcess(said, self.listening, Door(secrets=str(folder)), self._on_act, self.notes.append)
        self._over = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def tell_drill(self, phase: DrillPhase, zones: tuple[str, ...] = ("base",), drill: str = "d1") -> int:
        now_ns = time.time_ns()
        step = Drill(
            seq=0,
            drill=drill,
            zones=zones,
            phase=phase,
            time_ns=now_ns,
            starts_ns=now_ns + 60 * SECOND_NS,
            ends_ns=now_ns + 90 * SECOND_NS,
            by="operator",
        )
        return self.web.tell_drill(step)

    def _on_act(self, act: Act) -> None:
        self.acts.append(act)
        if (answer := self.answer(act)) is not None:
            self.web.reply(act, *answer)

    def _draw(self) -> None:
        while not self._over.wait(FRAME_S):
            if self.drawing:
                self.web.show(self.picture())

    def __enter__(self) -> Stub:
        self.web.start()
        self._thread = threading.Thread(target=self._draw)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self.web.close()
        self.listening.close()


@contextlib.contextmanager
def serving(folder: Path, **more: Any) -> Iterator[Stub]:
    """A stub with its web process, answering."""
    import urllib.request

    with Stub(folder, hello(**more)) as stub:
        for _ in range(200):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{stub.url}/healthz", timeout=5):
                break
            time.sleep(0.05)
        yield stub
