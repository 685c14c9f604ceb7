"""`make accuracy`: all shots, and docs/accuracy.md with its pictures."""

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from rich.progress import Progress

from accuracy.figures import draw
from accuracy.flyers import DRONES, INNOCENT
from accuracy.flyers_study import FLYER_ROW, FlyerRow, all_flyers
from accuracy.page import page
from accuracy.shots import CASES, CLASSES
from accuracy.study import run_all
from opencram.tables import FloatArray

SHOTS = {"base": 200, "gap": 25, "jump": 25}
OTHER_SHOTS, INNOCENT_TRACKS, DRONE_TRACKS, UNSIZED_TRACKS = 50, 1_050, 200, 200


def main() -> None:
    """Run the study and write the page."""
    parser = argparse.ArgumentParser(prog="accuracy", description=__doc__)
    parser.add_argument("--docs", type=Path, required=True, help="folder of accuracy.md")
    parser.add_argument("--share", type=float, default=1.0, help="of all shots, to try it out (default 1)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--rows", type=Path, help="keeps the rows; where it exists, only the page is made anew")
    args = parser.parse_args()
    if args.rows and args.rows.is_file():
        with np.load(args.rows) as kept:
            write(args.docs, kept["rows"], kept["flown"].tolist(), kept["untold"].tolist(), float(kept["minutes"]))
        return
    began = time.monotonic()
    rows, flown, untold = measure(args.share, args.workers)
    minutes = (time.monotonic() - began) / 60.0
    if args.rows:
        args.rows.parent.mkdir(parents=True, exist_ok=True)
        kept = {"flown": np.array(flown, FLYER_ROW), "untold": np.array(untold, FLYER_ROW)}
        np.savez(args.rows, rows=rows, minutes=minutes, **kept)
    write(args.docs, rows, flown, untold, minutes)


def measure(share: float, workers: int) -> tuple[FloatArray, list[FlyerRow], list[FlyerRow]]:
    """All shots; drones and innocents; and innocents whose size is not told."""
    shots = [
        (case, cls, number)
        for case in CASES
        for cls in CLASSES
        for number in range(round(share * SHOTS.get(case.name, OTHER_SHOTS)))
    ]
    sized = [(cls, n, True) for cls in INNOCENT for n in range(round(share * INNOCENT_TRACKS))]
    sized += [(cls, n, True) for cls in DRONES for n in range(round(share * DRONE_TRACKS))]
    unsized = [(cls, n, False) for cls in INNOCENT for n in range(round(share * UNSIZED_TRACKS))]
    with Progress() as progress:
        bars = [progress.add_task(name) for name in ("shots", "drones and innocents", "the same, size untold")]

        def told(bar: int, done: int, of: int) -> None:
            progress.update(bars[bar], completed=done, total=of)

        rows = run_all(shots, workers, lambda done, of: told(0, done, of))
        flown = all_flyers(sized, workers, lambda done, of: told(1, done, of))
        untold = all_flyers(unsized, workers, lambda done, of: told(2, done, of))
    return np.asarray(rows), flown, untold


def write(docs: Path, rows: FloatArray, flown: list[FlyerRow], untold: list[FlyerRow], minutes: float) -> None:
    """The page and its pictures."""
    pictures = docs / "images" / "accuracy"
    pictures.mkdir(parents=True, exist_ok=True)
    draw(rows, pictures)
    (docs / "accuracy.md").write_text(page(rows, flown, untold, minutes), encoding="utf-8")
    print(f"{docs / 'accuracy.md'} is written")


if __name__ == "__main__":
    main()
