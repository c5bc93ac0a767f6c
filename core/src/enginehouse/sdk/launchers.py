"""Launchers: what builds a model that no engine knows, out of a registration and its arguments.

A launcher is a callable `launcher(model_uid, model_spec, **arguments)` that gives an object with `load()` and
`infer(*args, **kwargs)`. It is imported inside a worker, never by the server. A plugin names its launchers by the hook
`enginehouse_launchers`; a distribution may also name one with no hook at all, as an entry point of the group
`enginehouse.launchers` whose value is "module:callable"; and a user may write the dotted path of any callable.
"""

from __future__ import annotations

import re

import msgspec

from .errors import InvalidSpec

GROUP = "enginehouse.launchers"
_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


class LauncherSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A launcher. launcher: "module:callable".

    aliases: other names for it, such as the dotted path that it had elsewhere.
    requirements: PEP 508, what its models' environment must carry beside their engine's own.
    distribution: that holds it, where no plugin brings it; its models' environment carries that, too.
    """

    name: str
    launcher: str
    aliases: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    distribution: str = ""
    summary: str = ""

    def __post_init__(self) -> None:
        if not self.name or not _TARGET.fullmatch(self.launcher):
            raise InvalidSpec(f"Launcher {self.name!r}: {self.launcher!r} is not of the form 'module:callable'.")
