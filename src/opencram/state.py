"""What the stages keep between ticks: composed, saved, loaded and summed up. No stage sees another's part."""

import hashlib
from dataclasses import dataclass, field

import msgspec
import numpy as np

from opencram.stages.bytes_to_plots import PlotsState
from opencram.stages.impacts_to_threats import ThreatsState
from opencram.stages.plots_to_aligned import AlignedState
from opencram.stages.plots_to_tracks import TracksState
from opencram.stages.threats_to_engagements import EngagementsState
from opencram.stages.threats_to_warnings import WarningsState
from opencram.stages.tracks_to_impacts import ImpactsState
from opencram.tables import FloatArray


@dataclass
class State:
    """One part per stage, each changed in place by the stage that owns it."""

    defended: bool
    """Whether there is a simulated defence; only where every input comes from the simulated world can there be one."""
    plots: PlotsState = field(default_factory=PlotsState)
    aligned: AlignedState = field(default_factory=AlignedState)
    tracks: TracksState = field(default_factory=TracksState)
    impacts: ImpactsState = field(default_factory=ImpactsState)
    threats: ThreatsState = field(default_factory=ThreatsState)
    warnings: WarningsState = field(default_factory=WarningsState)
    engagements: EngagementsState = field(default_factory=EngagementsState)


def save(state: State) -> bytes:
    """The whole state as bytes; `load` gives it back bit for bit."""
    return msgspec.msgpack.encode(state, enc_hook=_plain)


def load(data: bytes) -> State:
    """A state from the bytes of `save`; raises msgspec.DecodeError for anything else."""
    return msgspec.msgpack.decode(data, type=State, dec_hook=_array)


def save_warnings(warnings: WarningsState) -> bytes:
    """What zones have been told, alone; it outlives the rest of a state."""
    return msgspec.msgpack.encode(warnings, enc_hook=_plain)


def load_warnings(data: bytes) -> WarningsState:
    """What zones have been told, from the bytes of `save_warnings`; raises msgspec.DecodeError for anything else."""
    return msgspec.msgpack.decode(data, type=WarningsState)


def digest(state: State) -> str:
    """SHA-256 of the saved state."""
    return hashlib.sha256(save(state)).hexdigest()


def _plain(value: object) -> object:
    if isinstance(value, np.ndarray):
        return [value.dtype.str, list(value.shape), np.ascontiguousarray(value).tobytes()]
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a state holds a {type(value).__name__}, which cannot be saved")


def _array(_: type, value: tuple[str, list[int], bytes]) -> FloatArray:
    dtype, shape, data = value
    return np.frombuffer(data, np.dtype(dtype)).reshape(shape).copy()
