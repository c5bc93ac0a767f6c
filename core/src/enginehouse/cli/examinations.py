"""Plugins in words: what one would bring, and all about one that is there. Pure."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from .sizes import spell_bytes

_ASKED = {
    "network": "connects to other machines",
    "subprocesses": "starts programs of its own",
    "remote_code": "runs code that comes with a model",
}


def lines_of_examination(shown: dict[str, Any]) -> Iterator[str]:
    """What somebody should know before they agree to an installation."""
    size = spell_bytes(shown["size_bytes"])
    yield f"{shown['distribution']} {shown['version']}, {size}, from {shown['source']}"
    for plugin in shown["plugins"]:
        yield f"  plugin {plugin['name']}"
        yield from _contributes(plugin["contributes"])
        yield from _asks(plugin["asks"])
        yield f"    certificate: {spell_certificate(plugin['certificate']) or 'none'}"
        for engine, requirements in plugin["requirements"].items():
            yield f"    engine {engine} needs in its environment: {', '.join(requirements)}"
    yield f"  needs of the server: {', '.join(shown['requires']) or 'nothing'}"
    if shown["adds"]:
        yield f"  brings along: {', '.join(shown['adds'])}"
    if shown["replaces"]:
        yield f"  replaces: {shown['replaces']}"
        yield f"  gives new workers to: {', '.join(shown['upgrades']) or 'no model'}"


def lines_of_plugin(details: dict[str, Any]) -> Iterator[str]:
    """All about one plugin."""
    yield f"{details['name']}: {details['state']}"
    yield f"  distribution: {details['distribution']} {details['version']}"
    if details["folder"]:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(details["installed_ts"] or 0))
        yield f"  installed: {when}, from {details['source']}, in {details['folder']}"
    else:
        yield "  installed: in the server's own environment"
    yield from _contributes(details["contributes"], "  ")
    yield from _asks(details["asks"], "  ")
    yield f"  certificate: {spell_certificate(details['certificate']) or 'none'}"
    yield f"  needs of the server: {', '.join(details['requires']) or 'nothing'}"
    if details["adds"]:
        yield f"  brought along: {', '.join(details['adds'])}"
    yield f"  used by: {', '.join(details['used_by']) or 'no model'}"
    if details["reason"]:
        yield f"  reason: {details['reason']}"


def spell_certificate(certificate: dict[str, Any] | None) -> str | None:
    """The level, or why the certificate is not trusted; None without one."""
    if certificate is None:
        return None
    return str(certificate["level"] or "no level") if certificate["standing"] == "valid" else certificate["standing"]


def _contributes(contributes: dict[str, list[str]], indent: str = "    ") -> Iterator[str]:
    for kind, names in contributes.items():
        yield f"{indent}{kind.replace('_', ' ')}: {', '.join(names)}"


def _asks(asks: dict[str, str], indent: str = "    ") -> Iterator[str]:
    for what, why in asks.items():
        yield f"{indent}{_ASKED.get(what, what)}: {why}"
    if not asks:
        yield f"{indent}says of nothing that it does beyond answering requests"
