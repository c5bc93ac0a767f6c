"""Hubs: from which of a variant's sources its weights come. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..sdk import BadRequest, HubReference, parse_hub_reference

HUBS = {"hf": "huggingface", "modelscope": "modelscope"}
"""Schemes of the hubs' URIs, and the names that people and `download_hub` use for them."""

_SCHEMES = {name: scheme for scheme, name in HUBS.items()} | {scheme: scheme for scheme in HUBS}
_SHORT = re.compile(r"(?:(hf|modelscope):)?([^/:]+/[^/]+)")


def choose_source(
    sources: Iterable[str], asked: str | None, preferred: str = "auto", local: Iterable[str] = ("file", "package")
) -> str:
    """The URI to fetch from. sources: in the family's order of preference; asked: `download_hub` of the launch;
    local: schemes of what always lies on this machine.

    What lies on this machine is never downloaded. `asked` is obeyed or refused (BadRequest); `preferred` is taken where
    it can be, else the family's order stands.
    """
    uris = tuple(sources)
    here = next((uri for uri in uris if _scheme_of(uri) in local), None)
    wanted = _scheme(asked, "download_hub") if asked else None
    if here is not None:
        return here
    if wanted is not None:
        found = _first_of(uris, wanted)
        if found is None:
            have = ", ".join(HUBS.get(_scheme_of(uri), uri) for uri in uris)
            raise BadRequest(f"download_hub is {asked!r}, but these weights are on: {have}.", param="download_hub")
        return found
    liked = _scheme(preferred, "ENGINEHOUSE_MODEL_SRC")
    return (_first_of(uris, liked) if liked else None) or uris[0]


def hub_reference(model_name: str, asked: str | None, preferred: str = "auto") -> tuple[str, HubReference] | None:
    """Scheme and reference when a model's name is a hub's id: org/name, hf:org/name@revision#pattern, ...

    None when it is none. Raises BadRequest when it would be one but cannot be read.
    """
    place, hash_mark, patterns = model_name.partition("#")
    match = _SHORT.fullmatch(place)
    if match is None:
        return None
    wished = _scheme(asked, "download_hub") if asked else _scheme(preferred, "ENGINEHOUSE_MODEL_SRC")
    return match[1] or wished or "hf", parse_hub_reference(match[2] + hash_mark + patterns)


def default_uid(model_name: str) -> str:
    """The uid of a launch that names none: the model's name, of a hub's id the part behind the owner."""
    named = hub_reference(model_name, None)
    return model_name if named is None else named[1].name


def _first_of(uris: Iterable[str], scheme: str) -> str | None:
    return next((uri for uri in uris if _scheme_of(uri) == scheme), None)


def _scheme_of(uri: str) -> str:
    return uri.partition(":")[0]


def _scheme(name: str, where: str) -> str | None:
    """The scheme of a hub's name; None for "auto"."""
    scheme = _SCHEMES.get(name.lower())
    if scheme is None and name.lower() != "auto":
        raise BadRequest(f"{where} is {name!r}; known are auto, {', '.join(HUBS.values())}.", param=where)
    return scheme
