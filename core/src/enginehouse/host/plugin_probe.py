"""`python -m enginehouse.host.plugin_probe SITE HOME SECONDS RESULT`: what the plugins in SITE are.

Found out beside the server: what hangs, exits or crashes does so here.
"""

from __future__ import annotations

import sys
from pathlib import Path

import importlib_metadata
import msgspec

from .certificates import CertificateView, view_certificate
from .launcher_packages import meet_launchers
from .plugin_loading import Met, PluginRecord, entries_in, meet
from .plugin_shelf import Shelf, mount


class Probed(msgspec.Struct, frozen=True, kw_only=True):
    """One plugin. claims: each name it gives, with its kind; requirements: PEP 508, by engine."""

    record: PluginRecord
    claims: tuple[tuple[str, str], ...] = ()
    requirements: dict[str, tuple[str, ...]] = {}
    certificate: CertificateView | None = None


def main(arguments: list[str]) -> int:
    site, home, seconds, result = arguments
    entries = entries_in(Path(site))
    others = {one.name for one in importlib_metadata.distributions(path=[site])}
    shelf = Shelf(Path(home))
    for shelved in shelf.installed():
        if shelved.distribution not in others:
            mount(shelf.site(shelved))
    mount(Path(site))
    met = [*meet(entries, (), float(seconds)), *meet_launchers([Path(site)], ())]
    probed = [_probed(one, Path(home)) for one in met]
    Path(result).write_bytes(msgspec.json.encode(probed))
    return 0


def _probed(one: Met | PluginRecord, home: Path) -> Probed:
    if isinstance(one, PluginRecord):
        return Probed(record=one)
    return Probed(
        record=one.record,
        claims=tuple((kind, key) for kind, items in one.nouns.items() for key in items),
        requirements={
            engine.name: engine.requirements for engine in one.nouns.get("engines", {}).values() if engine.requirements
        },
        certificate=view_certificate(one.record, home),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
