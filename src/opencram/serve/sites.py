"""Several sites in one file, for `opencram serve-sites`: each with the options that `opencram serve` has for one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from opencram import yamlfile
from opencram.errors import InputError
from opencram.serve.door import resolved
from opencram.serve.rolls import Rolling
from opencram.serve.start import Asked, state_folder
from opencram.site import load_site, site_names

MAX_SITES = 50


class SiteEntry(BaseModel):
    """One service; each key is the option of the same name, with underscores."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    site: str
    http: str
    mqtt: str | None = None
    record: Path | None = None
    play: str | None = None
    seed: Annotated[int, Field(ge=0)] = 0
    hooks: Path | None = None
    tak: tuple[str, ...] = ()
    tls_cert: Path | None = None
    tls_key: Path | None = None
    asterix: tuple[str, ...] = ()
    asterix_out: tuple[str, ...] = ()
    asterix_code: str = "0/0"
    burst_ms: Annotated[float, Field(ge=1, le=1000)] = 10.0
    roll_minutes: Annotated[float, Field(ge=0.1, le=1440)] = 10.0
    roll_mb: Annotated[int, Field(ge=1, le=100_000)] = 256
    keep_days: Annotated[int, Field(ge=1, le=36_500)] = 30

    def asked(self, folder: Path, log_format: str) -> Asked:
        """What `serve` is asked for; paths are relative to the file's folder."""
        names = ("http", "mqtt", "play", "seed", "tak", "asterix", "asterix_out", "asterix_code", "burst_ms")
        plain = {name: getattr(self, name) for name in names}
        paths: dict[str, Any] = {
            name: None if (path := getattr(self, name)) is None else folder / path
            for name in ("record", "hooks", "tls_cert", "tls_key")
        }
        site = self.site if self.site in site_names() else str(folder / self.site)
        name = load_site(site).name
        rolling = Rolling(60.0 * self.roll_minutes, self.roll_mb * 1_000_000, self.keep_days)
        return Asked(site=site, log_format=log_format, rolling=rolling, label=name, **plain, **paths)


class SitesFile(BaseModel):
    """The file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sites: Annotated[tuple[SiteEntry, ...], Field(min_length=1, max_length=MAX_SITES)]


def load_sites(path: Path, log_format: Literal["text", "json"] = "text") -> list[Asked]:
    """What the file asks for, one for each site; InputError for a bad one, or for sites in each other's way."""
    data, lines = yamlfile.read_yaml(path, str(path))
    entries = yamlfile.validate(SitesFile, data, lines, str(path)).sites
    found: list[Asked] = []
    used: dict[str, int] = {}
    for number, entry in enumerate(entries):
        where = yamlfile.at(str(path), ("sites", number), lines)
        asked = entry.asked(path.parent, log_format)
        for claim in _claims(asked):
            if claim in used:
                raise InputError(f"{where}: found {claim}, which sites[{used[claim]}] has too; expected another")
            used[claim] = number
        found.append(asked)
    return found


def _claims(asked: Asked) -> list[str]:
    """What only one service can have: its name, its folder, its ports."""
    host, port = resolved(asked.http)[1][:2]
    folder = asked.record or state_folder(asked.label)
    ports = [f"the address {host}:{port + more}" for more in (0, 1)]
    radars = [f"the radars' address {at}" for at in asked.asterix]
    return [f"the site {asked.label}", f"the folder {folder.absolute()}", *ports, *radars]
