"""docs/accuracy.md: the tables that the study's rows make."""

from collections import Counter

import numpy as np

from accuracy.flyers import DRONES, INNOCENT
from accuracy.flyers_study import NAMED_BY_S, FlyerRow
from accuracy.score import counted, covered, in_band, ratio, ratio_span
from accuracy.shots import CASES, CLASSES
from opencram.physics.threats import catalogue
from opencram.tables import FloatArray

SHOWN_AGES_S = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 30, 40)
SHOWN_TO_GO_S = (60, 45, 30, 20, 15, 10, 7, 5, 3, 2)
FEWEST = 30
FEWEST_IN_BAND = 50

HEAD = """# How exact the predictions are

`make accuracy` writes this page anew ({shots} shots, {flyers} other tracks, {minutes} minutes on two cores).

Each shot goes through the chain's own tracking and prediction, plot by plot; the chain is never told what it is.
Speed, elevation and azimuth are drawn over the whole of a class's span in the [catalogue](reference/threats.md), the
drag with its sigma of 20 %, and the wind with 5 m/s per axis; every shot comes down within 1 km of the radar, which
sees 9 looks of 10 above 1.5 degrees and within 30 km. The **bound** is the posterior Cramer-Rao bound of that very shot
with those very plots, told its class, and for a rocket with the plots since burn-out. Errors are divided by their own
shot's bound. "Seconds of track" count from the first plot, or from burn-out where a rocket was seen before it.

What cannot be reached: in the first seconds the plots say nothing of the drag, and who is not told the class cannot
know it as well as the bound does, which is. That is the rise above 1 at 3 to 6 s for classes whose drag lies far from
their likes' (120 mm mortar, 155 mm shell); NEES and coverage show that the ellipse says so.
"""


def page(rows: FloatArray, flown: list[FlyerRow], unsized: list[FlyerRow], minutes: float) -> str:
    """The whole page, as markdown."""
    shots = len({(r["case"], r["cls"], r["shot"]) for r in rows})
    base = rows[rows["case"] == "base"]
    parts = [
        HEAD.format(shots=f"{shots:,}", flyers=f"{len(flown) + len(unsized):,}", minutes=round(minutes)),
        _base(base),
        "## By seconds of track and to go\n\n"
        "![Error and bound](images/accuracy/error.svg)\n\n![Ratio](images/accuracy/ratio.svg)\n\n"
        "![NEES](images/accuracy/nees.svg)\n\n![Coverage](images/accuracy/coverage.svg)\n",
        "RMS error in metres / ratio to the bound, by seconds of track:\n\n" + _by_time(base, "age", SHOWN_AGES_S),
        "The same, by seconds to go:\n\n" + _by_time(base, "to-go", SHOWN_TO_GO_S),
        _cases(rows),
        _confusion(base, flown),
        _innocent(flown, unsized),
        _launch(base),
    ]
    return "\n".join(parts)


