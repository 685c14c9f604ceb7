"""A site whose radars speak ASTERIX, and what they send."""

from typing import Any

from opencram.asterix.cat048 import CAT048
from opencram.asterix.records import block_of, write
from opencram.asterix.write import encode_plots
from opencram.site import Site
from opencram.tables import Datagram, PlotRows
from small_site import position, site_of, square

SECOND_NS = 1_000_000_000
T0_NS = 1_605_636_000 * SECOND_NS
"""2020-11-17T18:00:00Z."""


def sensor(name: str, sic: int, **more: Any) -> dict[str, Any]:
    codes = {"sac": 1, "sic": sic, **more.pop("asterix", {})}
    return {
        **{"id": name, "position": position(0.0, 0.0), "range_sigma_m": 10.0, "azimuth_sigma_mrad": 2.0},
        **{"elevation_sigma_mrad": 2.0, "update_s": 0.1, "asterix": codes, **more},
    }


def site(**changes: Any) -> Site:
    radars = [sensor("one", 1, **changes), sensor("two", 2), sensor("round", 3, kind="rotating", update_s=4.0)]
    return site_of([square("east", 500.0, 0.0)], sensors=radars)


def rows(time_s: float = 0.0, count: int = 1, scan_end: bool = False, **changes: Any) -> PlotRows:
    """Plots of a scan, `time_s` after T0, 10 m apart; times stand on 1/128 s."""
    plot: dict[str, Any] = {"time": T0_NS / SECOND_NS + time_s, "range_m": 5000.1, "azimuth_deg": 90.0}
    plot |= {"elevation_deg": 30.0, "range_rate_mps": -200.5, "snr_db": 13.0, **changes}
    columns = {name: [value] * count for name, value in plot.items()}
    columns["range_m"] = [round(plot["range_m"] + 10.0 * k, 1) for k in range(count)]
    return PlotRows(received_ns=at(time_s), source="one", columns=columns, scan_end=scan_end)


def sent(plots: PlotRows, sic: int = 1, address: str = "10.0.0.1", simulated: bool = False) -> list[Datagram]:
    return [heard(data, plots.received_ns, address) for data in encode_plots(plots, 1, sic, simulated)]


def heard(data: bytes, received_ns: int, address: str = "10.0.0.1", simulated: bool | None = False) -> Datagram:
    return Datagram(received_ns=received_ns, address=address, data=data, simulated=simulated)


def target(time_s: float = 0.0, **changes: float | None) -> bytes:
    """A block of category 048 with one target report of the radar `round`."""
    record: dict[str, Any] = {"010/SAC": 1, "010/SIC": 3, "140": (T0_NS / SECOND_NS + time_s) % 86_400.0, "020/TYP": 1}
    record |= {"040/RHO": 3.0, "040/THETA": 90.0, "120/CAL/CAL": -100.0}
    record |= {path.replace("__", "/"): value for path, value in changes.items()}
    return block_of(CAT048, [write(CAT048, {path: value for path, value in record.items() if value is not None})])


def at(seconds: float) -> int:
    return T0_NS + round(seconds * SECOND_NS)
