"""The reference lists what there is: every command, option, column and key has its entry, and no entry is stale."""

import fnmatch
import itertools
import re
import types
import typing
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import typer
from pydantic import BaseModel

DOCS = Path(__file__).resolve().parent.parent / "docs"
REFERENCE = DOCS / "reference"

Keys = dict[str, set[str]]


@cache
def sections(page: str) -> dict[str, set[str]]:
    """Heading -> the names in the first cells of the tables below it, of a page of the reference."""
    found: dict[str, set[str]] = {}
    heading = ""
    for line in (REFERENCE / page).read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        elif line.startswith("| `"):
            cell = line.split("|")[1]
            found.setdefault(heading, set()).update(name.split()[0] for name in re.findall(r"`([^`]+)`", cell))
    return found


def section(page: str, name: str) -> set[str]:
    """The names under the headings that hold `name`."""
    entries = [rows for heading, rows in sections(page).items() if f"`{name}`" in heading or heading == name]
    assert entries, f"docs/reference/{page} has no section '{name}'"
    return set().union(*entries)


def assert_same(page: str, where: str, there: set[str], documented: set[str]) -> None:
    missing, stale = sorted(there - documented), sorted(documented - there)
    assert not missing, f"docs/reference/{page}, '{where}' lacks {missing}: add a row each"
    assert not stale, f"docs/reference/{page}, '{where}' lists {stale}, which are gone: remove them"


# ---- commands -----------------------------------------------------------------------------------------------------


def commands() -> dict[str, typing.Any]:
    from opencram.cli import app

    group: typing.Any = typer.main.get_command(app)
    found: dict[str, typing.Any] = {}
    for name, command in group.commands.items():
        below = getattr(command, "commands", None)
        found |= {name: command} if below is None else {f"{name} {sub}": c for sub, c in below.items()}
    return found


def documented_commands() -> dict[str, set[str]]:
    """Command -> the options that the reference describes."""
    text = (REFERENCE / "commands.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (opencram (([a-z-]+)(?: [a-z-]+)?).*)", text, re.MULTILINE)
    return {
        (longer if longer in commands() else command): sections("commands.md").get(heading, set())
        for heading, longer, command in headings
    }


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_command_and_option_has_its_entry(name: str) -> None:
    options = {p.opts[-1] for p in commands()[name].params if p.param_type_name == "option" and p.name != "help"}
    assert_same("commands.md", name, options, documented_commands()[name])


def test_no_command_is_described_that_does_not_exist() -> None:
    assert set(documented_commands()) == set(commands())


# ---- keys of YAML files -------------------------------------------------------------------------------------------


def models_in(kind: object) -> Iterator[type[BaseModel]]:
    """The models that a type is made of: a union's members, a tuple's items, what a generic is over."""
    if isinstance(kind, types.GenericAlias) or typing.get_origin(kind) is not None:
        for part in typing.get_args(kind):
            yield from models_in(part)
    elif isinstance(kind, type) and issubclass(kind, BaseModel):
        if kind.__pydantic_generic_metadata__["origin"] is not None:
            for part in kind.__pydantic_generic_metadata__["args"]:
                yield from models_in(part)
        else:
            yield kind


def keys_by_parent(model: type[BaseModel], parent: str, elsewhere: Keys) -> Keys:
    """Key -> the keys that may stand below it, anywhere in a file of this model; `elsewhere` says what is not in it."""
    found: Keys = dict(elsewhere)
    todo = [(parent, model)]
    seen = set(todo)
    while todo:
        above, current = todo.pop()
        for name, field in current.model_fields.items():
            key = field.alias or name
            found.setdefault(above, set()).add(key)
            below = [(key, m) for m in models_in(field.annotation) if key not in elsewhere]
            todo += [item for item in below if item not in seen]
            seen.update(below)
    return found


