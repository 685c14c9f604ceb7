"""The commands that plan a site: what its sirens and radars give people, and which to buy."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from opencram.errors import InputError

SiteName = Annotated[str, typer.Argument(metavar="SITE", help="A built-in site or a site's YAML file.")]
Threats = Annotated[
    list[str] | None, typer.Option(metavar="ID", help="A class that is fired; three typical ones if none; repeat.")
]
ThreatArea = Annotated[
    str | None,
    typer.Option(metavar="WHERE", help="A radius in km, or a GeoJSON file of polygons; all in reach if not."),
]


def coverage(
    site: SiteName,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A folder for the maps (PNG) and their areas (GeoJSON).")
    ] = None,
    warning: Annotated[
        bool, typer.Option("--warning", help="Reckon too what warning shots from all around would leave each zone.")
    ] = False,
    threat: Threats = None,
    area: ThreatArea = None,
    lang: Annotated[Literal["en", "fr"], typer.Option(help="The language of the maps.")] = "en",
) -> None:
    """Say which zones hear which sirens, how late, and who hears those of others; with --out draw it too.

    With --warning also from where shots are followed, how soon, and how many seconds they leave each zone.
    """
    from opencram.coverage import COLUMNS, amiss, table
    from opencram.report.coverage_map import write_coverage
    from opencram.site import load_site
    from opencram.terminal import print_rows, progress_line

    if not warning and (threat or area):
        raise InputError("--threat and --area: found them without --warning, expected it: they say what it looks at")
    loaded = load_site(site)
    written = write_coverage(loaded, out, lang) if out else []
    reckoned = None
    if warning:
        from opencram.planning.reckon import GRID, area_from, classes_from, reckon
        from opencram.report.warning_page import write_warning

        asked = classes_from(threat), GRID, area_from(area, loaded)
        with progress_line() as progress:
            reckoned = reckon(loaded, *asked, progress)
    print_rows("Who hears the sirens", COLUMNS, table(loaded))
    if reckoned:
        from opencram.report import warning_page as page

        print_rows("What warning shots leave", page.COLUMNS, page.table(reckoned))
        typer.echo(page.short_sentence(reckoned))
        written += write_warning(reckoned, out, lang) if out else []
    for sentence in amiss(loaded):
        typer.echo(f"{site}: warning: {sentence}", err=True)
    for path in written:
        typer.echo(path)


def plan(
    site: SiteName,
    candidates: Annotated[Path, typer.Option(metavar="FILE", help="YAML: radars and sirens, each with its cost.")],
    budget: Annotated[float, typer.Option(min=0, metavar="X", help="What may be spent, in the unit of the costs.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="A folder for the chosen site, the curve and a page.")],
    threat: Threats = None,
    area: ThreatArea = None,
) -> None:
    """Choose radars and sirens under a budget, for the most seconds of warning that people can use."""
    from opencram.planning.candidates import load_candidates
    from opencram.planning.plan import make_plan
    from opencram.planning.reckon import area_from, classes_from
    from opencram.report import plan_page as page
    from opencram.report.pages import write_files
    from opencram.site import load_site
    from opencram.terminal import print_rows, progress_line

    loaded = load_site(site)
    asked = load_candidates(candidates, loaded), budget, classes_from(threat), area_from(area, loaded)
    write_files(out, {})
    with progress_line() as progress:
        made = make_plan(loaded, *asked, progress)
    written = page.write_plan(made, site, out)
    print_rows("Bought", ("id", "what", "cost"), page.chosen_rows(made))
    print_rows("Useful warning", page.ZONES, page.zone_rows(made))
    for line in (*page.sentences(made), *written):
        typer.echo(line)
