"""The report's figures: two maps in metres, the timeline, heights, and the error of the predicted impact."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from opencram.report import drawing as d
from opencram.report.drawing import Labels, as_svg, new_axes, new_figure
from opencram.report.maps import Box, finish_map, map_axes, padded
from opencram.report.maps import said as _t
from opencram.report.metrics import Row, ellipse_of, enu_of
from opencram.report.places import Ellipse
from opencram.report.run import Run, title_of
from opencram.report.words import Language, time_ns, upfirst
from opencram.tables import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ELLIPSE_STYLES = ((":", 0.9), ("--", 0.9), ("-", 1.3))
"""At the first alert, three seconds later, and at the last prediction."""
LATER_NS = 3 * 10**9
MAX_OBJECTS_DRAWN = 40
RINGS_M = (500.0, 1_000.0, 2_000.0, 5_000.0, 10_000.0, 20_000.0)


def overview_map(run: Run, language: Language) -> str:
    """Zones, tracks from their first plot on, where they came from, and where they ended."""
    box = _overview_box(run)
    axes, labels = map_axes(box, _marks(run))
    _draw_launch_areas(run, axes, language)
    _draw_tracks(run, axes)
    _draw_outcomes(run, axes, None, language)
    _draw_equipment(run, axes, language)
    _draw_zones(run, axes, labels, language, only_large=True)
    _draw_rings(run, axes, labels)
    return as_svg(finish_map(axes, language), _t(language, "Overview map", "Carte d’ensemble"))


def impact_map(run: Run, language: Language) -> str:
    """Where things came down, and how well that was foretold."""
    axes, labels = map_axes(_impact_box(run), _marks(run))
    _draw_debris(run, axes, language)
    _draw_ellipses(run, axes, language)
    _draw_undefended(run, axes, language)
    _draw_equipment(run, axes, language)
    _draw_outcomes(run, axes, labels, language)
    _draw_zones(run, axes, labels, language)
    _draw_rings(run, axes, labels)
    return as_svg(finish_map(axes, language), _t(language, "Map of the impacts", "Carte des impacts"))


def timeline(run: Run, language: Language) -> str:
    """Objects and zones against time: seen, confirmed, alerted, engaged, down."""
    objects = run.summary["objects"][:MAX_OBJECTS_DRAWN]
    zones = [z for z in run.summary["zones"] if z["first_alert"] or z["first_pre_alert"] or z["first_impact"]]
    rows = len(objects) + len(zones)
    figure = new_figure(1.0 + 0.2 * max(rows, 3))
    axes = new_axes(figure)
    zero = time_ns(run.summary["start"])
    for y, thing in enumerate(objects):
        _object_row(run, axes, y, thing, zero)
    for y, zone in enumerate(zones, start=len(objects)):
        _zone_row(run, axes, y, zone, zero)
    if objects and zones:
        axes.axhline(len(objects) - 0.5, color="#999999", lw=0.8)
    names = [o["id"] for o in objects] + [upfirst(run.zone_title(z["id"], language) or "") for z in zones]
    axes.set_yticks(range(rows), names)
    axes.set_ylim(rows - 0.4, -0.6)
    axes.set_xlim(left=0.0, right=_last_s(run, zero))
    axes.grid(axis="x", color="#dddddd", lw=0.6)
    axes.set_xlabel(_t(language, "seconds since the start", "secondes depuis le début"), fontsize=d.FONT_PT)
    _timeline_legend(axes, language)
    return as_svg(figure, _t(language, "Timeline", "Chronologie"))


def heights(run: Run, language: Language) -> str:
    """Height of each track against time, beside the error of its predicted impact against the time left."""
    figure = new_figure(2.9)
    left, right = new_axes(figure, 1, 2, 1), new_axes(figure, 1, 2, 2)
    zero = time_ns(run.summary["start"])
    for number, rows in run.tracks.items():
        left.plot((rows["time"] - zero) / 1e9, rows["up_m"], color=_colour(run, number), lw=1.1)
    left.set_xlabel(_t(language, "seconds since the start", "secondes depuis le début"), fontsize=d.FONT_PT)
    left.set_ylabel(_t(language, "height (m)", "hauteur (m)"), fontsize=d.FONT_PT)
    left.set_ylim(bottom=0.0)
    _draw_errors(run, right, language)
    for axes in (left, right):
        axes.grid(color="#e4e4e4", lw=0.6)
    return as_svg(figure, _t(language, "Heights and prediction errors", "Hauteurs et erreurs de prévision"))


def _draw_errors(run: Run, axes: Axes, language: Language) -> None:
    for error in run.errors:
        axes.plot(error.left_s, np.maximum(error.error_m, 1.0), lw=1.1, color=d.PURPLE)
        axes.plot(error.left_s, np.maximum(error.sigma_m, 1.0), lw=0.7, ls=":", color=d.INK)
    axes.set_yscale("log")
    axes.invert_xaxis()
    axes.yaxis.set_major_formatter(lambda v, _: f"{v:g}")
    axes.set_xlabel(_t(language, "predicted seconds to impact", "secondes avant l’impact prévu"), fontsize=d.FONT_PT)
    axes.set_ylabel(_t(language, "impact point off by (m)", "écart du point d’impact (m)"), fontsize=d.FONT_PT)
    axes.plot([], [], color=d.PURPLE, lw=1.1, label=_t(language, "error", "erreur"))
    axes.plot([], [], color=d.INK, lw=0.7, ls=":", label=_t(language, "claimed sigma", "sigma annoncé"))
    axes.legend(fontsize=7, frameon=False)


def gospa_parts(run: Run, language: Language) -> str:
    """GOSPA, squared, against time, split into what makes it up."""
    assert run.scene is not None, "only where the truth is known"
    scene = run.scene
    figure = new_figure(2.2)
    axes = new_axes(figure)
    names = (
        _t(language, "off their objects", "écart à l’objet"),
        _t(language, "objects without a track", "objets sans piste"),
        _t(language, "tracks without an object", "pistes sans objet"),
    )
    # to what can be seen, and only where that changes: a path of every moment would be a tenth of the page
    parts = np.round(scene.parts_m2 / 1e3, 1)
    kept = (np.diff(parts, axis=0, prepend=-1.0) != 0.0).any(axis=1)
    kept[-1:] = True
    axes.stackplot(
        (scene.at_ns[kept] - time_ns(run.summary["start"])) / 1e9, *parts[kept].T,
        labels=names, colors=(d.SKY, d.ORANGE, d.VERMILLION), step="post", lw=0,
    )  # fmt: skip
    axes.set_xlim(left=0.0)
    axes.set_ylim(bottom=0.0)
    axes.grid(color="#e4e4e4", lw=0.6)
    axes.set_xlabel(_t(language, "seconds since the start", "secondes depuis le début"), fontsize=d.FONT_PT)
    axes.set_ylabel(_t(language, "GOSPA² (1,000 m²)", "GOSPA² (1\u202f000 m²)"), fontsize=d.FONT_PT)
    figure.legend(loc="outside lower center", ncols=3, fontsize=7, frameon=False)
    return as_svg(figure, _t(language, "GOSPA over time", "GOSPA au cours du temps"))


def _draw_zones(run: Run, axes: Axes, labels: Labels, language: Language, only_large: bool = False) -> None:
    from shapely.geometry import MultiPolygon, box

    view = box(axes.get_xlim()[0], axes.get_ylim()[0], axes.get_xlim()[1], axes.get_ylim()[1])
    alerted = {z["id"] for z in run.summary["zones"] if z["first_alert"]}
    shapes = list(zip(run.site.zones, run.places.layout.zone_shapes, strict=True))
    for zone, shape in sorted(shapes, key=lambda pair: -pair[1].area):
        fill = "#fbe3d6" if zone.id in alerted else "#eef3ee"
        edge = d.GREEN if zone.protected else "#9a9a9a"
        for part in shape.geoms:
            ring = np.array(part.exterior.coords)
            width = 1.3 if zone.protected else 0.7
            axes.fill(ring[:, 0], ring[:, 1], facecolor=fill, edgecolor=edge, lw=width, zorder=1)
    smaller = MultiPolygon()
    for zone, shape in sorted(shapes, key=lambda pair: pair[1].area):
        seen = shape.intersection(view).difference(smaller)
        smaller = smaller.union(shape)
        small = labels.points_per_unit * math.sqrt(seen.area) < (25.0 if only_large else 8.0)
        if not small:
            labels.put_inside(seen, upfirst(title_of(zone, language)), size_pt=7.5, color="#444444", zorder=3)
    axes.fill([], [], facecolor="#fbe3d6", edgecolor="#9a9a9a", label=_t(language, "zone alerted", "zone alertée"))
    axes.fill([], [], facecolor="#eef3ee", edgecolor="#9a9a9a", label=_t(language, "other zone", "autre zone"))
    axes.fill([], [], facecolor="none", edgecolor=d.GREEN, lw=1.3, label=_t(language, "protected", "protégée"))


def _draw_rings(run: Run, axes: Axes, labels: Labels) -> None:
    """Range rings about the first asset."""
    east, north = run.places.centre_enu_m[:2]
    reach = max(abs(v) for v in (*axes.get_xlim(), *axes.get_ylim())) * 1.5
    wanted = [r for r in RINGS_M if r < reach and r > (axes.get_xlim()[1] - axes.get_xlim()[0]) / 12.0]
    angle = np.linspace(0.0, 2.0 * np.pi, 121)
    for radius in wanted:
        axes.plot(east + radius * np.sin(angle), north + radius * np.cos(angle), color="#bbbbbb", lw=0.6, zorder=2)
        name = f"{radius:.0f} m" if radius < 1_000 else f"{radius / 1_000:.0f} km"
        turn = math.radians(200.0)
        x, y = east + radius * math.sin(turn), north + radius * math.cos(turn)
        labels.put(float(x), float(y), name, size_pt=6.5, color=d.PALE, zorder=2)


def _draw_equipment(run: Run, axes: Axes, language: Language) -> None:
    kinds: tuple[tuple[Sequence[Any], str, str, str], ...] = (
        (run.site.assets, "P", d.INK, _t(language, "asset", "point protégé")),
        (run.site.sensors, "^", d.GREEN, _t(language, "radar", "radar")),
        (run.site.sirens, "o", d.ORANGE, _t(language, "siren", "sirène")),
        (run.site.effectors, "s", d.SKY, _t(language, "simulated effector", "défense simulée")),
    )
    for things, mark, colour, name in kinds:
        if things:
            at = np.array([enu_of(run.places, t.position.lat, t.position.lon) for t in things])
            axes.plot(at[:, 0], at[:, 1], mark, color=colour, ms=5, mec=d.INK, mew=0.5, ls="none", label=name, zorder=5)


def _draw_tracks(run: Run, axes: Axes) -> None:
    for number, rows in run.tracks.items():
        axes.plot(rows["east_m"], rows["north_m"], color=_colour(run, number), lw=1.0, zorder=4)


def _colour(run: Run, track: int) -> str:
    thing = run.object_of.get(track)
    return d.OUTCOME[thing["outcome"]][0] if thing else d.PALE


def _draw_launch_areas(run: Run, axes: Axes, language: Language) -> None:
    for area in run.summary["launch_areas"]:
        ellipse = Ellipse(
            area["east_m"], area["north_m"], area["semi_major_m"], area["semi_minor_m"],
            math.radians(area["major_azimuth_deg"]),
        )  # fmt: skip
        ring = ellipse.outline()
        name = _t(language, "estimated launch area, 95 %", "zone de départ estimée, 95 %")
        axes.fill(ring[:, 0], ring[:, 1], color=d.PURPLE, alpha=0.3, lw=1.0, label=name, zorder=3)
    true = [o for o in run.summary["objects"] if o.get("launch_lat") is not None]
    if true:
        at = np.array([enu_of(run.places, o["launch_lat"], o["launch_lon"]) for o in true])
        name = _t(language, "true start", "départ vrai")
        axes.plot(at[:, 0], at[:, 1], "x", color=d.INK, ms=4, mew=0.9, label=name, zorder=6)


def _draw_outcomes(run: Run, axes: Axes, labels: Labels | None, language: Language) -> None:
    names = {
        "impact": _t(language, "impact", "impact"),
        "intercepted": _t(language, "shot down (above this point)", "abattu (au-dessus de ce point)"),
        "left": _t(language, "left", "parti"),
    }
    for thing in run.summary["objects"]:
        point = _end_point(run, thing)
        if point is None:
            continue
        colour, mark = d.OUTCOME[thing["outcome"]]
        size = 10 if mark == "*" else 7
        name = names[thing["outcome"]]
        axes.plot(*point, mark, color=colour, ms=size, mec="white", mew=0.6, ls="none", label=name, zorder=8)
        if labels:
            labels.put(point[0], point[1], thing["id"], size_pt=8.0, color=colour, fontweight="bold", zorder=9)


def _draw_undefended(run: Run, axes: Axes, language: Language) -> None:
    """Where what was shot down would have come down."""
    stopped = [o for o in run.summary["objects"] if o["outcome"] == "intercepted" and o.get("undefended_lat")]
    if stopped:
        at = np.array([enu_of(run.places, o["undefended_lat"], o["undefended_lon"]) for o in stopped])
        name = _t(language, "would have fallen here", "serait tombé ici")
        axes.plot(at[:, 0], at[:, 1], "o", mfc="none", mec=d.BLUE, ms=6, ls="none", label=name, zorder=6)


def _draw_debris(run: Run, axes: Axes, language: Language) -> None:
    pieces = run.summary["debris"]
    if pieces:
        at = np.array([enu_of(run.places, p["lat"], p["lon"]) for p in pieces])
        name = _t(language, "debris", "débris")
        axes.plot(at[:, 0], at[:, 1], ".", color=d.ORANGE, ms=5, mec=d.INK, mew=0.3, ls="none", label=name, zorder=6)


def _draw_ellipses(run: Run, axes: Axes, language: Language) -> None:
    names = (
        _t(language, "predicted (95 %) at the alert", "prévu (95 %) à l’alerte"),
        _t(language, "predicted 3 s later", "prévu 3 s plus tard"),
        _t(language, "predicted last", "prévu en dernier"),
    )
    widest = (axes.get_xlim()[1] - axes.get_xlim()[0]) / 3.0
    for track in run.object_of:
        for ellipse, (dashes, width), name in zip(_ellipses(run, track), ELLIPSE_STYLES, names, strict=False):
            if ellipse is not None and ellipse.semi_major_m < widest:
                ring = ellipse.outline()
                axes.plot(ring[:, 0], ring[:, 1], color=d.PURPLE, ls=dashes, lw=width, label=name, zorder=4)


def _ellipses(run: Run, track: int) -> list[Ellipse | None]:
    """The 95 % ellipse at the first alert, three seconds later and at the last prediction."""
    thing, rows = run.object_of[track], run.impacts.get(track)
    if rows is None or track != thing["track"]:
        return []
    times = rows["time"]
    alert = time_ns(thing["first_alert_time"]) if thing["first_alert_time"] else None
    at = [None, None] if alert is None else [_row_at(times, alert), _row_at(times, alert + LATER_NS)]
    return [None if i is None else ellipse_of(rows, i) for i in (*at, len(times) - 1)]


def _row_at(times: FloatArray, when_ns: int) -> int | None:
    """The newest prediction made by then."""
    i = int(np.searchsorted(times, when_ns, side="right")) - 1
    return i if 0 <= i < len(times) - 1 else None


def _end_point(run: Run, thing: Row) -> FloatArray | None:
    return None if thing["lat"] is None else enu_of(run.places, thing["lat"], thing["lon"])


def _marks(run: Run) -> list[tuple[float, float]]:
    """Where something is drawn that no label may hide."""
    things: tuple[Any, ...] = (*run.site.assets, *run.site.sensors, *run.site.sirens, *run.site.effectors)
    points = [enu_of(run.places, t.position.lat, t.position.lon) for t in things]
    points += [p for o in run.summary["objects"] if (p := _end_point(run, o)) is not None]
    points += [enu_of(run.places, p["lat"], p["lon"]) for p in run.summary["debris"]]
    return [(float(p[0]), float(p[1])) for p in points]


def _impact_box(run: Run) -> Box:
    """Around the ends, debris, assets and the protected zones that were alerted or hit."""
    points = [run.places.centre_enu_m[:2]]
    points += [p for o in run.summary["objects"] if o["outcome"] != "left" and (p := _end_point(run, o)) is not None]
    points += [enu_of(run.places, p["lat"], p["lon"]) for p in run.summary["debris"]]
    for zone, shape in zip(run.site.zones, run.places.layout.zone_shapes, strict=True):
        if zone.protected:
            points += [np.array(shape.bounds[:2]), np.array(shape.bounds[2:])]
    return padded(points, 0.12)


def _overview_box(run: Run) -> Box:
    west, south, east, north = _impact_box(run)
    points = [np.array([west, south]), np.array([east, north])]
    for rows in run.tracks.values():
        points += [np.array([rows[n].min() for n in ("east_m", "north_m")])]
        points += [np.array([rows[n].max() for n in ("east_m", "north_m")])]
    points += [np.array([a["east_m"], a["north_m"]]) for a in run.summary["launch_areas"]]
    points += [
        enu_of(run.places, o["launch_lat"], o["launch_lon"])
        for o in run.summary["objects"]
        if o.get("launch_lat") is not None
    ]
    return padded(points, 0.05)


def _last_s(run: Run, zero: int) -> float:
    """A little after the last thing that happened."""
    moments = [time_ns(o["end_time"]) for o in run.summary["objects"]] + [w.time_ns for w in run.warnings]
    last = max(moments, default=time_ns(run.summary["end"]))
    return min((last - zero) / 1e9 + 4.0, max(1.0, (time_ns(run.summary["end"]) - zero) / 1e9))


def _object_row(run: Run, axes: Axes, y: int, thing: Row, zero: int) -> None:
    at = {
        name: (time_ns(thing[name]) - zero) / 1e9
        for name in ("launch_time", "first_plot_time", "confirmed_time", "first_alert_time", "end_time")
        if thing[name]
    }
    begin = min(at.values())
    axes.plot([begin, at["end_time"]], [y, y], color="#bbbbbb", lw=1.0, zorder=1)
    if "confirmed_time" in at:
        axes.plot([at["confirmed_time"], at["end_time"]], [y, y], color=_colour_of(thing), lw=3.0, alpha=0.45, zorder=2)
    for name, (mark, colour) in _MOMENTS.items():
        if name in at:
            axes.plot(at[name], y, mark, color=colour, ms=5, mew=1.1, zorder=4)
    for order in run.summary["engagements"]:
        if order["track"] in thing["tracks"]:
            axes.plot((time_ns(order["time"]) - zero) / 1e9, y, "D", color=d.SKY, mec=d.INK, mew=0.4, ms=4.5, zorder=5)
    colour, mark = d.OUTCOME[thing["outcome"]]
    axes.plot(at["end_time"], y, mark, color=colour, ms=9 if mark == "*" else 6.5, mec="white", mew=0.5, zorder=6)


def _colour_of(thing: Row) -> str:
    return d.OUTCOME[thing["outcome"]][0]


_MOMENTS = {
    "launch_time": ("x", d.INK),
    "first_plot_time": ("|", d.INK),
    "confirmed_time": (".", d.INK),
    "first_alert_time": ("v", d.VERMILLION),
}


def _zone_row(run: Run, axes: Axes, y: int, zone: Row, zero: int) -> None:
    for state, begin, end in warning_spans(run, zone["id"]):
        left, width = (begin - zero) / 1e9, (end - begin) / 1e9
        colour = d.VERMILLION if state == "alert" else d.YELLOW
        axes.barh(y, width, left=left, height=0.55, color=colour, alpha=0.75, edgecolor=d.INK, lw=0.4, zorder=2)
    hits = [o for o in run.summary["objects"] if o["outcome"] == "impact" and zone["id"] in o["zones"]]
    times = [(time_ns(o["end_time"]) - zero) / 1e9 for o in hits]
    axes.plot(times, [y] * len(times), "X", color=d.INK, ms=6, mec="white", mew=0.5, ls="none", zorder=5)


def warning_spans(run: Run, zone: str) -> list[tuple[str, int, int]]:
    """A zone's pre-alerts and alerts: state, from, to (ns), the last one to the end of the run if nothing ends it."""
    spans: list[tuple[str, int, int]] = []
    state, since = "", 0
    for told in (w for w in run.warnings if w.zone == zone and w.state != "update"):
        if state:
            spans.append((state, since, told.time_ns))
        state, since = ("", 0) if told.state in ("cancel", "all-clear") else (told.state, told.time_ns)
    if state:
        spans.append((state, since, max(since, time_ns(run.summary["end"]))))
    return spans


def _timeline_legend(axes: Axes, language: Language) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    def mark(symbol: str, colour: str, name: str) -> Line2D:
        return Line2D([], [], marker=symbol, color=colour, ls="none", ms=5, label=name)

    handles = [
        mark("x", d.INK, _t(language, "launch", "départ")),
        mark("|", d.INK, _t(language, "first plot", "premier plot")),
        mark(".", d.INK, _t(language, "track confirmed", "piste confirmée")),
        mark("v", d.VERMILLION, _t(language, "first alert", "première alerte")),
        mark("D", d.SKY, _t(language, "engaged (simulated)", "tir simulé")),
        mark("*", d.BLUE, _t(language, "shot down", "abattu")),
        mark("X", d.VERMILLION, _t(language, "impact", "impact")),
        Patch(facecolor=d.YELLOW, edgecolor=d.INK, lw=0.4, label=_t(language, "pre-alert", "préalerte")),
        Patch(facecolor=d.VERMILLION, alpha=0.75, edgecolor=d.INK, lw=0.4, label=_t(language, "alert", "alerte")),
    ]
    axes.figure.legend(handles=handles, loc="outside lower center", ncols=5, fontsize=7, frameon=False)
