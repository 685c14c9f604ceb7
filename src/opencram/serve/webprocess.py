"""The web process as the pipeline sees it: started, told, and started again when it dies; nothing here ever waits.

What is told is numbered and kept; a writing thread carries what the web process has not had yet, so that a new one
gets all that still stands. Of pictures only the newest is kept. Sending takes a short lock and no system call.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

import msgspec

from opencram.serve.door import Door
from opencram.serve.link import (
    Act,
    ActReply,
    Drill,
    Frames,
    Hello,
    Kept,
    LinkError,
    Picture,
    Ready,
    Told,
    ToPipeline,
    ToWeb,
    frame,
)
from opencram.tables import ZoneWarning

KEPT = 4_096
"""So many of the last things told are kept for a new web process; beyond, the last about each zone."""
MAX_REPLIES = 1_024
STALL_S = 10.0
"""A web process that takes nothing, or says nothing, for so long is ended and started anew."""
BACK_OFF_S = (0.1, 5.0)
"""The first wait before a new start, and the longest; it doubles while the process keeps dying young."""
YOUNG_S = 10.0

OnAct = Callable[[Act], None]
OnNote = Callable[[str], None]


@dataclass
class _Outbox:
    """What waits for the writing thread, under its lock."""

    kept: deque[Kept] = field(default_factory=lambda: deque(maxlen=KEPT))
    last: dict[str, Told] = field(default_factory=dict)
    """The last told about each zone, for when `kept` no longer holds it."""
    replies: deque[ActReply] = field(default_factory=lambda: deque(maxlen=MAX_REPLIES))
    picture: Picture | None = None
    seq: int = 0

    def after(self, seq: int) -> list[Kept]:
        """What was told after number `seq` and is still kept, in order."""
        if self.seq <= seq:
            return []
        new = list(takewhile(lambda item: item.seq > seq, reversed(self.kept)))[::-1]
        if not new or new[0].seq == seq + 1:
            return new
        older = [told for told in self.last.values() if seq < told.seq < new[0].seq]
        return [*sorted(older, key=lambda told: told.seq), *new]


class WebProcess:
    """Keeps a web process running on `listening`; `on_act` and `on_note` are called on a thread of this class.

    `on_act` takes an operator's act and must see to one `reply`; `on_note` takes a sentence when the process died or
    was started again.
    """

    def __init__(
        self,
        hello: Hello,
        listening: socket.socket,
        door: Door,
        on_act: OnAct,
        on_note: OnNote,
        command: Sequence[str] = (sys.executable, "-m", "opencram.serve.web"),
    ) -> None:
        self.hello, self.starts, self.pid = hello, 0, 0
        self.clients, self.counts = 0, dict[str, int]()
        self._listening, self._door, self._command = listening, door, command
        self._on_act, self._on_note = on_act, on_note
        self._news, self._out = threading.Condition(), _Outbox()
        self._closing = threading.Event()
        self._broken, self._why = threading.Event(), ""
        self._thread = threading.Thread(target=self._keep_running, name="web", daemon=True)

    def start(self) -> None:
        """Start it; returns at once."""
        self._thread.start()

    def change(self, hello: Hello) -> None:
        """Speak of other zones from here on: the web process is started anew, and told all that stands."""
        with self._news:
            self.hello, self._why = hello, "the zones have changed"
            self._broken.set()
            self._news.notify()

    def close(self) -> None:
        """End it, after what was told has been written."""
        self._closing.set()
        with self._news:
            self._news.notify()
        self._thread.join(STALL_S)

    # ---- what the pipeline says -----------------------------------------------------------------------------------

    def tell(self, warning: ZoneWarning, by: str = "") -> int:
        """Tell a warning to all who look; its number."""
        with self._news:
            self._out.seq += 1
            told = Told(seq=self._out.seq, warning=warning, by=by)
            self._out.kept.append(told)
            self._out.last[warning.zone] = told
            self._news.notify()
            return told.seq

    def tell_drill(self, step: Drill) -> int:
        """Tell a step of a drill, whose own `seq` is not looked at; its number."""
        with self._news:
            self._out.seq += 1
            self._out.kept.append(msgspec.structs.replace(step, seq=self._out.seq))
            self._news.notify()
            return self._out.seq

    def show(self, picture: Picture) -> None:
        """Show a picture; an earlier one that has not gone out yet is forgotten."""
        with self._news:
            self._out.picture = picture
            self._news.notify()

    def reply(self, act: Act, done: bool, sentence: str) -> None:
        """Answer an act."""
        with self._news:
            self._out.replies.append(ActReply(act=act.act, done=done, sentence=sentence))
            self._news.notify()

    # ---- the thread that writes, and the one that reads -----------------------------------------------------------

    def _keep_running(self) -> None:
        wait_s = BACK_OFF_S[0]
        while not self._closing.is_set():
            begun_s = time.monotonic()
            why = self._run_once()
            if self._closing.is_set():
                return
            self._on_note(f"the web process ended ({why}); it is started again, sirens and warnings go on")
            wait_s = BACK_OFF_S[0] if time.monotonic() - begun_s > YOUNG_S else min(2 * wait_s, BACK_OFF_S[1])
            self._closing.wait(wait_s)

    def _run_once(self) -> str:
        """One life of the web process; why it ended."""
        ours, theirs = socket.socketpair()
        fds = (theirs.fileno(), self._listening.fileno())
        process = subprocess.Popen(  # a session of its own: Ctrl-C is for the pipeline, which then ends it
            [*self._command, *map(str, fds), msgspec.json.encode(self._door)], pass_fds=fds, start_new_session=True
        )
        theirs.close()
        self.pid = process.pid
        self.starts, self._broken = self.starts + 1, threading.Event()
        ours.settimeout(STALL_S)
        reading = threading.Thread(target=self._read, args=(ours, self._broken), name="web-acts", daemon=True)
        reading.start()
        try:
            return self._write(ours)
        finally:
            with contextlib.suppress(OSError):
                ours.shutdown(socket.SHUT_RDWR)
            ours.close()
            _end(process)
            reading.join(1.0)

    def _write(self, link: socket.socket) -> str:
        """Carry over what there is until the link breaks; why it did."""
        with self._news:
            seq, batch = 0, list[ToWeb]([msgspec.structs.replace(self.hello, seq=self._out.seq)])
        try:
            while True:
                link.sendall(b"".join(map(frame, batch)))
                if self._closing.is_set():
                    return "closing"
                if self._broken.is_set():
                    return self._why
                seq, batch = self._next(seq)
        except TimeoutError:
            return f"it took nothing for {STALL_S:g} s"
        except OSError:
            return "it closed the link"

    def _next(self, seq: int) -> tuple[int, list[ToWeb]]:
        """What is new after number `seq`, waiting for it a second at most, and the number reached."""
        out = self._out
        with self._news:
            if not (out.seq > seq or out.replies or out.picture or self._broken.is_set() or self._closing.is_set()):
                self._news.wait(1.0)
            batch: list[ToWeb] = [*out.replies, *out.after(seq)]
            out.replies.clear()
            if out.picture is not None:
                batch.append(out.picture)
                out.picture = None
            return out.seq, batch

    def _read(self, link: socket.socket, broken: threading.Event) -> None:
        frames = Frames(ToPipeline)
        try:
            while data := link.recv(65_536):
                for message in frames.feed(data):
                    self._hear(message)
            self._why = "it closed the link"
        except TimeoutError:  # of the socket: it says something every second
            self._why = f"it said nothing for {STALL_S:g} s"
        except (OSError, LinkError) as error:
            self._why = str(error)
        broken.set()
        with self._news:
            self._news.notify()

    def _hear(self, message: object) -> None:
        if isinstance(message, Act):
            self._on_act(message)
        elif isinstance(message, Ready):
            self.clients, self.counts = message.clients, message.counts


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process: it leaves by itself when its link closes, and is killed if it does not."""
    try:
        process.wait(1.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
