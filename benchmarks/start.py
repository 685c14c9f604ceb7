"""How soon `opencram --help` is there, beside Python alone and Python with typer: `python start.py`.

Processor time of each process (user and system), in seconds, the commands taken in turn.
"""

import resource
import subprocess
import sys

RUNS = 20
COMMANDS = {
    "python": [sys.executable, "-c", "pass"],
    "python with typer": [sys.executable, "-c", "import typer.rich_utils, rich.markdown"],
    "opencram --help": [sys.executable, "-m", "opencram", "--help"],
}


def spent_s(command: list[str]) -> float:
    """Processor time of one run."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Print least, median and most of each."""
    took: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(RUNS):
        for name, command in COMMANDS.items():
            took[name].append(spent_s(command))
    for name, seconds in took.items():
        ranked = sorted(seconds)
        print(f"{name:20} least {ranked[0]:.3f}  median {ranked[RUNS // 2]:.3f}  most {ranked[-1]:.3f}")


if __name__ == "__main__":
    main()
