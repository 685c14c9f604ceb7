"""Tracks to impacts: what each ballistic track may be, where and when it comes down, and where it came from."""

from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np

from opencram.physics.layout import Layout, layout_of
from opencram.physics.threats import class_index
from opencram.site import Site
from opencram.tables import (
    BALLISTIC,
    CONFIRMED,
    UNKNOWN,
    FloatArray,
    Hypotheses,
    Impacts,
    IntArray,
    Plots,
    Tracks,
)
from opencram.tracking.filters import LEAST_LN_BETA, MOST_LN_BETA
from opencram.tracking.fit import SEEN_COLUMNS
from opencram.tracking.fits import Fits, Weighed, Young
from opencram.tracking.flyers import flyer_of, smallest_drone_db
from opencram.tracking.follow import B_COUNT, B_NEXT, B_STATE, FEWEST_PLOTS, FITTED
from opencram.tracking.hypotheses import (
    LEAST_WEIGHT,
    X_COV,
    X_LAUNCH,
    X_LAUNCH_COV,
    X_LN_BETA,
    X_TIME,
    X_TIME_SIGMA,
    kinds,
    likeliest,
)
from opencram.tracking.size import SIZE, Z_COUNT, beyond_threshold, size_evidence
from opencram.tracking.stream import ROUND_AT, S_ODDS, STREAM_BEGINS, Rounds, keep_company, stream_evidence

NAMED_AT, FAMILY_AT = 0.34, 0.78
"""A class is named when its family is this likely, and it is likelier than an even choice of the family's three."""
EARLY_NS, FAMILY_EARLY = 2_000_000_000, 0.995
"""Before so long its family must be this likely: a bullet's first plots fit a shell as well."""
PATIENCE_PLOTS, PATIENCE_NS = 8, 3_000_000_000
"""What does not fly ballistically is named only after this many plots and this long."""
SLOW_MPS = 5.0
"""What climbs or sinks by less than this hovers or flies level, however slow it is;"""
LEVEL_CLIMB_SHARE = 0.35
"""and what sinks faster than this share of its speed falls, unless it flew level before."""
MAX_FLYERS = 2_000
"""Flyers remembered; the oldest track's is forgotten first."""
GRAVITY_MPS2 = 9.8


@dataclass
class ImpactsState:
    """What prediction keeps between scans."""

    fits: Fits = field(default_factory=Fits)
    flyers: dict[int, int] = field(default_factory=dict)
    """Tracks that were seen to fly under power, and the class that each was given."""
    rounds: Rounds = field(default_factory=Rounds)
    """Gunfire in the air."""


def tracks_to_impacts(
    state: ImpactsState, tracks: Tracks, scan: Plots, site: Site
) -> tuple[Tracks, Hypotheses, Impacts]:
    """The tracks with their classes filled in, a row per track and class, and a row per ballistic track.

    `scan` are the plots that the tracks have just used.
    """
    if not len(tracks):
        return tracks, Hypotheses.empty(), Impacts.empty()
    layout, cls = layout_of(site), tracks.cls.copy()
    _note_plots(state.fits, tracks, scan, layout)
    others = np.flatnonzero((tracks.status == CONFIRMED) & (tracks.model != BALLISTIC))
    _keep_company(state, tracks, others)
    for row in others.tolist():
        cls[row] = _name_other(state, tracks, row)
    _note_rounds(state, tracks, others[cls[others] == class_index("gunfire")], among_rounds=True)
    rows, slots = _predictable(state.fits, tracks)
    if len(rows):
        state.fits.follow(slots[_most_urgent_first(tracks, rows)], layout)
        fitted = state.fits.arrays["book"][slots, B_STATE] == FITTED
        rows, slots = rows[fitted], slots[fitted]
    if not len(rows):
        return replace(tracks, cls=cls), Hypotheses.empty(), Impacts.empty()
    found = _weigh(state, tracks, rows, slots, layout)
    early = tracks.time_ns[rows] - tracks.born_ns[rows] < EARLY_NS
    cls[rows] = _named(found.weight, np.where(early, FAMILY_EARLY, FAMILY_AT))
    zero_ns = state.fits.zero_ns[slots]
    hypotheses, impacts = _hypotheses(tracks, rows, zero_ns, found), _impacts(tracks, rows, zero_ns, cls, found)
    return replace(tracks, cls=cls), hypotheses, impacts


def _weigh(state: ImpactsState, tracks: Tracks, rows: IntArray, slots: IntArray, layout: Layout) -> Weighed:
    """What the rows may be, those in the company of gunfire most likely that; and the gunfire among them."""
    _keep_company(state, tracks, rows)
    found = state.fits.weigh(slots, layout)
    streams = found.weight[:, kinds().gunfire] >= ROUND_AT
    _note_rounds(state, tracks, rows[found.bullet >= ROUND_AT])
    _note_rounds(state, tracks, rows[streams], among_rounds=True)
    return found


