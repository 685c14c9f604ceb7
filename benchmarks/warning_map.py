"""The map of a site's warning: how long it takes, and how its warnings compare with those of the full pipeline.

Each simulated shot has a class, an elevation, a bearing and a zone of its own, drawn evenly; it goes through the whole
chain (radars, tracks, impacts, threats, warnings). Beside it stands what the map reckons for the launch point that the
shot came from: for the typical flight that is nearest to it in time of flight, and for all of them.
"""

import argparse
import json
import time
from dataclasses import dataclass

import numpy as np

from opencram.drive.simulate import simulate_in_memory
from opencram.physics.layout import layout_of
from opencram.physics.sighting import O_FLIGHT, O_SEEN
from opencram.physics.threats import catalogue
from opencram.planning.flights import flights_of
from opencram.planning.reckon import GRID, ORDER_S, TYPICAL, decided_s, fall_point, reckon, shots
from opencram.site import Site, load_site
from opencram.warning.rules import zone_rules
from opencram.world.scenario import DOCUMENT, Scenario, scenario_from_documents
from opencram.world.truth import fly_scenario

LAUNCH_S, LONGEST_S = 5.0, 300.0
SHARES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)


@dataclass
class Compared:
    """One shot: seconds from launch to the confirmed track and to the alert, and from there to the impact; NaN: never.

    As simulated, as reckoned for the typical flight that is most like it, and in the mean of the typical flights.
    """

    cls: str
    zone: str
    flight_s: float
    seen_s: float
    alert_s: float
    seen_reckoned_s: float
    alert_reckoned_s: float
    left_mean_s: float

    @property
    def left_s(self) -> float:
        """From the alert to the impact."""
        return self.flight_s - self.alert_s


def assume(value: object) -> dict[str, object]:
    """A value as a scenario wants it."""
    return {"assumed": value, "why": "drawn"}


def scenario_of(site_name: str, site: Site, number: int, duration_s: float) -> tuple[Scenario, str, int]:
    """One shot, its class and its zone."""
    rng = np.random.default_rng([30, number])
    cls, zone = TYPICAL[number % len(TYPICAL)], int(rng.integers(len(site.zones)))
    threat = catalogue()[cls]
    elevation = float(np.degrees(rng.uniform(*threat.elevation_rad)))
    lat, lon = layout_of(site).latlon_deg(fall_point(site, zone)[:2])
    aim = {"zone": assume(site.zones[zone].id), "at": assume({"lat": float(lat), "lon": float(lon)})}
    group = {
        "id": "one", "kind": "salvo", "threat": assume(cls), "count": assume(1), "first_s": assume(LAUNCH_S),
        "from_deg": assume(float(rng.uniform(0.0, 360.0))), "dispersion_m": assume(0.0), "aims": [aim],
        "elevation_deg": assume({"least": elevation, "most": elevation}),
    }  # fmt: skip
    text = {
        "name": "one-shot", "title": {"en": "one shot", "fr": "un tir"}, "site": site_name, "groups": [group],
        "start": assume("2024-01-01T00:00:00Z"), "duration_s": assume(duration_s), "defence": assume(False),
    }  # fmt: skip
    return scenario_from_documents({DOCUMENT: json.dumps(text)}), cls, zone


def compared(site_name: str, site: Site, number: int) -> Compared:
    """One shot, as simulated and as reckoned."""
    body = fly_scenario(scenario_of(site_name, site, number, LONGEST_S)[0], site, number)[0]
    flight_s = (body.end_ns - body.start_ns) * 1e-9
    scenario, cls, zone = scenario_of(site_name, site, number, flight_s + LAUNCH_S + 1.0)
    _, crank = simulate_in_memory(scenario, site, number)
    alerts = [w.time_ns for w in crank.said.warnings if w.zone == site.zones[zone].id and w.state == "alert"]
    tracks = crank.tables.table("tracks")
    times = np.asarray(tracks["time"]).astype("datetime64[ns]").astype(np.int64)
    confirmed = times[np.asarray(tracks["status"]) == "confirmed"]
    told = shots(site, zone, flights_of(cls, site.origin.height_m), np.ascontiguousarray(body.path[:1, :2]))[0]
    left = told[:, O_FLIGHT] - decided_s(told, zone_rules(site).each[zone].last_s) - ORDER_S
    like = int(np.nanargmin(np.abs(told[:, O_FLIGHT] - flight_s))) if np.isfinite(told[:, O_FLIGHT]).any() else 0
    return Compared(
        cls=cls,
        zone=site.zones[zone].id,
        flight_s=flight_s,
        seen_s=(int(confirmed.min()) - body.start_ns) * 1e-9 if len(confirmed) else np.nan,
        alert_s=(min(alerts) - body.start_ns) * 1e-9 if alerts else np.nan,
        seen_reckoned_s=float(told[like, O_SEEN]),
        alert_reckoned_s=float(told[like, O_FLIGHT] - left[like]),
        left_mean_s=float(np.nanmean(left)) if np.isfinite(left).any() else np.nan,
    )


def told(name: str, values: list[float]) -> None:
    """The distribution of a difference."""
    known = np.array([v for v in values if np.isfinite(v)])
    spread = " ".join(f"{q:+7.2f}" for q in np.quantile(known, SHARES)) if len(known) else "none"
    print(f"{name:46} n {len(known):3}  {spread}")


def main() -> None:
    """Time the map, then compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--site", default="baghdad-embassy")
    parser.add_argument("--grid", type=int, default=GRID)
    parser.add_argument("--shots", type=int, default=30, help="simulated shots to compare with; 0: none")
    asked = parser.parse_args()
    site = load_site(asked.site)
    if asked.grid:
        began, used = time.perf_counter(), time.process_time()
        made = reckon(site, TYPICAL, asked.grid)
        wall, cpu = time.perf_counter() - began, time.process_time() - used
        print(f"{asked.grid} x {asked.grid} launch points, {len(TYPICAL)} classes, {len(site.zones)} zones,", end=" ")
        print(f"{sum(told.shots for told in made.zones):,} shots: {wall:.1f} s ({cpu:.1f} s of processor time)")
    rows = [compared(asked.site, site, number) for number in range(asked.shots)]
    if rows:
        print(f"\nsimulated less reckoned (s){'':33} " + " ".join(f"{100 * q:6.0f}%" for q in SHARES))
        told("launch to confirmed track, flight alike", [r.seen_s - r.seen_reckoned_s for r in rows])
        told("launch to alert, flight alike", [r.alert_s - r.alert_reckoned_s for r in rows])
        told("alert to impact, mean of typical flights", [r.left_s - r.left_mean_s for r in rows])
        for row in rows:
            seen = f"seen {row.seen_s:6.2f} / {row.seen_reckoned_s:6.2f}"
            alert = f"alert {row.alert_s:6.2f} / {row.alert_reckoned_s:6.2f}"
            left = f"left {row.left_s:6.2f} / {row.left_mean_s:6.2f}"
            print(f"{row.cls:12} {row.zone:14} flight {row.flight_s:6.1f}  {seen}  {alert}  {left}")


if __name__ == "__main__":
    main()
