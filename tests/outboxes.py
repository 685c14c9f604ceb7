"""Outboxes filled with made-up rows, for tests of what is written of them."""

import numpy as np

from opencram.tables import Engagement, Health, Hypotheses, Impacts, Outbox, Plots, Reject, Threats, Tracks, ZoneWarning

START_NS = 1_605_636_000_000_000_000


def spread(n: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """(n, size, size) covariances."""
    root = rng.normal(size=(n, size, size))
    return root @ root.transpose(0, 2, 1)


def outbox_of(now_ns: int, seed: int, tracks: int = 7, classes: int = 3, decisions: bool = True) -> Outbox:
    """An outbox with `tracks` tracks, each of which may be `classes` things; drawn from `seed`."""
    rng = np.random.default_rng(seed)
    n, m, k = 20, tracks, tracks * classes
    time_ns = now_ns - 20_000_000
    stamp = {size: np.full(size, time_ns) for size in (n, m, k)}
    number = rng.permutation(m) + 1
    ends = lambda size: {  # noqa: E731
        "impact_time_ns": np.full(size, now_ns + 10_000_000_000),
        "impact_time_sigma_s": rng.uniform(0.1, 1.0, size),
        "impact_enu_m": rng.normal(0, 1000, (size, 2)),
        "impact_cov_m2": spread(size, 2, rng),
        "launch_enu_m": rng.normal(0, 5000, (size, 2)),
        "launch_cov_m2": spread(size, 2, rng),
    }
    return Outbox(
        plots=Plots(
            time_ns=stamp[n],
            received_ns=stamp[n] + 20_000_000,
            sensor=np.zeros(n, np.int64),
            range_m=np.sort(rng.uniform(100, 2e4, n)),
            az_rad=rng.uniform(0, 6, n),
            el_rad=np.where(np.arange(n) == 3, np.nan, rng.uniform(0, 1, n)),
            range_rate_mps=rng.normal(0, 200, n),
            snr_db=rng.normal(15, 3, n),
            rcs_dbsm=rng.normal(-15, 3, n),
            scan=np.full(n, seed),
        ),
        tracks=Tracks(
            time_ns=stamp[m],
            track=number,
            status=np.ones(m, np.int64),
            model=np.ones(m, np.int64),
            n_plots=np.full(m, 5),
            existence=rng.uniform(0.9, 1, m),
            p_ballistic=rng.uniform(0.9, 1, m),
            cls=np.arange(m) % 4 - 1,
            mean=rng.normal(0, 100, (m, 7)),
            cov=spread(m, 7, rng),
            born_ns=stamp[m] - 1,
            plot=np.arange(m),
            debris=np.arange(m) == 1,
        ),
        hypotheses=Hypotheses(
            time_ns=stamp[k],
            track=np.repeat(number, classes),
            cls=np.tile(np.arange(classes), m),
            weight=np.tile(np.linspace(0.1, 0.4, classes), m),
            mean=rng.normal(0, 100, (k, 7)),
            cov=spread(k, 7, rng),
            **ends(k),
        ),
        impacts=Impacts(
            time_ns=stamp[m],
            track=number,
            n_plots=np.full(m, 5),
            cls=np.arange(m) % 4 - 1,
            beta_kgpm2=rng.uniform(2000, 4000, m),
            **ends(m),
        ),
        threats=Threats(
            time_ns=stamp[m],
            track=number,
            zone=np.zeros(m, np.int64),
            cls=np.full(m, -1),
            p_hit=rng.uniform(0, 1, m),
            impact_time_ns=stamp[m] + 5,
            debris=np.zeros(m, np.bool_),
        ),
        warnings=(warning_of(now_ns),) if decisions else (),
        engagements=(engagement_of(now_ns),) if decisions else (),
        rejects=(Reject(time_ns=now_ns, source="radar-1", reason="too late", count=2, sample="time"),),
        health=(Health(time_ns=now_ns, component="radar-1", state="stale", detail="nothing came"),),
    )


def warning_of(now_ns: int, p_hit: float = 0.71, reason: str = "why") -> ZoneWarning:
    """An alert."""
    return ZoneWarning(
        time_ns=now_ns,
        zone="east",
        state="alert",
        tracks=(1, 2),
        p_hit=p_hit,
        seconds_left=12.3,
        kind="rocket",
        reason=reason,
    )


def engagement_of(now_ns: int, east_m: float = 1.0) -> Engagement:
    """A simulated engagement."""
    return Engagement(
        time_ns=now_ns,
        engagement=1,
        effector="battery",
        track=1,
        zone="east",
        range_m=1500.0,
        p_kill=0.5,
        intercept_ns=now_ns + 2_000_000_000,
        east_m=east_m,
        north_m=2.0,
        up_m=3.0,
        reason="why",
    )
