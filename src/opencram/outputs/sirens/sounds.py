"""What a siren sounds like: one tone per kind, and the words that follow it. Synthesised, so that nothing is shipped.

What is meant in earnest sweeps without a pause; what is not comes as single soft strokes with silence between them, and
its words begin by saying so. So nobody need know a list to tell them apart.
"""

from __future__ import annotations

import io
import wave
from collections.abc import Callable

import numpy as np

from opencram.outputs.phrases import MAIN, phrases
from opencram.outputs.sirens.messages import ALARMS, Command, Status
from opencram.tables import FloatArray

RATE_HZ = 22_050
LOUD = 0.8

SYSTEM_FAULT = "system-fault"
"""What a siren says by itself when nothing is heard of the service: no alarm, and like none."""

SAID: dict[str, tuple[str, str, Status]] = {
    "rocket": ("alert", "rocket", "Actual"),
    "observed": ("alert", "observed", "Actual"),
    "drone": ("alert", "drone", "Actual"),
    "all-clear": ("all-clear", "any", "Actual"),
    "cancel": ("cancel", "any", "Actual"),
    "exercise": ("alert", "drill", "Exercise"),
    "drill-notice": ("drill-notice", "drill", "Exercise"),
    "exercise-over": ("all-clear", "drill", "Exercise"),
    "test": ("test", "test", "Test"),
    SYSTEM_FAULT: (SYSTEM_FAULT, "any", "Actual"),
}
"""Name of a sound -> state, kind and status under which the catalogue of phrases has the words for it."""


def words(name: str, language: str = MAIN) -> str:
    """What is said after a sound."""
    return phrases().spoken(*SAID[name], language)


def sound_of(command: Command) -> str:
    """The name of a command's sound: an alarm that is not in earnest is an exercise or a test, whatever its kind."""
    if command.status == "Actual" or command.kind in ("drill-notice", "test"):
        return command.kind
    if command.status == "Test":
        return "test"
    return "exercise" if command.kind in ALARMS else "exercise-over"


def tone(name: str) -> FloatArray:
    """Samples of one round of a sound, (n,) in -1 to 1 at RATE_HZ; an alarm's is repeated until it ends."""
    return LOUD * _TONES[name]()


def wav(name: str) -> bytes:
    """The same as a WAV file: 16 bits, one channel."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes((tone(name) * 32_767).astype("<i2").tobytes())
    return out.getvalue()


def _time_s(length_s: float) -> FloatArray:
    return np.arange(round(length_s * RATE_HZ)) / RATE_HZ


def _sweep(low_hz: float, high_hz: float, period_s: float, length_s: float) -> FloatArray:
    """A tone that rises and falls between two frequencies."""
    t = _time_s(length_s)
    hz = low_hz + (high_hz - low_hz) * (0.5 - 0.5 * np.cos(2 * np.pi * t / period_s))
    samples: FloatArray = np.sin(2 * np.pi * np.cumsum(hz) / RATE_HZ)
    return samples


def _steps(hz: tuple[float, ...], each_s: float) -> FloatArray:
    """Tones one after the other, without a pause."""
    return np.concatenate([_steady(h, each_s) for h in hz])


def _steady(hz: float, length_s: float) -> FloatArray:
    """One tone, faded in and out so that it does not click."""
    t = _time_s(length_s)
    fade = np.minimum(1.0, np.minimum(t, length_s - t) / 0.01)
    samples: FloatArray = np.sin(2 * np.pi * hz * t) * fade
    return samples


def _strokes(hz: tuple[float, ...], each_s: float, pause_s: float) -> FloatArray:
    """Strokes of a bell that die away, and a pause."""
    t = _time_s(each_s)
    decay = np.minimum(t / 0.01, 1.0) * np.exp(-5.0 * t / each_s) * 0.5
    return np.concatenate([*(np.sin(2 * np.pi * h * t) * decay for h in hz), np.zeros(round(pause_s * RATE_HZ))])


_TONES: dict[str, Callable[[], FloatArray]] = {
    "rocket": lambda: _sweep(500.0, 1_400.0, 1.0, 6.0),
    "observed": lambda: _sweep(700.0, 1_100.0, 0.25, 6.0),
    "drone": lambda: _steps((440.0, 660.0) * 4, 0.75),
    "all-clear": lambda: _steady(520.0, 8.0),
    "cancel": lambda: _steps((440.0, 330.0), 1.0),
    "exercise": lambda: _strokes((660.0, 523.0), 0.8, 2.4),
    "drill-notice": lambda: _strokes((523.0, 660.0, 784.0), 0.6, 0.5),
    "exercise-over": lambda: _strokes((784.0, 523.0), 0.6, 0.5),
    "test": lambda: _strokes((988.0,), 0.5, 0.5),
    SYSTEM_FAULT: lambda: np.concatenate([*[_steady(220.0, 0.25), np.zeros(RATE_HZ // 8)] * 3, np.zeros(RATE_HZ)]),
}
