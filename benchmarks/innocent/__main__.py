"""Hours of innocent sky: does anything sound? `python -m innocent --hours 24 --docs ../docs` (make innocent-sky)."""

import argparse
import json
import sys
import time
from pathlib import Path

from innocent.page import write_page
from innocent.watch import Tally, run
from opencram.site import load_site


def main() -> None:
    """Run, tell how far it is, write the tally and the page after each hour, so that a run broken off is not lost."""
    parser = argparse.ArgumentParser(prog="innocent", description=__doc__)
    parser.add_argument("--hours", type=float, default=24.0, help="simulated hours")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--site", default="erbil-airport", help="a built-in site or the path of one")
    parser.add_argument("--out", type=Path, default=Path("innocent-sky.json"), help="the tally, for machines")
    parser.add_argument("--docs", type=Path, help="folder of the documentation; its page is written anew")
    given = parser.parse_args()
    site = load_site(given.site)

    def keep(tally: Tally) -> None:
        told = {"site": site.name, "seed": given.seed, **tally.plain()}
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(json.dumps(told, indent=1) + "\n")
        if given.docs is not None:
            write_page(given.docs, told)

    tally = run(site, given.seed, given.hours, teller(sys.stderr.isatty()), keep)
    print(f"{tally.hours:g} h: {tally.alerts} alerts, {tally.pre_alerts} pre-alerts; {given.out}")
    for alarm in tally.alarms:
        print(
            f"  {alarm['hour']} {alarm['after_s']} s {alarm['state']} {alarm['reason']}: {', '.join(alarm['nearest'])}"
        )


def teller(live: bool):  # noqa: ANN201
    """Tells how much is done and how long it will take yet: on one line of a terminal, else every half minute."""
    began, last = time.monotonic(), [0.0]

    def tell(done: float, tally: Tally) -> None:
        now = time.monotonic()
        if now - last[0] < (0.5 if live else 30.0):
            return
        last[0] = now
        left_min = (now - began) / max(done, 1e-6) * (1.0 - done) / 60.0
        text = f"{100 * done:5.1f} %, {left_min:.0f} min left, {tally.alerts} alerts"
        print(text, end="\r" if live else "\n", file=sys.stderr, flush=True)

    return tell


if __name__ == "__main__":
    main()
