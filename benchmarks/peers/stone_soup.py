"""The same plots by Stone Soup, put together in two ways: from its library alone, and with models of our own.

Library parts: constant acceleration, its elevation-bearing-range model, a Mahalanobis gate, global nearest neighbour.
Tuned, as fast and as good as we know how to make it: seven ballistic states and a polar measurement in units of sigma,
both on plain floats with analytic Jacobians; a kd-tree in front of the gate; each track predicted once a scan.
"""

import datetime as dt
import math
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from opencram.tables import FloatArray

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from stonesoup.base import Property
    from stonesoup.buffered_generator import BufferedGenerator
    from stonesoup.dataassociator.neighbour import GNNWith2DAssignment
    from stonesoup.dataassociator.tree import DetectionKDTreeGNN2D
    from stonesoup.deleter.time import UpdateTimeStepsDeleter
    from stonesoup.hypothesiser.distance import DistanceHypothesiser
    from stonesoup.initiator.simple import MultiMeasurementInitiator
    from stonesoup.measures import Mahalanobis
    from stonesoup.models.base import GaussianModel, ReversibleModel, TimeVariantModel
    from stonesoup.models.measurement.nonlinear import CartesianToElevationBearingRange, NonLinearGaussianMeasurement
    from stonesoup.models.transition.base import TransitionModel
    from stonesoup.models.transition.linear import CombinedLinearGaussianTransitionModel, ConstantAcceleration
    from stonesoup.predictor.kalman import ExtendedKalmanPredictor, KalmanPredictor
    from stonesoup.reader.base import DetectionReader
    from stonesoup.tracker.simple import MultiTargetTracker
    from stonesoup.types.angle import Bearing, Elevation
    from stonesoup.types.array import StateVector, StateVectors
    from stonesoup.types.detection import Detection
    from stonesoup.types.state import GaussianState
    from stonesoup.updater.kalman import ExtendedKalmanUpdater

START = dt.datetime(2030, 1, 1)
SIGMA = np.array([10.0, 2e-3, 2e-3])
"""Range m, azimuth rad, elevation rad."""
GRAVITY_MPS2, SCALE_HEIGHT_M = 9.80665, 9_800.0
DRAG_UNIT = 1e-4
"""The seventh state is sea-level density times Cd A / 2m, in units of this, 1/m."""
GATE_SIGMAS = 4.5
BIRTH_PLOTS, TENTATIVE_MISSES, MISSES = 4, 2, 5
SPEED_SIGMA_MPS = 250.0


