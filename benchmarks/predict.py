"""Two hundred tracks at ten looks a second, every impact refreshed each scan: time per track and update.

Beside it, in the same run: one flight to the ground by a plain C loop and by py-ballisticcalc.
"""

import argparse
import time

import numpy as np

from accuracy.chain import START_NS, site_of
from accuracy.shots import CASES, CLASSES, LOWEST_RAD, P_DETECT, STEP_S, Shot, draw, exact
from flight import ELEVATION_DEG, SPEED_MPS, median_us
from opencram.physics.threats import catalogue
from opencram.stages.plots_to_tracks import TracksState, let_go, plots_to_tracks
from opencram.stages.tracks_to_impacts import ImpactsState, tracks_to_impacts
from opencram.tables import FloatArray, Plots
from peers.c_loop import c_fall
from peers.py_ballisticcalc import ENGINE, shell_to_ground

WARM_S, UNTIL_S = 5.0, 20.0


def shots(count: int) -> list[Shot]:
    """Flights of all classes that are in the air for the whole time; each begins in view."""
    rng, found = np.random.default_rng(0), []
    while len(found) < count:
        shot, seen = draw(CLASSES[len(found) % len(CLASSES)], rng, CASES[0])
        if seen.time_s[0] < 3.0 and shot.impact[2] > UNTIL_S + 1.0:
            found.append(shot)
    return found


def scan_of(flown: list[Shot], number: int, rng: np.random.Generator) -> Plots:
    """All that the radar sees of them at one look."""
    z = exact(np.array([shot.path[number] for shot in flown]))
    z = z[(z[:, 2] >= LOWEST_RAD) & (rng.random(len(z)) < P_DETECT)]
    z[:, :3] += CASES[0].sigma[:3] * rng.standard_normal((len(z), 3))
    z[:, 1] %= 2.0 * np.pi
    order, n = np.argsort(z[:, 0]), len(z)
    time_ns, none = np.full(n, START_NS + round(number * STEP_S * 1e9), np.int64), np.full(n, np.nan)
    columns = [np.ascontiguousarray(z[order, k]) for k in range(3)]
    return Plots(
        time_ns, time_ns, np.zeros(n, np.int64), *columns, none, none, none.copy(), np.full(n, number, np.int64)
    )


def timed(count: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Milliseconds of tracking and of prediction per scan, and how many impacts each refreshed, once warm."""
    flown, rng, site = shots(count), np.random.default_rng(1), site_of(CASES[0])
    tracks, impacts, rows = TracksState(), ImpactsState(), []
    for number in range(int(UNTIL_S / STEP_S)):
        scan = scan_of(flown, number, rng)
        began = time.perf_counter()
        known = plots_to_tracks(tracks, scan, site)
        tracked = time.perf_counter()
        _, _, ends = tracks_to_impacts(impacts, known, scan, site)
        predicted = time.perf_counter()
        let_go(tracks, int(scan.time_ns[0]), site)
        if number * STEP_S >= WARM_S:
            rows.append((1e3 * (tracked - began), 1e3 * (predicted - tracked), len(ends)))
    tracking, predicting, refreshed = np.array(rows).T
    return tracking, predicting, refreshed


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tracks", type=int, default=200)
    tracking, predicting, refreshed = timed(parser.parse_args().tracks)
    each = 1e3 * predicting / np.maximum(refreshed, 1)
    threat, el = catalogue()["shell-155"], np.radians(ELEVATION_DEG)
    y0 = np.array([0.0, 0.0, 0.0, SPEED_MPS * np.cos(el), 0.0, SPEED_MPS * np.sin(el), threat.ln_beta])
    in_c, peer = c_fall(), shell_to_ground(SPEED_MPS, ELEVATION_DEG)
    flights = {"a plain C loop": median_us(lambda: in_c(y0, threat)), f"py-ballisticcalc, {ENGINE}": median_us(peer)}
    print(f"{refreshed.mean():.0f} impacts refreshed a scan")
    for name, ms in (("tracking", tracking), ("prediction", predicting)):
        middle, high = np.percentile(ms, [50, 99])
        print(f"{name:12} a scan: median {middle:6.1f} ms, 99th {high:6.1f}, worst {ms.max():6.1f}")
    print(f"prediction a track and update: mean {each.mean():.0f} us, median scan {np.median(each):.0f} us")
    for name, us in flights.items():
        print(f"one flight to the ground by {name}: {us:.0f} us; an update takes {each.mean() / us:.2f} times that")


if __name__ == "__main__":
    main()