def table(head: list[str], body: list[list[str]]) -> str:
    """A markdown table."""
    lines = ["| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *body]]
    return "\n".join(lines) + "\n"


def _per_class(rows: FloatArray) -> list[tuple[str, FloatArray]]:
    return [(cls, rows[rows["cls"] == cls]) for cls in CLASSES] + [("**all**", rows)]


def _base(base: FloatArray) -> str:
    body = []
    for name, own in _per_class(counted(base)):
        low, high = ratio_span(own)
        shares = [f"{100 * covered(own, share):.0f}" for share in (0.5, 0.9, 0.95)]
        time_z = own["time_error_s"] / own["time_sigma_s"]
        timely = f"{100 * (np.abs(time_z) <= 1.645).mean():.0f}"
        nees = f"{own['nees'].mean():.2f}"
        body.append([name, f"{ratio(own):.3f}", f"{low:.3f} to {high:.3f}", nees, " / ".join(shares), timely])
    few = f"with {FEWEST_IN_BAND} shots or more, from 3 s on"
    good, total = in_band(base[base["answered"] & (base["at"] >= 3.0)], FEWEST_IN_BAND)
    late = base[(base["kind"] == "age") & (base["at"] >= 3.0)]
    silent = 100.0 * (1.0 - late["answered"].mean())
    head = ["class", "RMS / bound", "95 % of it", "mean NEES (2)", "in the 50 / 90 / 95 % ellipse, %"]
    return (
        "## The base case\n\n10 Hz, 10 m and 2 mrad, class untold, each whole second of track from 3 s on (rockets seen"
        " in boost: from 2 s after burn-out). The interval resamples whole shots.\n\n"
        + table([*head, "time in 90 %, %"], body)
        + f"\nMean NEES in its 95 % band in {good} of {total} cells (class by second of track or to go, {few}):"
        f" {100 * good / max(total, 1):.0f} %. No answer at {silent:.2f} % of the seconds after the third.\n"
    )


def _by_time(base: FloatArray, kind: str, times: tuple[int, ...]) -> str:
    body = []
    for cls in CLASSES:
        line = [cls]
        for at in times:
            own = base[(base["cls"] == cls) & (base["kind"] == kind) & (base["at"] == at) & base["answered"]]
            rms = np.sqrt((own["error_m"] ** 2).mean()) if len(own) else np.nan
            line.append(f"{rms:,.0f} / {ratio(own):.2f}" if len(own) >= FEWEST else "–")
        body.append(line)
    return table(["class", *(f"{at} s" for at in times)], body)


def _cases(rows: FloatArray) -> str:
    body = []
    for case in CASES:
        own = counted(rows[rows["case"] == case.name])
        low, high = ratio_span(own)
        nees = [own[own["cls"] == cls]["nees"].mean() for cls in CLASSES]
        spoken, right = _family(rows[rows["case"] == case.name])
        body.append(
            [
                case.title, f"{ratio(own):.2f}", f"{low:.2f} to {high:.2f}", f"{own['nees'].mean():.2f}",
                f"{min(nees):.2f} to {max(nees):.2f}", f"{100 * covered(own, 0.9):.0f}",
                f"{100 * spoken:.0f} / {100 * right:.0f}",
            ]
        )  # fmt: skip
    head = ["what the radar does", "RMS / bound", "95 % of it", "mean NEES (2)", "of the classes"]
    head += ["in the 90 % ellipse, %", f"family at {NAMED_BY_S:.0f} s: speaks / right, %"]
    return (
        "## One thing wrong at a time\n\nThe bound knows of none of it but the plots' true sigmas: it is that of a"
        " radar without bias, with the wind's prior. A mean NEES between 1 and 4 is within a factor of two.\n\n"
        + table(head, body)
    )


def _families() -> dict[str, str]:
    return {name: threat.family for name, threat in catalogue().items()}


def _family(rows: FloatArray) -> tuple[float, float]:
    """Share of shots that are called something by NAMED_BY_S, and the share of these whose family is right."""
    at = rows[(rows["kind"] == "age") & (rows["at"] == NAMED_BY_S)]
    families = _families()
    named = at[~np.isin(at["said"], ["", "unknown"])]
    right = [families[said] == families[cls] for said, cls in zip(named["said"], named["cls"], strict=True)]
    return len(named) / max(len(at), 1), float(np.mean(right)) if right else float("nan")


def _confusion(base: FloatArray, flown: list[FlyerRow]) -> str:
    at = base[(base["kind"] == "age") & (base["at"] == NAMED_BY_S)]
    pairs = [(cls, said or "unknown") for cls, said in zip(at["cls"].tolist(), at["said"].tolist(), strict=True)]
    pairs += [(cls, said or "unknown") for cls, said, _, _ in flown]
    columns = [name for name in (*catalogue(), "unknown") if any(said == name for _, said in pairs)]
    body = []
    for cls in (*CLASSES, *DRONES, *INNOCENT):
        said = Counter(name for true, name in pairs if true == cls)
        total = max(sum(said.values()), 1)
        body.append([cls, *(f"{100 * said[name] / total:.0f}" if said[name] else "" for name in columns)])
    spoken, right = _family(base)
    return (
        f"## What it is called after {NAMED_BY_S:.0f} s\n\nOf what is fired, {100 * spoken:.0f} % have a name by then,"
        f" and of these {100 * right:.1f} % are of the right family. Rows: what it is; columns: what it was called, in"
        " %; drones and innocents with their cross-section told.\n\n" + table(["", *columns], body)
    )


def _innocent(flown: list[FlyerRow], unsized: list[FlyerRow]) -> str:
    body = []
    for title, rows in (("size told", flown), ("size untold", unsized)):
        for cls in INNOCENT:
            own = [row for row in rows if row[0] == cls]
            hostile, predicted = sum(row[2] for row in own), sum(row[3] > 0 for row in own)
            body.append([cls, title, f"{len(own):,}", str(hostile), str(predicted)])
    innocent = [row for row in flown if row[0] in INNOCENT]
    hostile = sum(row[2] for row in innocent)
    return (
        f"## The innocent\n\n{len(innocent):,} tracks of ten seconds: {hostile} were ever called a threat. A bullet"
        " comes down, so its impact is predicted like any; it weighs nothing in the threat to a zone while it is held"
        " for gunfire.\n\n" + table(["what", "", "tracks", "ever called a threat", "with an impact predicted"], body)
    )


def _launch(base: FloatArray) -> str:
    body = []
    for name, own in _per_class(base[(base["kind"] == "age") & (base["at"] == 8.0)]):
        known = own[np.isfinite(own["launch_error_m"])]
        bound = known["launch_bound_m"][np.isfinite(known["launch_bound_m"])]
        body.append(
            [
                name, f"{np.median(known['launch_error_m']):,.0f}", f"{np.median(known['launch_sigma_m']):,.0f}",
                f"{np.median(bound):,.0f}" if len(bound) else "–",
                f"{100 * covered(known, 0.9, 'launch_nees'):.0f}",
            ]
        )  # fmt: skip
    head = ["class", "median error, m", "median sigma, m", "median bound, m", "in the 90 % ellipse, %"]
    return (
        "## The launch area after 8 s\n\nFor rockets the bound is that of where a flight without a motor would have"
        " begun.\n\n" + table(head, body)
    )
