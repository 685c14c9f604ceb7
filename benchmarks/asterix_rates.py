"""ASTERIX plots per second: ours beside libasterix and, where it is installed, aviconv-asterix, in the same process.

Each reads the same datagrams and takes time, range, azimuth (and of category 015 elevation and Doppler) out of every
record. Ours is told three times: the records alone, as rows for the decoder, and through the whole stage to plots.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from opencram.asterix.cat048 import CAT048
from opencram.asterix.plots import READ, RadarsState, datagrams_to_rows
from opencram.asterix.records import Block, block_of, blocks, records, write
from opencram.asterix.write import encode_plots
from opencram.site import load_site
from opencram.stages.bytes_to_plots import PlotsState, bytes_to_plots
from opencram.tables import Datagram, PlotRows

T0_S, STEP_S, PLOTS = 1_605_636_000, 0.125, 40
REPEATS = 3


def scans(count: int) -> Iterator[PlotRows]:
    """Scans of 40 plots, eight a second."""
    for k in range(count):
        now_s = T0_S + k * STEP_S
        columns = {
            "time": [now_s] * PLOTS,
            "range_m": [1_000.0 + 100.0 * i + 0.1 * (k % 900) for i in range(PLOTS)],
            "azimuth_deg": [9.0 * i for i in range(PLOTS)],
            "elevation_deg": [1.0 + i for i in range(PLOTS)],
            "range_rate_mps": [-200.0 - i for i in range(PLOTS)],
            "snr_db": [15.0] * PLOTS,
        }
        yield PlotRows(received_ns=round((now_s + 0.02) * 1e9), source="radar", columns=columns)


def datagrams_015(count: int) -> list[Datagram]:
    """The scans as a radar sends them."""
    return [
        Datagram(received_ns=rows.received_ns, address="10.0.0.1", data=data)
        for rows in scans(count)
        for data in encode_plots(rows, 1, 1, simulated=False)
    ]


def datagrams_048(count: int) -> list[bytes]:
    """Blocks of 40 target reports."""
    report = {"010/SAC": 1, "010/SIC": 2, "140": 64_800.0, "020/TYP": 1, "070/MODE3A": 512, "090/FL": 330.0}
    return [
        block_of(
            CAT048,
            [
                write(CAT048, report | {"040/RHO": 5.0 + i + k % 7, "040/THETA": 9.0 * i, "161/TRN": i})
                for i in range(40)
            ],
        )
        for k in range(count)
    ]


def ours(data: Sequence[bytes]) -> None:
    """Records and their picks."""
    for one in data:
        for block in blocks(one):
            assert isinstance(block, Block)
            for plan, number in records(READ[block.category], one, block):
                plan.pick(number)


def ours_rows(datagrams: Sequence[Datagram]) -> None:
    """Rows for the decoder, a tick for each datagram."""
    site, state = load_site("baghdad-embassy"), RadarsState()
    for one in datagrams:
        datagrams_to_rows(state, [one], one.received_ns, site)


def ours_plots(datagrams: Sequence[Datagram]) -> None:
    """Through the whole stage."""
    site, state = load_site("baghdad-embassy"), PlotsState()
    for one in datagrams:
        bytes_to_plots(state, [one], one.received_ns, site)


def libasterix(category: int, paths: Sequence[tuple[str, ...]]) -> Callable[[Sequence[bytes]], None]:
    """Another's reader of the same, made from the specifications by a machine; MIT."""
    from asterix import base, generated

    spec = {15: generated.Cat_015_1_2, 48: generated.Cat_048_1_32}[category]

    def read(data: Sequence[bytes]) -> None:
        for one in data:
            for record in spec.cv_uap._parse(base.Bits.from_bytes(one[3:])):
                for item, *inner in paths:
                    thing = record.items_regular[item]
                    for name in inner:
                        thing = part_of(thing.arg.arg, name)
                    thing.as_uint()

    def part_of(thing: Any, name: str) -> Any:  # noqa: ANN401
        if isinstance(thing, base.Compound):
            return thing.arg[name]
        return next(part.arg for part in thing.arg if part.arg.cv_name == name)

    return read


def aviconv(data: Sequence[bytes]) -> None:
    """Another's reader; MIT. It knows categories 034, 048 and 062, of ours."""
    from aviconv_asterix import iter_records

    for one in data:
        assert sum(1 for _ in iter_records(one)) == PLOTS


def rate(act: Callable[[Any], None], data: Sequence[Any]) -> float:
    """Plots a second, the best of three."""
    best_s = float("inf")
    for _ in range(REPEATS):
        began_s = time.perf_counter()
        act(data)
        best_s = min(best_s, time.perf_counter() - began_s)
    return len(data) * PLOTS / best_s


def main() -> None:
    """Print a row for each reader."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--datagrams", type=int, default=2_000, help="of 40 plots each")
    count: int = arguments.parse_args().datagrams
    whole = datagrams_015(count)
    plain, reports = [one.data for one in whole], datagrams_048(count)
    few = max(count // 50, 5)
    paths_015 = [("145",), ("625", "R"), ("626", "DV"), ("627", "AZ"), ("628", "EL")]
    rows = [
        ("category 015, records", rate(ours, plain)),
        ("category 015, rows", rate(ours_rows, whole)),
        ("category 015, through the stage", rate(ours_plots, whole)),
        ("category 015, libasterix", rate(libasterix(15, paths_015), plain[:few])),
        ("category 048, records", rate(ours, reports)),
        ("category 048, libasterix", rate(libasterix(48, [("140",), ("040", "RHO"), ("040", "THETA")]), reports[:few])),
    ]
    if importlib.util.find_spec("aviconv_asterix"):
        rows.append(("category 048, aviconv-asterix", rate(aviconv, reports[:few])))
    for name, plots in rows:
        print(f"{name:34} {plots:10,.0f} plots/s")


if __name__ == "__main__":
    main()