def check_keys(page: str, model: type[BaseModel], elsewhere: Keys | None = None) -> None:
    there = keys_by_parent(model, "Top level", elsewhere or {})
    for parent, keys in there.items():
        missing = keys - section(page, parent)
        assert not missing, f"docs/reference/{page}, '{parent}' lacks {sorted(missing)}: add a row each"
    for heading, rows in sections(page).items():
        owners = re.findall(r"`([^`]+)`", heading) or [heading]
        known = set().union(*(there.get(owner, set()) for owner in owners))
        stale = rows - known if known else set()
        assert not stale, f"docs/reference/{page}, '{heading}' lists {sorted(stale)}, which are gone: remove them"


def test_every_key_of_a_scenario_has_its_entry() -> None:
    from opencram.world.scenario import Scenario

    check_keys("scenario.md", Scenario)


def test_every_key_of_a_site_has_its_entry() -> None:
    from opencram.site import Site

    in_geojson = {"id", "name", "name_fr", "name_ar", "kind", "people", "time_to_shelter_s", "protected"}
    check_keys("site.md", Site, {"zones": in_geojson})


def test_every_key_of_a_study_has_its_entry() -> None:
    from opencram.drive.study.spec import Study

    check_keys("study.md", Study)


def test_the_columns_of_a_studys_row_have_their_entry() -> None:
    from opencram.drive.study.spec import TAKEN
    from opencram.report.outcomes import COUNTED, OTHERS, OUTCOMES, PLANNING

    assert_same("study.md", "A row", {*TAKEN, *COUNTED, *OTHERS}, section("study.md", "A row"))
    assert_same("study.md", "For planners", set(PLANNING), section("study.md", "For planners"))
    told = (REFERENCE / "study.md").read_text(encoding="utf-8").split("## Outcomes")[1].split("\n## ")[0]
    names = set(re.findall(r"`([^`]+)`", told)) - {"outcomes", "stop.metric"}
    assert_same("study.md", "Outcomes", set(OUTCOMES), names)


def test_every_key_of_candidates_has_its_entry() -> None:
    from opencram.planning.candidates import Candidates

    check_keys("candidates.md", Candidates, {"sensors": {"cost"}, "sirens": {"cost"}})


def test_the_columns_of_a_warning_table_have_their_entry() -> None:
    from opencram.report.warning_page import KEYS

    assert_same("commands.md", "`warning.csv`", set(KEYS), section("commands.md", "warning.csv"))


def test_the_metrics_in_a_studys_row_have_their_entry() -> None:
    from opencram.report.outcomes import TRACKING

    assert_same("study.md", "Tracking in a row", set(TRACKING), section("study.md", "Tracking in a row"))


def test_marked_values_have_their_entry() -> None:
    from opencram.world.scenario import Marked

    assert_same("scenario.md", "Marked values", set(Marked.model_fields), section("scenario.md", "Marked values"))


# ---- columns of tables --------------------------------------------------------------------------------------------


def columns_of() -> dict[str, list[str]]:
    from opencram.record.parquet import COLUMNS

    return COLUMNS


@pytest.mark.parametrize("table", sorted(columns_of()))
def test_every_column_has_its_entry(table: str) -> None:
    columns, entries = columns_of()[table], section("columns.md", table)
    matched = {entry: fnmatch.filter(columns, re.sub("<[a-z]+>", "*", entry)) for entry in entries}
    described = set(itertools.chain.from_iterable(matched.values()))
    assert_same("columns.md", table, set(columns), described | {entry for entry in entries if not matched[entry]})


# ---- links --------------------------------------------------------------------------------------------------------


def pages() -> list[Path]:
    return [DOCS.parent / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(
        DOCS.rglob("*.md")
    )


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(DOCS.parent)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name) if name else page
        assert path.exists(), f"{page.name}: the link to {target} leads nowhere"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}
            assert anchor in anchors, f"{page.name}: {path.name} has no heading #{anchor}"
