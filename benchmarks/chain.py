"""The whole chain on the six incidents: how many times faster than real time, time per step, memory, start-up."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from opencram.pipeline import step
from opencram.site import load_site
from opencram.state import State
from opencram.world.scenario import load_scenario, scenario_names
from opencram.world.world import World

COMMAND = [sys.executable, "-m", "opencram"]


def steps_of(name: str) -> tuple[float, float, np.ndarray]:
    """Simulated seconds, wall seconds (world and pipeline) and the times of all steps (ms) of one scenario."""
    scenario = load_scenario(name)
    site = load_site(scenario.site)
    world, state, times = World(scenario, site, 0), State(defended=scenario.defence.value), []
    began = time.perf_counter()
    while world.now_ns < world.end_ns:
        now_ns = world.now_ns + world.tick_ns
        inbox = world.advance(now_ns)
        start = time.perf_counter()
        outbox = step(state, inbox, now_ns, site)
        times.append((time.perf_counter() - start) * 1e3)
        world.order(outbox.engagements)
    return (world.end_ns - world.start_ns) * 1e-9, time.perf_counter() - began, np.array(times)


def whole_run(name: str) -> tuple[float, float]:
    """Wall seconds and peak memory (MB) of `opencram run` with everything it writes."""
    code = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, capture_output=True);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)"
    )
    with tempfile.TemporaryDirectory() as folder:
        run = [*COMMAND, "run", name, "--out", str(Path(folder) / "run")]
        began = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", code, *run], capture_output=True, text=True, check=True)
        return time.perf_counter() - began, float(done.stdout)


def main() -> None:
    """Print the tables."""
    steps_of("baghdad-2021-12-19")  # warm
    print(
        f"{'scenario':22} {'x real time':>11} {'step ms: median':>15} {'99 %':>6} {'worst':>6} {'run s':>6} {'MB':>5}"
    )
    for name in scenario_names():
        simulated_s, wall_s, ms = steps_of(name)
        run_s, peak_mb = whole_run(name)
        figures = f"{np.median(ms):15.2f} {np.quantile(ms, 0.99):6.2f} {ms.max():6.2f} {run_s:6.1f} {peak_mb:5.0f}"
        print(f"{name:22} {simulated_s / wall_s:11.0f} {figures}")
    times = []
    for _ in range(10):
        began = time.perf_counter()
        subprocess.run([*COMMAND, "--help"], capture_output=True, check=True)
        times.append(time.perf_counter() - began)
    print(f"opencram --help: median {np.median(times):.2f} s, worst {max(times):.2f} s")


if __name__ == "__main__":
    main()
