"""What sirens sound like: each kind apart from every other, and an exercise like none that is in earnest."""

import io
import itertools
import time
import wave
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import stft

from opencram.outputs.sirens.messages import Command
from opencram.outputs.sirens.player import Player
from opencram.outputs.sirens.sounds import RATE_HZ, SAID, sound_of, tone, wav, words

ALARMS = ("rocket", "observed", "drone")
SAFE = ("exercise", "drill-notice", "exercise-over", "test")
FAULT = "system-fault"


def command(kind: str, status: str) -> Command:
    return Command(
        siren="s", id="z/s/1/0", seq=1, zone="z", kind=kind, status=status, issued_ns=1, expires_ns=2  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["rocket", "drone", "observed", "all-clear", "cancel"])
@pytest.mark.parametrize("status", ["Exercise", "Test"])
def test_what_is_not_in_earnest_never_sounds_as_if_it_were(kind: str, status: str) -> None:
    assert sound_of(command(kind, status)) in SAFE
    assert sound_of(command(kind, "Actual")) == kind


def test_the_words_of_an_exercise_begin_by_saying_so() -> None:
    assert set(SAID) == {*ALARMS, *SAFE, FAULT, "all-clear", "cancel"}
    begins = {"en": ("exercise", "test"), "fr": ("exercice", "essai"), "ar": ("تمرين", "تجربة")}
    for language, marks in begins.items():
        for name in SAFE:
            assert words(name, language).lower().startswith(marks), name
        assert len({words(name, language) for name in SAID}) == len(SAID)


def loudness(name: str) -> np.ndarray:
    """Root mean square in windows of 50 ms, over the loudest."""
    samples = tone(name)
    windows = samples[: len(samples) // 1_102 * 1_102].reshape(-1, 1_102)
    rms = np.sqrt((windows**2).mean(axis=1))
    return rms / rms.max()


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_sounds_without_a_pause(name: str) -> None:
    assert loudness(name).min() > 0.5


def test_a_fault_says_that_it_is_no_alarm() -> None:
    denied = {"en": "This is not an alarm", "fr": "Ceci n’est pas une alerte", "ar": "هذا ليس إنذاراً"}
    assert all(said in words(FAULT, language) for language, said in denied.items())


@pytest.mark.parametrize("name", [*SAFE, FAULT])
def test_what_is_no_alarm_has_silence_in_it(name: str) -> None:
    assert (loudness(name) < 0.05).mean() > 0.2


def spectrum_in_time(name: str) -> np.ndarray:
    """The spectrogram of the first two seconds as a unit vector."""
    samples = np.resize(tone(name), 2 * RATE_HZ)
    _, _, spectrum = stft(samples, RATE_HZ, nperseg=2_048)
    magnitude = np.abs(spectrum).ravel()
    return magnitude / np.linalg.norm(magnitude)


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(sorted(SAID), 2)))
def test_no_two_sounds_are_alike(one: str, other: str) -> None:
    assert spectrum_in_time(one) @ spectrum_in_time(other) < 0.7


@pytest.mark.parametrize("name", sorted(SAID))
def test_a_sound_is_a_wav_file_that_is_not_clipped(name: str) -> None:
    with wave.open(io.BytesIO(wav(name))) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, RATE_HZ)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    assert 8_000 < np.abs(samples.astype(int)).max() < 32_767
    assert 1.0 <= len(samples) / RATE_HZ <= 10.0


# ---- what makes them heard ------------------------------------------------------------------------------------------


@pytest.fixture
def heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A player that keeps what it is given to play, and no voice."""
    made = tmp_path / "aplay"
    made.write_text(f'#!/bin/sh\n/bin/cat "$2" > {tmp_path}/part && /bin/mv {tmp_path}/part {tmp_path}/heard\n')
    made.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path / "heard"


def full(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_disk_that_is_full_when_the_alarm_comes_changes_nothing(heard: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    player = Player()
    monkeypatch.setattr(Path, "write_bytes", full)
    player.play("rocket", repeat=True)
    ends_s = time.monotonic() + 10.0
    while not heard.exists():
        assert time.monotonic() < ends_s
        time.sleep(0.01)
    player.close()
    assert player.fault == ""
    assert heard.read_bytes() == wav("rocket")


def test_sounds_that_cannot_be_written_are_a_fault_that_is_told(heard: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "write_bytes", full)
    player = Player()
    player.play("rocket", repeat=True)
    player.close()
    assert player.fault == "its sounds cannot be written (No space left on device)"
