"""Which trackers run on which raids."""

from typing import NamedTuple

from tracking.race import LEARNT, OURS, STOCK, TUNED
from tracking.raid import WIDE_FAR_M, Raid, raid


class Plan(NamedTuple):
    """What to run."""

    loads: tuple[int, ...]
    raids: tuple[int, ...]
    """Of each load: the lightest needs most, for it has the fewest rounds to take a mean over."""
    stock_loads: tuple[int, ...]
    """Where the slowest peer runs, on the first raid only."""
    curve: tuple[int, ...]
    curve_raids: int


FULL = Plan((1, 10, 50, 100), (30, 5, 5, 5), (1, 10, 50, 100), (10, 20, 50, 100, 200, 500, 1_000), 2)
QUICK = Plan((1, 10, 50, 100), (1, 1, 1, 1), (1,), (10, 20, 50, 100), 1)

Job = tuple[Raid, list[str]]


def jobs(plan: Plan) -> tuple[list[Job], list[Job]]:
    """The raids and who runs on each: side by side, and this tracker alone."""
    side_by_side = [
        (raid(n, number), [OURS, LEARNT, TUNED, *([STOCK] if number == 0 and n in plan.stock_loads else [])])
        for n, raids in zip(plan.loads, plan.raids, strict=True)
        for number in range(raids)
    ]
    alone = [(raid(n, number, n, WIDE_FAR_M), [OURS]) for number in range(plan.curve_raids) for n in plan.curve]
    return side_by_side, alone


def work(job: Job) -> int:
    """Roughly how long it takes, for the progress bar: scans times trackers times objects."""
    return len(job[0].time_s) * len(job[1]) * job[0].objects
