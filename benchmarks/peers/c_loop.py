"""The point mass in C, compiled when it is needed."""

import ctypes
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from opencram.physics.flight import MACH_ROWS, MACH_STEP
from opencram.physics.threats import Threat
from opencram.tables import FloatArray

STEP_S = 0.05


def c_fall() -> Callable[[FloatArray, Threat], float]:
    """A function that flies a state (7) to the ground; needs gcc."""
    source = Path(__file__).with_name("point_mass.c")
    made = Path(tempfile.mkdtemp()) / "point_mass.so"
    subprocess.run(["gcc", "-O3", "-shared", "-fPIC", "-o", str(made), str(source), "-lm"], check=True)
    fall = ctypes.CDLL(str(made)).fall
    double, row = ctypes.c_double, ctypes.POINTER(ctypes.c_double)
    fall.restype, fall.argtypes = double, [row, double, row, ctypes.c_int, double, double]

    def call(y0: FloatArray, threat: Threat) -> float:
        y, drag = np.array(y0[:6]), np.ascontiguousarray(threat.drag)
        beta = float(np.exp(y0[6]))
        return float(fall(y.ctypes.data_as(row), beta, drag.ctypes.data_as(row), MACH_ROWS, MACH_STEP, STEP_S))

    return call