def _note_rounds(state: ImpactsState, tracks: Tracks, rows: IntArray, among_rounds: bool = False) -> None:
    """Remember where gunfire is; what only its company shows to be that, once it has been among rounds for long.

    So a salvo can never be taken for gunfire because each of its bombs, while young, might be.
    """
    if among_rounds and len(rows):
        slots = [state.fits.slot_of[track] for track in tracks.track[rows].tolist()]
        rows = rows[state.fits.arrays["stream"][slots, S_ODDS] > STREAM_BEGINS]
    state.rounds.note(tracks.track[rows], tracks.time_ns[rows], tracks.mean[rows, :3])


def _keep_company(state: ImpactsState, tracks: Tracks, rows: IntArray) -> None:
    """Note of the rows whose plots are kept whether there are rounds near."""
    slots = np.array([state.fits.slot_of.get(track, -1) for track in tracks.track[rows].tolist()], np.int64)
    rows, slots = rows[slots >= 0], slots[slots >= 0]
    if not len(rows):
        return
    time_ns = tracks.time_ns[rows]
    since_s = np.asarray((time_ns - state.fits.zero_ns[slots]) * 1e-9, np.float64)
    near = state.rounds.near(time_ns, tracks.mean[rows, :3])
    keep_company(state.fits.arrays["stream"], slots, since_s, near)


def realign_fits(state: ImpactsState, change: FloatArray) -> None:
    """Move all plots kept: so much more (s, 4: m, rad, rad, s) is taken off each sensor's from now on.

    Fits are renewed from where they are: one begun anew at the end of a flight may take its own poor start for a motor
    that burnt, and forget the plots in front of it.
    """
    arrays = state.fits.arrays
    for slot in state.fits.slot_of.values():
        n = arrays["book"][slot, B_COUNT]
        seen, by = arrays["seen"][slot, :n], arrays["by"][slot, :n]
        seen[:, :4] -= change[by][:, [3, 0, 1, 2]]
        order = np.argsort(seen[:, 0], kind="stable")
        seen[:], by[:] = seen[order], by[order]
        arrays["book"][slot, B_NEXT] = 0
    for young in state.fits.young.values():
        young.row[1:4] -= change[young.sensor, :3]
        young.time_ns -= round(float(change[young.sensor, 3]) * 1e9)


def _note_plots(fits: Fits, tracks: Tracks, scan: Plots, layout: Layout) -> None:
    """Give each track's plot to its fit; one that several tracks share is as wide as the radar's cell."""
    sensor = int(scan.sensor[0])
    sigma, cell = layout.plot_sigma(sensor, scan.snr_db), layout.resolution[sensor]
    rows = np.flatnonzero(tracks.plot >= 0)
    used = tracks.plot[rows]
    seen = np.zeros((len(rows), SEEN_COLUMNS))
    for column, told in enumerate((scan.range_m, scan.az_rad, scan.el_rad, scan.range_rate_mps), 1):
        seen[:, column] = told[used]
    seen[:, 5:] = sigma[used]
    shared = np.bincount(used)[used] > 1
    seen[shared, 5:8] = np.fmax(seen[shared, 5:8], cell)
    columns = (scan.time_ns[used], tracks.track[rows], tracks.debris[rows], tracks.model[rows] == BALLISTIC)
    sizes = beyond_threshold(scan.rcs_dbsm[used], scan.snr_db[used]).tolist()
    for row, size, time_ns, track, debris, falls in zip(seen, sizes, *(c.tolist() for c in columns), strict=True):
        fits.take(track, Young(time_ns, sensor, row, *size), debris, falls, layout)
    fits.forget(int(scan.time_ns.max()), layout)


def _predictable(fits: Fits, tracks: Tracks) -> tuple[IntArray, IntArray]:
    """Rows of the confirmed ballistic tracks with enough plots for a fit, and their slots."""
    asked = np.flatnonzero((tracks.status == CONFIRMED) & (tracks.model == BALLISTIC))
    slots = np.array([fits.slot_of.get(track, -1) for track in tracks.track[asked].tolist()], np.int64)
    asked, slots = asked[slots >= 0], slots[slots >= 0]
    enough = fits.arrays["book"][slots, B_COUNT] >= FEWEST_PLOTS if len(slots) else np.zeros(0, np.bool_)
    return asked[enough], slots[enough]


def _most_urgent_first(tracks: Tracks, rows: IntArray) -> IntArray:
    """Order of the rows by when each would be down if there were no air."""
    up, climb = np.maximum(tracks.mean[rows, 2], 0.0), tracks.mean[rows, 5]
    left_s = (climb + np.sqrt(climb**2 + 2.0 * GRAVITY_MPS2 * up)) / GRAVITY_MPS2
    return np.lexsort((tracks.track[rows], left_s))


@cache
def _families() -> IntArray:
    """(classes,): the number of each one's family."""
    names = [t.family for t in kinds().threats]
    return np.array([names.index(name) for name in names])


