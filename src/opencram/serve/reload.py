"""Other zones while the service runs: read and checked aside, taken over between two ticks, or refused in a sentence.

The recording begins anew with the new site, so that a replay changes its zones at the same tick.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from opencram.errors import InputError
from opencram.physics.layout import layout_of
from opencram.serve.link import Act
from opencram.serve.picture import hello_of
from opencram.site import Site, load_site
from opencram.warning.rules import zone_rules

if TYPE_CHECKING:
    from opencram.serve.service import Service


class Reloader:
    """Has a service read its zones again; `source` is the site's name or file."""

    def __init__(self, service: Service, source: str) -> None:
        self._service, self._source, self._busy = service, source, False

    def ask(self, act: Act) -> None:
        """Begin; what came of it is the act's reply. To be called on the service's loop."""
        if self._busy:
            self._service.answer(act, False, "the zones are being read already")
            return
        self._busy = True
        reading = asyncio.get_running_loop().run_in_executor(None, reread, self._service.site, self._source)
        reading.add_done_callback(partial(self._read, act))

    def _read(self, act: Act, reading: asyncio.Future[Site]) -> None:
        self._busy = False
        try:
            site = reading.result()
        except InputError as error:
            self._service.answer(act, False, f"{error}; the zones stay as they are")
        except Exception as fault:
            self._service.answer(act, False, f"a fault kept the zones from being read ({fault}); they stay as they are")
        else:
            self._service.between_ticks.append(partial(self._take_over, act, site))

    def _take_over(self, act: Act, site: Site) -> None:
        service = self._service
        in_use = {*service.state.warnings.zones, *(z for d in service.desk.state.drills.values() for z in d.zones)}
        if refusal := why_not(site, in_use, self._source):
            service.answer(act, False, f"{refusal}; the zones stay as they are")
            return
        before = len(service.site.zones)
        service.change_site(site)
        if service.web is not None:
            hello = service.web.hello
            service.web.change(
                hello_of(site, hello.run, hello.version, hello.provenance, hello.siren_endpoint, hello.cap_folder)
            )
        if service.outlets is not None:
            service.outlets.change_site(site)
        service.answer(act, True, f"{len(site.zones)} zones are taken over in place of {before}")


def reread(site: Site, source: str) -> Site:
    """The site as its files have it now, with all that is worked out of it; InputError where it cannot be taken over.

    Only zones may have changed: the state tells sensors by their number, and sirens hold connections.
    """
    found = load_site(source)
    others = [name for name in Site.model_fields if name != "zones"]
    changed = [name for name in others if _plain(found, name) != _plain(site, name)]
    if changed:
        raise InputError(
            f"{source}: {changed[0]}: found a change that needs a restart of the service, expected other zones alone"
        )
    if found.documents() == site.documents():
        raise InputError(f"{source}: found the zones that are in use, expected others")
    layout_of(found)
    zone_rules(found)
    return found


def why_not(site: Site, in_use: Iterable[str], source: str) -> str:
    """Why a site cannot be taken over while these zones are under a warning or a drill; nothing where it can."""
    missing = sorted(set(in_use) - {zone.id for zone in site.zones})
    return f"{source}: found no zone {missing[0]}, expected it until its warning is over" if missing else ""


def _plain(site: Site, name: str) -> object:
    return site.model_dump(include={name})
