"""Whether a file can be used: what it is, told by its name and its keys, and the first thing that is wrong with it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from opencram.errors import InputError

if TYPE_CHECKING:
    from pydantic import BaseModel

Check = Callable[[Path], str]

SUMMARY_KEYS = ("schema", "version", "scenario", "site", "seed", "digest", "counts", "objects", "zones")


def check_file(path: Path) -> str:
    """What the file is, in a few words, and on a line each what to know about it; InputError says what is wrong."""
    if (path / "study.json").is_file():
        return _study_folder(path)
    if path.is_dir():
        path = path / "run.json"
    if not path.exists():
        raise InputError(f"{path}: found no such file")
    check = BY_SUFFIX.get(path.suffix)
    if check is None:
        raise InputError(f"{path}: found a name ending in '{path.suffix}', expected one in {', '.join(BY_SUFFIX)}")
    return check(path)


def _yaml(path: Path) -> str:
    """A YAML file is taken for what it has most keys of."""
    from opencram.drive.study.spec import Study
    from opencram.report.facts import FactsFile
    from opencram.report.ledger import Ledger
    from opencram.site import Site
    from opencram.world.scenario import Scenario
    from opencram.yamlfile import read_text, read_yaml

    keys = read_yaml(read_text(path), str(path))[0].keys()
    models: dict[type[BaseModel], Check] = {
        Site: _site,
        Scenario: _scenario,
        Study: _study,
        FactsFile: _facts,
        Ledger: _ledger,
    }
    in_common = {model: len(keys & model.model_fields.keys()) for model in models}
    model = max(models, key=lambda m: in_common[m])
    if not in_common[model]:
        some = ", ".join(f"'{key}'" for key in list(keys)[:5])
        raise InputError(
            f"{path}: found the keys {some}, expected a site's, a scenario's, a study's, facts or a ledger"
        )
    return models[model](path)


def _site(path: Path) -> str:
    from opencram.coverage import amiss
    from opencram.site import load_site

    site = load_site(path)
    what = f"a site with {_several(len(site.zones), 'zone')} and {_several(len(site.sensors), 'sensor')}"
    return "\n".join([what, *amiss(site)])


def _scenario(path: Path) -> str:
    from opencram.site import load_site
    from opencram.world.scenario import load_scenario

    scenario = load_scenario(path)
    load_site(scenario.site)
    return f"a scenario at {scenario.site} with {_several(sum(g.count.value for g in scenario.groups), 'object')}"


def _study(path: Path) -> str:
    from opencram.drive.study.cases import Plan
    from opencram.drive.study.spec import load_study

    plan = Plan(load_study(path), None)
    plan.check()
    what = f"a study of {_several(len(plan.study.scenarios), 'scenario')}"
    if len(plan.cases) > len(plan.study.scenarios):
        what += f", {_several(len(plan.cases), 'case')}"
    return f"{what}, {_several(plan.runs, 'run')} of each"


def _study_folder(path: Path) -> str:
    from opencram.report.study_data import load_study_data

    data = load_study_data(path)
    return f"the rows of a study, {_several(len(data.rows), 'run')} of {_several(len(data.points), 'case')}"


def _facts(path: Path) -> str:
    from opencram.report.facts import load_facts

    return _several(len(load_facts(path)), "entered fact")


def _ledger(path: Path) -> str:
    from opencram.report.ledger import load_ledger

    load_ledger(path)
    return "a ledger of incidents"


def _zones(path: Path) -> str:
    from opencram.yamlfile import read_text
    from opencram.zonefile import read_zones

    return _several(len(read_zones(read_text(path), str(path))), "zone")


def _plots(path: Path) -> str:
    from opencram.record.plots import read_plots

    return f"a table of {_several(len(read_plots(path)), 'row')}"


def _asterix(path: Path) -> str:
    from opencram.record.asterix import read_asterix

    return f"ASTERIX, {read_asterix(path).summary()}"


def _recording(path: Path) -> str:
    from opencram.record.recording import Recording

    recording = Recording(path)
    ticks = sum(1 for _ in recording.ticks())
    return f"a recording of {_several(ticks, 'tick')}" + (", cut before its end" if recording.truncated else "")


def _cap(path: Path) -> str:
    from opencram.outputs.cap_check import describe_cap

    return describe_cap(path)


def _summary(path: Path) -> str:
    from opencram.yamlfile import read_text

    try:
        summary = json.loads(read_text(path))
    except ValueError as error:
        raise InputError(f"{path}: found text that is not JSON ({error}), expected a run.json") from None
    found = list(summary) if isinstance(summary, dict) else []
    missing = [key for key in SUMMARY_KEYS if key not in found]
    if missing:
        raise InputError(f"{path}: found no '{missing[0]}', expected a run.json with {', '.join(SUMMARY_KEYS)}")
    if summary["schema"] != 1:
        raise InputError(f"{path}: schema: found {summary['schema']!r}, expected 1")
    return f"the summary of a run of {summary['scenario'] or summary['site']}"


def _several(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


BY_SUFFIX: dict[str, Check] = {
    ".yaml": _yaml,
    ".yml": _yaml,
    ".geojson": _zones,
    ".csv": _plots,
    ".parquet": _plots,
    ".mcap": _recording,
    ".json": _summary,
    ".xml": _cap,
    **dict.fromkeys((".ast", ".bin", ".raw", ".pcap", ".pcapng"), _asterix),
}
"""How a file is checked, by the end of its name."""
