"""docs/warning-performance.md: what the raids came to."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from accuracy.page import table
from raids.draw import ALONE, COMPANY, DEFENDED, FALLS, FLIES, SECOND, UPDATES_S, WIND_MPS
from raids.picture import draw
from raids.rules import Outcome
from raids.score import Hit, Row

SHARE, TIMES_LESS = 0.98, 5.0
"""What is asked for: hits warned in time, and how many times less needless alarm than warning the whole site."""
SPARE_S = (2.0, 5.0)
LISTED = 40

HEAD = """# Warning: in time, and for nothing?

Random raids through the whole pipeline, world to warning. This page is written by

    make raids RAIDS_ARGS="--raids {raids}"

which goes on where it was stopped. A raid is drawn from its number alone (`benchmarks/raids/draw.py`), and none is
left out: at either built-in site; its staring radar looks every {updates} s with errors of 5 to 25 m and 1 to 4
mrad, in a third of all raids without range rate, and in {alone:.0f} % without the second radar; {falls:.0f} % with
one salvo of 1 to 20 rockets, bombs or shells of any class, from any side at any elevation of the class up to 70
degrees, at any zone or at several, falling 50 to 400 m about their aims, and in {second:.0f} % of these a second
one; {flies:.0f} % with one to three drones; wind of {wind:g} m/s per axis (one sigma) of which the site knows
nothing; in {company:.0f} % a flock, an airliner or a helicopter besides; in {defended:.0f} % a simulated defence.
All figures are assumed.

A **hit** is an object that came down in a zone; one in two overlapping zones counts in both. It was **warned in
time** if the zone was under alert at the impact, and the alert was told the zone's time to shelter and the sound's
way before it. That was **possible** if a prediction at the Cramer-Rao bound, told the class and fed every plot that
truly came of the object after burn-out, would have passed the zone's threshold as early as that
(`benchmarks/raids/possible.py`: the prediction lies on the true impact point with the bound's covariance; a drone's
true course is known from its fifth plot). That is hard to meet: it asks for no plot to tell an object from clutter,
nor a class from another. Far out a radar may see a shell once in ten seconds, and the bound adds up such plots, which
no tracker can tell from false ones; so the share is told also of hits where the bound over the plots from the first
**run** on (four, none more than 3 s or four looks after the one before) still left the time.

An alarm was **needed** if something came down in the zone, or within its hazard radius of it, while it stood. It
was a **phantom** if it was not, and none of its tracks followed anything hostile. Needless alarm is counted in
people times minutes, beside what it would have been had the whole site been alerted from the first alert to the
last one's end.

"""


def write(docs: Path, rows: Sequence[Row], rules: dict[str, Outcome]) -> None:
    """The page and its picture."""
    pictures = docs / "images" / "raids"
    pictures.mkdir(parents=True, exist_ok=True)
    draw(rows, pictures / "lead.svg")
    (docs / "warning-performance.md").write_text(page(rows, rules), encoding="utf-8")
    print(f"{docs / 'warning-performance.md'} is written")


def page(rows: Sequence[Row], rules: dict[str, Outcome]) -> str:
    """The whole page, as markdown."""
    head = HEAD.format(
        raids=len(rows),
        updates=", ".join(f"{s:g}" for s in UPDATES_S[:-1]) + f" or {UPDATES_S[-1]:g}",
        wind=WIND_MPS,
        **{
            name: 100 * share
            for name, share in (
                *(("alone", ALONE), ("falls", FALLS), ("second", SECOND), ("flies", FLIES)),
                *(("company", COMPANY), ("defended", DEFENDED)),
            )
        },
    )
    return "\n".join([head + _targets(rows), _leads(rows), _late(rows), _phantoms(rows), _rules(rules)])


def _hits(rows: Sequence[Row]) -> list[Hit]:
    return [hit for row in rows for hit in row.hits if hit.possible]


def _targets(rows: Sequence[Row]) -> str:
    hits = _hits(rows)
    share = sum(hit.in_time for hit in hits) / max(len(hits), 1)
    phantoms = sum(alarm.phantom for row in rows for alarm in row.alarms)
    needless, whole = (sum(getattr(row, name) for row in rows) for name in _MINUTES)
    body = [
        [
            "hits warned in time, of those where it was possible",
            _in_time(hits),
            f"{100 * SHARE:.0f} %",
            _met(share >= SHARE),
        ],
        ["the same where it could be followed so early", _in_time([h for h in hits if h.followed]), "", ""],
        *(_with_spare(hits, spare_s) for spare_s in SPARE_S),
        ["phantom alarms", f"{phantoms}", "0", _met(phantoms == 0)],
        [
            "needless alarm, people times minutes",
            f"{needless:,.0f}; the whole site each time: {whole:,.0f}, {whole / max(needless, 1.0):.1f} times as much",
            f"{TIMES_LESS:g} times",
            _met(whole >= TIMES_LESS * needless),
        ],
    ]
    objects, alarms = sum(row.objects for row in rows), sum(len(row.alarms) for row in rows)
    every = sum(len(row.hits) for row in rows)
    return (
        f"## What it is held against\n\n{len(rows):,} raids with {objects:,} objects, {every:,} hits and {alarms:,}"
        " alarms; every alarm ended.\n\n" + table(["", "found", "asked", "met"], body)
    )


def _with_spare(hits: Sequence[Hit], spare_s: float) -> list[str]:
    own = [hit for hit in hits if hit.possible_s is not None and hit.possible_s >= hit.shelter_s + spare_s]
    return [f"the same where the bound had {spare_s:g} s or more to spare", _in_time(own), "", ""]


def _in_time(hits: Sequence[Hit]) -> str:
    share = sum(hit.in_time for hit in hits) / max(len(hits), 1)
    return f"{sum(hit.in_time for hit in hits):,} of {len(hits):,}: {100 * share:.1f} % ({_span(hits)})"


_MINUTES = ("needless_person_min", "whole_site_person_min")


def _span(hits: Sequence[Hit]) -> str:
    """95 % interval of the share in time, by Wilson's score."""
    n, z = max(len(hits), 1), 1.96
    p = sum(hit.in_time for hit in hits) / n
    middle, half = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low, high = ((middle + sign * half) / (1 + z * z / n) for sign in (-1, 1))
    return f"95 % sure: {100 * low:.1f} to {100 * high:.1f}"


