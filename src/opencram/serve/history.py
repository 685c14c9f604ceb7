"""The last hours of the feed, a file per minute: what stood at its start, then pictures and words as they were told.

The page plays a minute as it plays the feed. Pictures are thinned; a minute is compressed as it grows, so that asking
for it costs nothing. What is kept has an end in time and in bytes: the oldest minutes go first, and are counted.
"""

from __future__ import annotations

import contextlib
import json
import zlib
from collections import Counter, deque
from collections.abc import Callable, Iterator
from pathlib import Path

MINUTE_MS = 60_000
KEPT_MS = 6 * 3_600_000
MOST_BYTES = 512 * 1024 * 1024
BUSY_MS, IDLE_MS = 500, 5_000
"""A picture is kept so often while there are tracks, and while there are none."""
WORDS = 4_096
"""So many words are listed, for a timeline to mark."""
GZIP = 31
"""The window of zlib that makes gzip of it."""
LEVEL = 4
SUFFIX = ".ndjson.gz"
WORDS_FILE = "words.ndjson"


class History:
    """Keeps what it is told in `folder`, or (None) in memory; `stands` is what stands now, as a message."""

    def __init__(
        self,
        folder: Path | None,
        stands: Callable[[], str],
        counts: Counter[str],
        kept_ms: int = KEPT_MS,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._folder, self._stands, self._counts = folder, stands, counts
        self._kept_ms, self._most_bytes = kept_ms, most_bytes
        self._whole: dict[int, bytes] = {}
        """The minutes that are over, where there is no folder."""
        self._sizes: dict[int, int] = {}
        self._words: deque[tuple[int, str]] = deque(maxlen=WORDS)
        self._start_ms, self._picture_ms = 0, 0
        self._packer, self._packed = zlib.compressobj(LEVEL, zlib.DEFLATED, GZIP), bytearray()
        if folder is not None:
            self._find(folder)

    def _find(self, folder: Path) -> None:
        """Take up what an earlier process kept."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for path in sorted(folder.glob(f"*{SUFFIX}")):
                if (name := path.name.removesuffix(SUFFIX)).isdigit():
                    self._sizes[int(name)] = path.stat().st_size
            for line in (folder / WORDS_FILE).read_text(encoding="utf-8").splitlines():
                with contextlib.suppress(ValueError, KeyError, TypeError):
                    self._words.append((int(json.loads(line)["time_ms"]), line))
        except OSError:
            pass

    # ---- what is told -----------------------------------------------------------------------------------------------

    def due(self, now_ms: int, tracks: bool) -> bool:
        """Whether a picture of now is to be kept."""
        every = BUSY_MS if tracks else IDLE_MS
        return now_ms - self._picture_ms >= every or now_ms // MINUTE_MS * MINUTE_MS != self._start_ms

    def picture(self, text: str, now_ms: int) -> None:
        """Keep a picture."""
        self._turn(now_ms)
        self._picture_ms = now_ms
        self._add(text)

    def word(self, text: str, time_ms: int, now_ms: int) -> None:
        """Keep a word; one that is told again after a restart is known by its text but for the number."""
        if any(time_ms == other and _same(text, line) for other, line in self._words):
            return
        self._turn(now_ms)
        self._add(text)
        self._words.append((time_ms, text))
        if self._folder is not None:
            with self._trying(), (self._folder / WORDS_FILE).open("a", encoding="utf-8") as file:
                file.write(text + "\n")

    def _add(self, text: str) -> None:
        self._packed += self._packer.compress(text.encode() + b"\n")

    def _turn(self, now_ms: int) -> None:
        """Begin a new minute when the last is over."""
        start_ms = now_ms // MINUTE_MS * MINUTE_MS
        if start_ms == self._start_ms:
            return
        if self._start_ms:
            self._close()
        self._start_ms, self._packed = start_ms, bytearray()
        self._packer = zlib.compressobj(LEVEL, zlib.DEFLATED, GZIP)
        self._add(self._stands())

    def _close(self) -> None:
        whole = bytes(self._packed) + self._packer.flush()
        self._sizes[self._start_ms] = len(whole)
        if self._folder is None:
            self._whole[self._start_ms] = whole
        else:
            with self._trying():
                self._path(self._start_ms).write_bytes(whole)
        while self._sizes and (
            min(self._sizes) < self._start_ms - self._kept_ms or sum(self._sizes.values()) > self._most_bytes
        ):
            self._forget(min(self._sizes))

    def _forget(self, start_ms: int) -> None:
        del self._sizes[start_ms]
        self._whole.pop(start_ms, None)
        self._counts["history: minutes forgotten"] += 1
        while self._words and self._words[0][0] < start_ms + MINUTE_MS:
            self._words.popleft()
        if self._folder is not None:
            with self._trying():
                self._path(start_ms).unlink(missing_ok=True)
                lines = "".join(f"{line}\n" for _, line in self._words)
                (self._folder / WORDS_FILE).write_text(lines, encoding="utf-8")

    @contextlib.contextmanager
    def _trying(self) -> Iterator[None]:
        """A full disk costs the past, never the present: it is counted."""
        try:
            yield
        except OSError:
            self._counts["history: not written"] += 1

    def close(self) -> None:
        """Keep the minute that is not over."""
        if self._start_ms:
            self._close()

    # ---- what is asked ----------------------------------------------------------------------------------------------

    @property
    def minutes(self) -> tuple[int, ...]:
        """The start of each minute that is kept, the running one too."""
        return tuple(sorted({*self._sizes, *([self._start_ms] if self._start_ms else [])}))

    @property
    def words(self) -> tuple[str, ...]:
        """The words in them, in order."""
        return tuple(text for _, text in self._words)

    def minute(self, start_ms: int) -> bytes | None:
        """A minute, gzip; None where it is not kept."""
        if start_ms == self._start_ms and start_ms:
            return bytes(self._packed) + self._packer.copy().flush()
        if start_ms not in self._sizes:
            return None
        if self._folder is None:
            return self._whole[start_ms]
        with contextlib.suppress(OSError):
            return self._path(start_ms).read_bytes()
        return None

    def _path(self, start_ms: int) -> Path:
        assert self._folder is not None
        return self._folder / f"{start_ms}{SUFFIX}"


def _same(one: str, other: str) -> bool:
    first, second = json.loads(one), json.loads(other)
    return {**first, "seq": 0} == {**second, "seq": 0}
