"""ASTERIX as we send it: what a simulated radar measures (categories 015 and 034), and our tracks (category 062).

Datagrams stay below an Ethernet frame's 1,472 octets: what is split on the way is lost as a whole if one part is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from opencram.asterix.cat015 import CAT015
from opencram.asterix.cat034 import CAT034
from opencram.asterix.cat062 import CAT062
from opencram.asterix.plots import NORTH
from opencram.asterix.records import HEADER, Category, block_of, write
from opencram.physics.frames import Origin, enu_to_geodetic
from opencram.tables import CONFIRMED, PlotRows, Tracks

MAX_OCTETS = 1_400
DAY_S = 86_400.0
FT_M = 0.3048
FTPMIN_MPS = FT_M / 60.0
SIMULATED_TARGET = 3
"""Taxonomy of I015/020."""
PLOT = 1
RADAR_3D = 2
"""Source of the altitude in I062/080."""


def encode_plots(rows: PlotRows, sac: int, sic: int, simulated: bool = True) -> list[bytes]:
    """The plots of one scan as datagrams of category 015, and where the scan ends a north mark of category 034.

    Columns as in a table of plots, `time` in seconds since 1970; None is not measured. Cross-sections have no item. A
    ValueError where a value does not fit, such as a range of 839 km.
    """
    marks = [dict(zip(rows.columns, row, strict=True)) for row in zip(*rows.columns.values(), strict=True)]
    written = [write(CAT015, _plot(plot, number, sac, sic, simulated)) for number, plot in enumerate(marks)]
    datagrams = list(_in_datagrams(CAT015, written))
    if rows.scan_end:
        mark = encode_service(NORTH, rows.received_ns, sac, sic)
        if datagrams and len(datagrams[-1]) + len(mark) <= MAX_OCTETS:
            datagrams[-1] += mark
        else:
            datagrams.append(mark)
    return datagrams


def encode_service(kind: int, time_ns: int, sac: int, sic: int, released: bool = True) -> bytes:
    """A service message of category 034: `kind` is NORTH or SECTOR; a radar not `released` must not be used."""
    record = {
        "010/SAC": sac,
        "010/SIC": sic,
        "000": kind,
        "030": _time_of_day(time_ns * 1e-9),
        "050/COM/NOGO": 0 if released else 1,
    }
    return block_of(CAT034, [write(CAT034, record)])


def encode_tracks(
    tracks: Tracks, origin: Origin, sac: int, sic: int, simulated: bool, ended: Sequence[int] = ()
) -> list[bytes]:
    """Tracks as datagrams of category 062; `ended` are the numbers of those that are no more.

    Track numbers are taken modulo 65,536. A speed or an uncertainty beyond what its bits hold is sent as the most that
    they do.
    """
    written = [write(CAT062, record) for record in _tracks(tracks, origin, simulated, sac, sic)]
    over = {"010/SAC": sac, "010/SIC": sic, "080/SIM": int(simulated), "080/TSE": 1}
    written += [write(CAT062, over | {"040": number % 65_536}) for number in ended]
    return list(_in_datagrams(CAT062, written))


def _in_datagrams(category: Category, written: Iterable[bytes]) -> Iterator[bytes]:
    """Records in as few blocks as fit, each a datagram."""
    waiting: list[bytes] = []
    for record in written:
        if waiting and HEADER + sum(map(len, waiting)) + len(record) > MAX_OCTETS:
            yield block_of(category, waiting)
            waiting = []
        waiting.append(record)
    if waiting:
        yield block_of(category, waiting)


def _plot(plot: dict[str, Any], number: int, sac: int, sic: int, simulated: bool) -> dict[str, float]:
    """A row as the fields of category 015."""
    elevation, rate, snr = (plot.get(name) for name in ("elevation_deg", "range_rate_mps", "snr_db"))
    record: dict[str, float] = {
        "010/SAC": sac,
        "010/SIC": sic,
        "000/MT": PLOT,
        "020/TTAX": SIMULATED_TARGET if simulated else 0,
        "145": _time_of_day(plot["time"]),
        "161": number % 65_536,
        "625/R": plot["range_m"],
        "627/AZ": _least_turn(plot["azimuth_deg"]),
    }
    if rate is not None:
        record |= {"625/RR": rate, "626/DV": rate}
    if elevation is not None:
        record["628/EL"] = elevation
    if snr is not None:
        record["630/RPS"] = min(max(snr, -128.0), 127.0)
    return record


def _tracks(tracks: Tracks, origin: Origin, simulated: bool, sac: int, sic: int) -> Iterator[dict[str, float]]:
    """Rows of tracks as the fields of category 062."""
    lat_rad, lon_rad, height_m = enu_to_geodetic(tracks.mean[:, :3], origin)
    sigma = np.sqrt(np.diagonal(tracks.cov, axis1=1, axis2=2))
    for row in range(len(tracks)):
        east, north, _, east_mps, north_mps, up_mps, _ = tracks.mean[row].tolist()
        s_east, s_north, s_up, s_east_mps, s_north_mps, s_up_mps, _ = sigma[row].tolist()
        yield {
            "010/SAC": sac,
            "010/SIC": sic,
            "070": _time_of_day(int(tracks.time_ns[row]) * 1e-9),
            "105/LAT": math.degrees(lat_rad[row]),
            "105/LON": math.degrees(lon_rad[row]),
            "100/X": east,
            "100/Y": north,
            "185/VX": _within(east_mps, 8_191.0),
            "185/VY": _within(north_mps, 8_191.0),
            "040": int(tracks.track[row]) % 65_536,
            "080/MRH": 1,
            "080/SRC": RADAR_3D,
            "080/CNF": int(tracks.status[row] != CONFIRMED),
            "080/SIM": int(simulated),
            "130": _within(height_m[row] / FT_M, 204_000.0),
            "220": _within(up_mps / FTPMIN_MPS, 204_000.0),
            "500/APC/X": _within(s_east, 32_767.0),
            "500/APC/Y": _within(s_north, 32_767.0),
            "500/AGA": _within(s_up / FT_M, 1_590.0),
            "500/ATV/X": _within(s_east_mps, 63.5),
            "500/ATV/Y": _within(s_north_mps, 63.5),
            "500/ARC": _within(s_up_mps / FTPMIN_MPS, 1_590.0),
        }


def _time_of_day(time_s: float) -> float:
    """Seconds since midnight to the 1/128 s; what rounds up to midnight is midnight."""
    return round(time_s % DAY_S * 128.0) % round(DAY_S * 128.0) / 128.0


def _least_turn(az_deg: float) -> float:
    """An azimuth in [0, 360) after rounding to its last bit."""
    return round(az_deg % 360.0 * 65_536.0 / 360.0) % 65_536 * 360.0 / 65_536.0


def _within(value: float, most: float) -> float:
    return min(max(value, -most), most)