def _leads(rows: Sequence[Row]) -> str:
    by: list[tuple[str, Callable[[Row, Hit], bool]]] = [
        (cls, lambda _, h, cls=cls: h.cls == cls)  # type: ignore[misc]
        for cls in sorted({hit.cls for hit in _hits(rows)})
    ]
    by += [
        (f"looks every {s:g} s", lambda r, _, s=s: r.update_s == s)  # type: ignore[misc]
        for s in UPDATES_S
    ]
    by.append(("**all**", lambda *_: True))
    body = []
    for name, which in by:
        own = [hit for row in rows for hit in row.hits if which(row, hit)]
        possible = [hit for hit in own if hit.possible]
        leads = [hit.warned_s if hit.warned_s is not None else -np.inf for hit in possible]
        if not possible:
            continue
        quantiles = [f"{np.quantile(leads, q, method='lower'):.0f}" for q in (0.01, 0.1, 0.5, 0.9)]
        late = sum(not hit.in_time for hit in possible)
        behind = [hit.possible_s - hit.passed_s for hit in possible if hit.passed_s is not None and hit.possible_s]
        line = [name, f"{len(own):,}", f"{len(possible):,}", str(late), f"{100 * (1 - late / len(possible)):.1f}"]
        body.append([*line, *quantiles, f"{np.median(behind):.1f}" if behind else "–"])
    head = ["", "hits", "possible", "late", "in time, %", "1 %", "10 %", "50 %", "90 %", "behind the bound, s"]
    return (
        "## How early\n\n![Lead times](images/raids/lead.svg)\n\nSeconds from the alert, heard, to the impact, of hits"
        " where it was possible to warn in time: 1, 10, 50 and 90 % have less (-inf: no alert stood). Behind the bound:"
        " by how much later than the bound's the chance that the pipeline saw passed the threshold, in the median;"
        " below 0 where another object had passed it before.\n\n" + table(head, body)
    )


def _late(rows: Sequence[Row]) -> str:
    late = [(row, hit) for row in rows for hit in row.hits if hit.possible and not hit.in_time]
    waited = sum(hit.passed_s is not None and hit.passed_s >= hit.shelter_s for _, hit in late)
    body = [
        [
            *(str(row.number), f"{row.update_s:g}", hit.cls, hit.zone, f"{hit.shelter_s:.0f}"),
            *(_s(x) for x in (hit.first_plot_s, hit.possible_s, hit.passed_s, hit.warned_s)),
        ]
        for row, hit in late[:LISTED]
    ]
    head = ["raid", "looks every, s", "what", "zone", "needs, s", "first plot", "possible", "passed", "warned"]
    return (
        f"## What was late\n\n{len(late)} hits; in {waited} of them the chance had passed the threshold in time, and"
        " the alert did not stand at the impact: a drone lost from sight, or a prediction that moved away a while."
        " Of the others the pipeline knew too late. Seconds before the impact, less the sound's way; the first"
        f" {LISTED}.\n\n" + table(head, body)
    )


def _phantoms(rows: Sequence[Row]) -> str:
    found = [(row, alarm) for row in rows for alarm in row.alarms if alarm.phantom]
    body = [
        [str(row.number), ", ".join(row.classes), alarm.zone, f"{alarm.seconds:.0f}", alarm.reason.split(";")[0]]
        for row, alarm in found[:LISTED]
    ]
    text = table(["raid", "what flew", "zone", "s", "reason"], body) if found else "None.\n"
    return f"## Phantoms\n\n{text}"


def _rules(rules: dict[str, Outcome]) -> str:
    body = []
    for name, outcome in rules.items():
        hits, alarms = outcome.hits, [alarm for row in outcome.rows for alarm in row.alarms]
        leads = [-np.inf if hit.warned_s is None else hit.warned_s for hit in hits]
        share = 100 * sum(hit.in_time for hit in hits) / max(len(hits), 1)
        low, median = (f"{np.quantile(leads, q, method='lower'):.0f}" for q in (0.1, 0.5)) if leads else ("–", "–")
        minutes = sum(row.needless_person_min for row in outcome.rows)
        needless = sum(not alarm.needed for alarm in alarms)
        body.append([name, f"{share:.1f}", low, median, str(needless), f"{minutes:,.0f}"])
    head = ["rule", "in time, %", "lead 10 %, s", "50 %, s", "needless alarms", "people times minutes"]
    raids = max((len(outcome.rows) for outcome in rules.values()), default=0)
    return (
        "## Other rules on the same raids\n\nThe stage that warns, fed again with what it was fed in the first"
        f" {raids:,} raids; [what the rules mean](explanation/warnings.md#when-a-zone-is-alerted).\n\n"
        + table(head, body)
    )


def _s(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def _met(good: bool) -> str:
    return "yes" if good else "**no**"
