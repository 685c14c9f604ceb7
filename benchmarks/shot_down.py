"""How many objects of an incident the simulated defence shoots down, over many seeds, beside what the reports say.

    python benchmarks/shot_down.py baghdad-2021-12-19 --seeds 200 --out docs/incidents/baghdad-2021-12-19.md

And how well the defence tells from its tracks what came of its engagements. One process; half a second a run.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from rich.progress import track
from scipy import stats

from opencram.drive.crank import Crank
from opencram.drive.simulate import simulate_in_memory
from opencram.site import load_site
from opencram.world.scenario import Scenario, load_scenario

Verdicts = Counter[tuple[str, str]]
VERDICTS = ("gone", "flies on", "lost", "")


def count(scenario: Scenario, seeds: int) -> tuple[Counter[int], Counter[int], Verdicts]:
    """Runs by how many were shot down and by how many engagements there were; engagements by outcome and verdict."""
    site = load_site(scenario.site)
    down: Counter[int] = Counter()
    fired: Counter[int] = Counter()
    verdicts: Verdicts = Counter()
    for seed in track(range(seeds), scenario.name):
        world, crank = simulate_in_memory(scenario, site, seed)
        down[sum(thing.outcome == "intercepted" for thing in world.objects())] += 1
        fired[len(crank.said.engagements)] += 1
        verdicts.update(judged(crank))
    return down, fired, verdicts


def judged(crank: Crank) -> Iterable[tuple[str, str]]:
    """Of each engagement, what the world drew and what the defence made of it in the end."""
    verdict = {note.engagement: note.kind for note in crank.said.defence}
    return [(effect.outcome, verdict.get(effect.engagement, "")) for effect in crank.said.effects]


def share(k: int, n: int) -> str:
    """A share with its 95 % interval (Wilson 1927)."""
    low, high = stats.binomtest(k, n).proportion_ci(method="wilson")
    return f"{100 * k / n:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def page(scenario: Scenario, seeds: int, down: Counter[int], fired: Counter[int], verdicts: Verdicts) -> str:
    """The page, in Markdown."""
    rows = "\n".join(f"| {n} | {down[n]} | {share(down[n], seeds)} |" for n in range(max(2, *down) + 1))
    said = [f"- {s.text.en} (reported: {s.value:g})" for s in scenario.reported if s.key == "intercepted"]
    said += [f"- {v.text.en}" for d in scenario.disagreements if d.about == "intercepted" for v in d.versions]
    shots = ", ".join(f"{n}: {fired[n]}" for n in sorted(fired))
    table = "\n".join(
        f"| {outcome} | {' | '.join(str(verdicts[outcome, v]) for v in VERDICTS)} |" for outcome in ("kill", "miss")
    )
    told = "\n".join(said)
    return f"""# {scenario.title.en}: how many are shot down

Made by `python benchmarks/shot_down.py {scenario.name} --seeds {seeds}`, seeds 0 to {seeds - 1}. Every run is a
simulation, its chances of kill assumed; `opencram run {scenario.name} --seed N` runs any of them again, with a report.

| shot down | runs of {seeds} | share (95 % interval) |
|---|---|---|
{rows}

The reports:

{told}

So what is reported is one of the outcomes that the simulation gives, and not a measure of it: one event cannot tell
chances of kill apart. Engagements in a run (how often): {shots}.

## What the defence made of it

It is not told what the world drew and [judges by the tracks](../explanation/defence.md#what-came-of-it):

| the world drew | judged gone | judged flying on | lost | run over |
|---|---|---|---|---|
{table}
"""


def main() -> None:
    """Count and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenario")
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    scenario = load_scenario(args.scenario)
    text = page(scenario, args.seeds, *count(scenario, args.seeds))
    if args.out is not None:
        args.out.write_text(text, encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