def _named(weight: FloatArray, family_at: FloatArray) -> IntArray:
    """The class that each row of weights (n, c) is called by, UNKNOWN where its family is below `family_at` (n)."""
    best = likeliest(weight, _families(), NAMED_AT, family_at)
    return np.where(best >= 0, kinds().index[best], UNKNOWN)


def _whole_us(time_ns: IntArray) -> IntArray:
    """Predicted times in whole microseconds: tools that know no shorter time read them as they are."""
    return time_ns // 1000 * 1000


def _after(zero_ns: IntArray, seconds: FloatArray) -> IntArray:
    return _whole_us(zero_ns + np.round(seconds * 1e9).astype(np.int64))


def _hypotheses(tracks: Tracks, rows: IntArray, zero_ns: IntArray, found: Weighed) -> Hypotheses:
    """A row per track and class that comes down; the weights of all that a track may be sum to its p_ballistic."""
    kept = found.weight >= LEAST_WEIGHT
    share = np.where(kept, found.weight, 0.0)
    share /= np.array([max(row.sum(), LEAST_WEIGHT) for row in share]).reshape(-1, 1)
    i, c = np.nonzero(kept & np.isfinite(found.fall[:, :, 0]))
    return Hypotheses(
        time_ns=tracks.time_ns[rows][i],
        track=tracks.track[rows][i],
        cls=kinds().index[c],
        weight=share[i, c] * tracks.p_ballistic[rows][i],
        mean=found.mean[i, c],
        cov=found.cov[i, c],
        impact_time_ns=_after(zero_ns[i], found.fall[i, c, X_TIME]),
        impact_time_sigma_s=np.sqrt(np.maximum(found.fall_cov[i, c, 2, 2], 0.0)),
        impact_enu_m=found.fall[i, c, :2],
        impact_cov_m2=found.fall_cov[i, c, :2, :2],
        launch_enu_m=found.came[i, c],
        launch_cov_m2=found.came_cov[i, c],
    )


def _impacts(tracks: Tracks, rows: IntArray, zero_ns: IntArray, cls: IntArray, found: Weighed) -> Impacts:
    """A row per track of which anything comes down: the mixture."""
    down = np.isfinite(found.mixed[:, 0])
    mixed, rows, zero_ns = found.mixed[down], rows[down], zero_ns[down]
    return Impacts(
        time_ns=tracks.time_ns[rows],
        track=tracks.track[rows],
        n_plots=tracks.n_plots[rows],
        cls=cls[rows],
        impact_time_ns=_after(zero_ns, mixed[:, X_TIME]),
        impact_time_sigma_s=mixed[:, X_TIME_SIGMA],
        impact_enu_m=mixed[:, :2],
        impact_cov_m2=_square(mixed[:, X_COV : X_COV + 3]),
        launch_enu_m=mixed[:, X_LAUNCH : X_LAUNCH + 2],
        launch_cov_m2=_square(mixed[:, X_LAUNCH_COV : X_LAUNCH_COV + 3]),
        beta_kgpm2=np.exp(np.clip(mixed[:, X_LN_BETA], LEAST_LN_BETA, MOST_LN_BETA)),
    )


def _square(cov: FloatArray) -> FloatArray:
    """(n, 2, 2) from ee, en, nn."""
    return cov[:, [0, 1, 1, 2]].reshape(-1, 2, 2)


def _name_other(state: ImpactsState, tracks: Tracks, row: int) -> int:
    """Class index of what does not fall, once it was seen to fly level for long enough; a name is kept.

    What may be rounds of gunfire, followed as one, is that: it hangs about at the top of its path.
    """
    if tracks.debris[row]:
        return class_index("fragment")
    track = int(tracks.track[row])
    slot = state.fits.slot_of.get(track)
    size = np.zeros(SIZE) if slot is None else state.fits.arrays["size"][slot]
    if slot is not None and track not in state.flyers:
        odds = float(state.fits.arrays["stream"][slot, S_ODDS])
        if size[Z_COUNT] >= 1.0 and odds + stream_evidence(size) > size_evidence(size, smallest_drone_db()):
            return class_index("gunfire")
    velocity, spread = tracks.mean[row, 3:6], tracks.cov[row, 3:6, 3:6]
    speed = float(np.linalg.norm(velocity))
    # two tracks on one object share its plots, which then count for neither
    plots = max(float(tracks.n_plots[row]), float(size[Z_COUNT]))
    patient = plots >= PATIENCE_PLOTS and tracks.time_ns[row] - tracks.born_ns[row] >= PATIENCE_NS
    if patient and abs(float(velocity[2])) <= max(LEVEL_CLIMB_SHARE * speed, SLOW_MPS):
        sigma = float(np.sqrt(max(spread[0, 0], spread[1, 1])))
        cls = flyer_of(speed, sigma, float(tracks.mean[row, 2]), size, state.flyers.get(track, UNKNOWN))
        if cls == UNKNOWN:
            state.flyers.pop(track, None)
        else:
            state.flyers[track] = cls
        if len(state.flyers) > MAX_FLYERS:
            del state.flyers[min(state.flyers)]
    return state.flyers.get(track, UNKNOWN)
