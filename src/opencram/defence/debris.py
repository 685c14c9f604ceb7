"""Where what is left of an intercepted object may come down, and how many people are expected under it."""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from opencram.effectors import Effector
from opencram.physics.flight import ground_jacobian
from opencram.physics.layout import Layout, layout_of
from opencram.physics.polygon import p_inside
from opencram.physics.threats import class_index, classes
from opencram.site import Site
from opencram.tables import FloatArray

KICK_MPS = 45.0
"""Assumed speed that a break-up gives its pieces, one sigma along each axis."""
BURST_SIGMA_M = 30.0
PIECES = ((-1.0, 0.25), (0.0, 0.5), (1.0, 0.25))
"""Light, middling and heavy pieces: offset of ln(ballistic coefficient) from the fragment's, and share (assumed)."""
PIECE_LN_BETA_SIGMA = 0.5
DUD_RADIUS_M = 2.0
"""How near a whole round must come down to hurt (assumed: a hit, and what it throws up)."""
DUD_REACH = 3.0
"""A round that did not destroy itself comes down between where it should have and this many times as far (assumed)."""
DUD_SAMPLES = 16


class Falls(NamedTuple):
    """Where a piece comes down: per weight of piece (k,) its mean place and covariance, time and sigma, and share."""

    where_enu_m: FloatArray
    cov_m2: FloatArray
    when_s: FloatArray
    sigma_s: FloatArray
    share: FloatArray


def pieces_down(burst: FloatArray, layout: Layout) -> Falls | None:
    """Where a piece of what bursts in state `burst` (7) may come down; None where it never does."""
    fragment = classes()[class_index("fragment")]
    spread = np.diag([BURST_SIGMA_M**2] * 3 + [KICK_MPS**2] * 3 + [PIECE_LN_BETA_SIGMA**2])
    rows = []
    for offset, share in PIECES:
        start = np.append(burst[:6], fragment.ln_beta + offset)
        fall = ground_jacobian(start, 1.0, layout.env, layout.air, layout.ground, fragment.drag)
        if np.isfinite(fall).all():
            ground = fall[:3, 1:8] @ spread @ fall[:3, 1:8].T
            rows.append((fall[:2, 0], ground[:2, :2], fall[2, 0], math.sqrt(float(ground[2, 2])), share))
    return Falls(*(np.array(column) for column in zip(*rows, strict=True))) if rows else None


# ---- people ---------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=16)
def densities(site: Site) -> FloatArray:
    """People per square metre of each zone, (zones,)."""
    areas = np.array([shape.area for shape in layout_of(site).zone_shapes])
    per_m2: FloatArray = np.array([float(zone.people) for zone in site.zones]) / np.maximum(areas, 1.0)
    return per_m2


def people_at_risk(site: Site, cls: int) -> FloatArray:
    """People within the hazard radius of a hit of a class in each zone, (zones,); no more than it has."""
    hazard_m = classes()[max(cls, 0)].hazard_radius_m
    people = np.array([float(zone.people) for zone in site.zones])
    at_risk: FloatArray = np.minimum(densities(site) * math.pi * hazard_m**2, people)
    return at_risk


def people_under_debris(burst: FloatArray, pieces: int, site: Site) -> float:
    """People expected within the hazard radius of one of the pieces; of zones within zones each counts."""
    layout = layout_of(site)
    falls = pieces_down(burst, layout) if densities(site).any() else None
    if falls is None:
        return 0.0
    inside = falls.share @ p_inside(falls.where_enu_m, falls.cov_m2, *layout.zone_rings(0.0))
    hazard_m = classes()[class_index("fragment")].hazard_radius_m
    return float(pieces * math.pi * hazard_m**2 * (inside * densities(site)).sum())


def people_under_rounds(effector: Effector, place_enu_m: FloatArray, towards_enu_m: FloatArray, site: Site) -> float:
    """People expected under the rounds of an engagement that do not destroy themselves."""
    duds = effector.rounds * effector.salvo * effector.dud_share
    way = towards_enu_m[:2] - place_enu_m[:2]
    flat_m = math.hypot(*way.tolist())
    if not duds or flat_m < 1.0 or not densities(site).any():
        return 0.0
    from shapely import contains_xy

    reach_m = effector.flight_speed_mps * effector.self_destruct_s * np.linspace(1.0, DUD_REACH, DUD_SAMPLES)
    points = place_enu_m[:2] + reach_m[:, None] * way / flat_m
    inside = np.array([contains_xy(shape, *points.T).mean() for shape in layout_of(site).zone_shapes])
    return float(duds * math.pi * DUD_RADIUS_M**2 * (inside * densities(site)).sum())
