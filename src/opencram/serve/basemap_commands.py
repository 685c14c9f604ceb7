"""`opencram basemap`: maps under the operator's picture. Each command imports what it needs when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

basemap = typer.Typer(
    help="Maps of your own under the operator's picture.",
    no_args_is_help=True,
    epilog="Example: opencram basemap add city.geojson",
)


@basemap.command(
    "add", epilog="Example: opencram basemap add city.pmtiles --attribution '© OpenStreetMap contributors'"
)
def add(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="PMTiles, GeoJSON in degrees, or an image (PNG, JPEG).")],
    corners: Annotated[
        str | None,
        typer.Option(
            metavar="LON,LAT,…",
            help="Of an image: top left, top right, bottom right, bottom left corner; eight numbers in degrees.",
        ),
    ] = None,
    attribution: Annotated[str, typer.Option(metavar="TEXT", help="Whose map it is; stands on the picture.")] = "",
) -> None:
    """Add a base map. It is copied: a running service shows it at the next opening of the page.

    Nothing is fetched from anywhere, neither now nor when it is shown.
    """
    from opencram.serve.basemaps import add as add_map
    from opencram.serve.basemaps import numbers_of

    made = add_map(file, numbers_of(corners), attribution)
    typer.echo(f"base map '{made.name}' ({made.kind}) is under the picture")


@basemap.command("remove", epilog="Example: opencram basemap remove city")
def remove(name: Annotated[str, typer.Argument(metavar="NAME", help="As `opencram basemap list` has it.")]) -> None:
    """Take a base map away again."""
    from opencram.serve.basemaps import remove as remove_map

    remove_map(name)
    typer.echo(f"base map '{name}' is gone")


@basemap.command("list", epilog="Example: opencram basemap list")
def show() -> None:
    """List the base maps, lowest first."""
    from opencram.serve.basemaps import basemaps

    for one in basemaps():
        typer.echo(f"{one.name}\t{one.kind}\t{one.attribution}")
