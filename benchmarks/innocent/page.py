"""docs/innocent-sky.md from the tally: what was run, and what came of it."""

from collections import Counter
from pathlib import Path
from typing import Any

from innocent.traffic import GROUND_CELLS, PER_HOUR, SHOWER_CHANCE

PAGE = "innocent-sky.md"
NAMES = {
    "airliner": "airliners at 3 to 11 km, 200 to 250 m/s",
    "approach": "aircraft that land or take off, 65 to 80 m/s",
    "helicopter": "helicopters, 20 to 80 m/s, that hover or circle on their way",
    "flock": "flocks of 8 to 40 birds, 8 to 20 m/s, 20 to 100 m wide",
    "bird": "single birds",
    "own": "drones of the site's own, in its corridor",
    "gunfire": "bursts of gunfire into the air, 5 to 50 rounds",
}
ALARMS_SHOWN = 30


def write_page(docs: Path, told: dict[str, Any]) -> None:
    """Write the page into the folder of the documentation."""
    (docs / PAGE).write_text(page(told))


def page(told: dict[str, Any]) -> str:
    """The whole page from a tally as JSON has it."""
    return "\n".join([*_intro(told), *_table(told), *_alarms(told), ""])


def _intro(told: dict[str, Any]) -> list[str]:
    traffic = [f"- {NAMES[kind]}: {mean} an hour" for kind, mean in PER_HOUR.items()]
    return [
        "# The innocent sky",
        "",
        "Sirens that sound for birds are not listened to when rockets come. So: hours of a busy sky in which nothing",
        "is hostile, through the whole chain, and every alarm in it is a fault. This page is written by",
        "",
        f'    make innocent-sky INNOCENT_ARGS="--hours {told["hours"]:g} --seed {told["seed"]} --site {told["site"]}"',
        "",
        "which anybody can repeat (`--hours 1` takes minutes). Traffic is drawn anew for each hour from the hour and",
        "the seed (`benchmarks/innocent/traffic.py`); the pipeline's state goes on from hour to hour. In the mean:",
        "",
        *traffic,
        f"- {GROUND_CELLS} cells of ground for each radar that give a plot in 20 to 60 % of all looks",
        f"- in {100 * SHOWER_CHANCE:.0f} % of all hours a shower of rain; wind up to 8 m/s",
        "- besides, the false plots that the site states for its radars",
        "",
        "All of these figures are assumed. The site has a staring radar that looks ten times a second, which is what",
        "warns of rockets, and a rotating surveillance radar that sees airliners: both kinds of false track are there.",
        "",
    ]


def _table(told: dict[str, Any]) -> list[str]:
    hours, memory = told["hours"], told["memory_mb"]
    rows = [
        ("simulated", f"{hours:g} h, {told['plots']:,} plots"),
        ("alerts, all of them phantoms", f"{told['alerts']}"),
        ("pre-alerts", f"{told['pre_alerts']}"),
        ("tracks confirmed", f"{told['tracks'] / hours:.0f} an hour"),
        ("tracks held for ballistic with nothing that falls near", f"{told['false_ballistic'] / hours:.1f} an hour"),
        ("tracks of bullets", f"{told['gunfire_tracks'] / hours:.1f} an hour"),
        ("of these called a bomb, rocket or shell at any time", f"{told['gunfire_called'] / hours:.1f} an hour"),
        ("resident memory at the start, half way, at the end", _memory(memory)),
        ("times as fast as real time", f"{told['times_real']:.0f}"),
    ]
    return ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows), ""]


def _memory(memory: list[float]) -> str:
    return ", ".join(f"{memory[i]:.0f}" for i in (0, len(memory) // 2, -1)) + " MB"


def _alarms(told: dict[str, Any]) -> list[str]:
    alerts = [alarm for alarm in told["alarms"] if alarm["state"] == "alert"]
    if not alerts:
        return ["No siren sounded."]
    causes = Counter(alarm["nearest"][0].split(" ")[0] if alarm["nearest"] else "nothing" for alarm in alerts)
    shown = [
        f"| {a['hour']} | {a['after_s']:.0f} | {a['zone']} | {a['reason'].split(';')[0]} | {', '.join(a['nearest'])} |"
        for a in alerts[:ALARMS_SHOWN]
    ]
    return [
        "## What sounded, and what truly was nearest",
        "",
        "`python -m innocent.look HOUR FROM TO` in `benchmarks/` shows such a moment from near: each track that is",
        "held for ballistic with no bullet near, plot by plot.",
        "",
        "By what was nearest: " + ", ".join(f"{cause} {n}" for cause, n in causes.most_common()) + ".",
        "",
        "| hour | s | zone | reason | nearest |",
        "|---|---|---|---|---|",
        *shown,
    ]