class Ballistic(TransitionModel, GaussianModel, TimeVariantModel):  # type: ignore[misc]
    """State (position, velocity, drag) under gravity and drag in an exponential atmosphere, with white noise."""

    acceleration_noise: float = Property(doc="density, m2/s3")
    drag_noise: float = Property(doc="density, 1/s")
    ndim_state = 7

    def function(self, state: Any, noise: Any = False, time_interval: Any = None, **kwargs: Any) -> StateVectors:  # noqa: ANN401
        """One step of the second order."""
        h = time_interval.total_seconds()
        x = np.asarray(state.state_vector, dtype=float)
        velocity = x[3:6]
        speed = np.sqrt((velocity * velocity).sum(0))
        acceleration = -DRAG_UNIT * x[6] * np.exp(-x[2] / SCALE_HEIGHT_M) * speed * velocity
        acceleration[2] -= GRAVITY_MPS2
        after = x.copy()
        after[:3] += h * velocity + 0.5 * h * h * acceleration
        after[3:6] += h * acceleration
        return StateVectors(after)

    def jacobian(self, state: Any, time_interval: Any = None, **kwargs: Any) -> FloatArray:  # noqa: ANN401
        """Derivative of the step."""
        h = time_interval.total_seconds()
        x = np.asarray(state.state_vector, dtype=float).ravel()
        velocity = x[3:6]
        speed = math.sqrt(velocity @ velocity)
        slowing = -DRAG_UNIT * x[6] * math.exp(-x[2] / SCALE_HEIGHT_M)
        by_state = np.zeros((3, 7))
        by_state[:, 2] = -slowing * speed * velocity / SCALE_HEIGHT_M
        by_state[:, 3:6] = slowing * (np.eye(3) * speed + np.outer(velocity, velocity) / speed)
        by_state[:, 6] = slowing * speed * velocity / x[6]
        f = np.eye(7)
        f[0, 3] = f[1, 4] = f[2, 5] = h
        f[:3] += 0.5 * h * h * by_state
        f[3:6] += h * by_state
        return f

    def covar(self, time_interval: Any = None, **kwargs: Any) -> FloatArray:  # noqa: ANN401
        """Process noise."""
        h = time_interval.total_seconds()
        place, both, velocity = (self.acceleration_noise * x for x in (h**3 / 3.0, h**2 / 2.0, h))
        q = np.zeros((7, 7))
        for axis in range(3):  # faster than index arrays, at this size
            q[axis, axis], q[axis + 3, axis + 3] = place, velocity
            q[axis, axis + 3] = q[axis + 3, axis] = both
        q[6, 6] = self.drag_noise * h
        return q

    def pdf(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Not used by this tracker."""
        raise NotImplementedError

    def rvs(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Not used by this tracker."""
        raise NotImplementedError


class ScaledPolar(NonLinearGaussianMeasurement, ReversibleModel):  # type: ignore[misc]
    """Range, azimuth and elevation, each over its sigma; no azimuth comes near 180 degrees."""

    ndim_meas = 3

    def function(self, state: Any, noise: Any = False, **kwargs: Any) -> StateVectors:  # noqa: ANN401
        """What is measured of the states, one a column."""
        x, y, z = np.asarray(state.state_vector, dtype=float)[:3]
        r = np.sqrt(x * x + y * y + z * z)
        return StateVectors(np.array([r, np.arctan2(y, x), np.arcsin(z / r)]) / SIGMA[:, None])

    def jacobian(self, state: Any, **kwargs: Any) -> FloatArray:  # noqa: ANN401
        """Derivative of the measurement."""
        s = np.asarray(state.state_vector, dtype=float).ravel()
        x, y, z = s[:3]
        flat2 = x * x + y * y
        flat, r2 = math.sqrt(flat2), flat2 + z * z
        r = math.sqrt(r2)
        h = np.zeros((3, len(s)))
        h[0, :3] = x / r, y / r, z / r
        h[1, :2] = -y / flat2, x / flat2
        h[2, :3] = -x * z / (r2 * flat), -y * z / (r2 * flat), flat / r2
        scaled: FloatArray = h / SIGMA[:, None]
        return scaled

    def inverse_function(self, detection: Any, **kwargs: Any) -> StateVector:  # noqa: ANN401
        """The place of a plot."""
        r, az, el = np.asarray(detection.state_vector, dtype=float).ravel() * SIGMA
        out = np.zeros((self.ndim_state, 1))
        out[:3, 0] = r * math.cos(el) * math.cos(az), r * math.cos(el) * math.sin(az), r * math.sin(el)
        return out.view(StateVector)


class OncePredictor(ExtendedKalmanPredictor):  # type: ignore[misc]
    """Predicts a track once a scan: its cache misses where tree and gate pass the time in different ways."""

    def predict(self, prior: Any, timestamp: Any = None, **kwargs: Any) -> Any:  # noqa: ANN401
        """Always the same form of call."""
        return super().predict(prior, timestamp=timestamp, **kwargs)


class Replay(DetectionReader):  # type: ignore[misc]
    """Scans made beforehand."""

    scans: list[Any] = Property(doc="(time, set of detections) of each")

    @BufferedGenerator.generator_method  # type: ignore[untyped-decorator]
    def detections_gen(self) -> Iterator[tuple[dt.datetime, set[Detection]]]:
        """In order."""
        yield from self.scans


class StoneSoup:
    """One of the two trackers on scans (m, 3) of range, azimuth (from x towards y) and elevation."""

    def __init__(self, time_s: FloatArray, scans: list[FloatArray], *, tuned: bool) -> None:
        """Put it together, and make all detections."""
        parts = _tuned() if tuned else _library()
        self._places, predictor, model, prior = parts
        updater = ExtendedKalmanUpdater(model)
        gate = DistanceHypothesiser(predictor, updater, Mahalanobis(), missed_distance=GATE_SIGMAS)

        def associator() -> Any:  # noqa: ANN401
            if not tuned:
                return GNNWith2DAssignment(gate)
            reach = {"max_distance": 200, "max_distance_covariance_multiplier": 10}
            return DetectionKDTreeGNN2D(gate, predictor, updater, **reach)

        birth = MultiMeasurementInitiator(
            prior, UpdateTimeStepsDeleter(TENTATIVE_MISSES), associator(), updater, measurement_model=model,
            min_points=BIRTH_PLOTS,
        )  # fmt: skip
        replay = Replay([_detections(at, z, model, tuned) for at, z in zip(time_s.tolist(), scans, strict=True)])
        end = UpdateTimeStepsDeleter(MISSES)
        self._steps = iter(MultiTargetTracker(birth, end, replay, associator(), updater))
        self._tracks: set[Any] = set()

    def step(self) -> None:
        """Use the next scan."""
        _, self._tracks = next(self._steps)

    def positions(self) -> FloatArray:
        """(k, 3) m: its tracks at that scan's time."""
        means = [np.asarray(track.state_vector, dtype=float)[self._places, 0] for track in self._tracks]
        return np.array(means).reshape(-1, 3)


def _library() -> tuple[Any, ...]:
    """Places of x, y and z in the state, predictor, measurement and prior, of the library's own models."""
    places = [0, 3, 6]
    motion = CombinedLinearGaussianTransitionModel([ConstantAcceleration(2.0)] * 3)
    noise = np.diag(SIGMA[[2, 1, 0]] ** 2)
    model = CartesianToElevationBearingRange(ndim_state=9, mapping=places, noise_covar=noise)
    prior = GaussianState(np.zeros((9, 1)), np.diag([0.0, SPEED_SIGMA_MPS, 12.0] * 3) ** 2)
    return places, KalmanPredictor(motion), model, prior


def _tuned() -> tuple[Any, ...]:
    """The same of our own models."""
    places = [0, 1, 2]
    motion = Ballistic(acceleration_noise=0.05, drag_noise=1e-3)
    model = ScaledPolar(ndim_state=7, mapping=places, noise_covar=np.eye(3))
    mean = np.array([0.0, 0.0, 0.0, 1e-3, 1e-3, 1e-3, 0.8])[:, None]
    prior = GaussianState(mean, np.diag([0.0] * 3 + [SPEED_SIGMA_MPS] * 3 + [0.4]) ** 2)
    return places, OncePredictor(motion), model, prior


def _detections(at_s: float, z: FloatArray, model: Any, tuned: bool) -> tuple[dt.datetime, set[Detection]]:  # noqa: ANN401
    """One scan as Stone Soup takes it."""
    when = START + dt.timedelta(seconds=at_s)
    if tuned:
        vectors = [StateVector(row) for row in z / SIGMA]
    else:
        vectors = [StateVector([Elevation(el), Bearing(az), r]) for r, az, el in z]
    return when, {Detection(vector, timestamp=when, measurement_model=model) for vector in vectors}
