"""Makes a siren's sounds heard with what the machine has: a player for WAV files, and a voice."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from opencram.outputs.phrases import LANGUAGES
from opencram.outputs.sirens.sounds import SAID, wav, words

PLAYERS = (("paplay",), ("aplay", "-q"), ("pw-play",), ("afplay",))
VOICES = (("espeak-ng", "-s", "150"), ("espeak", "-s", "150"))
MEMORY = Path("/dev/shm")
"""Where there is this folder, which is in memory, the sounds lie in it: a disk that is full silences nothing."""


class Player:
    """Plays one sound at a time, over and over or once; `fault` says why nothing is heard, empty: nothing is wrong."""

    def __init__(self) -> None:
        self._play, self._speak = _found(PLAYERS), _found(VOICES)
        wanted = ", ".join(command[0] for command in PLAYERS)
        self.fault = "" if self._play else f"no audio player (any of {wanted})"
        self.voice = bool(self._speak)
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        try:
            self._make_sounds()
        except OSError as error:
            self.fault = f"its sounds cannot be written ({error.strerror})"
        self._name, self._round, self._repeat = "", 0, False
        self._running: subprocess.Popen[bytes] | None = None

    def _make_sounds(self) -> None:
        """All of them, before one is wanted."""
        self._folder = tempfile.TemporaryDirectory(prefix="opencram-siren-", dir=MEMORY if MEMORY.is_dir() else None)
        for name in SAID:
            (Path(self._folder.name) / f"{name}.wav").write_bytes(wav(name))

    def play(self, name: str, repeat: bool) -> None:
        """Begin a sound, in the place of any other; it goes on by itself only as `tick` is called."""
        self._end()
        self._name, self._round, self._repeat = name, 0, repeat
        self.tick()

    def stop(self) -> None:
        """Be silent; what is said once is let finish."""
        if self._repeat:
            self._end()
            self._name = ""

    def tick(self) -> None:
        """Go on: tone, words, tone, words in the next language."""
        if not self._name or (self._running is not None and self._running.poll() is None):
            return
        if self._round >= 2 * len(LANGUAGES) and not self._repeat:
            self._name = ""
            return
        command = self._tone_command() if self._round % 2 == 0 else self._words_command()
        self._round += 1
        with suppress(OSError):  # the next is tried all the same
            self._running = (
                subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) if command else None
            )

    def close(self) -> None:
        """Be silent and tidy up."""
        self._end()
        if self._folder is not None:
            self._folder.cleanup()

    def _tone_command(self) -> list[str]:
        if self._folder is None or not self._play:
            return []
        return [*self._play, str(Path(self._folder.name) / f"{self._name}.wav")]

    def _words_command(self) -> list[str]:
        language = LANGUAGES[self._round // 2 % len(LANGUAGES)]
        return [*self._speak, "-v", language, words(self._name, language)] if self._speak else []

    def _end(self) -> None:
        if self._running is not None and self._running.poll() is None:
            self._running.kill()
            self._running.wait()
        self._running = None


def _found(commands: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """The first of several commands that is installed."""
    return next((command for command in commands if shutil.which(command[0])), ())
