"""Calls about plugins."""

from __future__ import annotations

from typing import Any

from ..call import TERMINATE_SECONDS, UNBOUNDED, Call, Json, as_object, path_of

_PLUGINS = "/v1/plugins"
EXAMINE_SECONDS = 600.0  # a package is fetched, and built where it comes as source


def list_plugins() -> Call[list[Json]]:
    """The server's plugins, also those that were refused, with the reason."""
    return Call(action="list the plugins", method="GET", path=_PLUGINS, decode=_plugins)


def describe_plugin(name: str) -> Call[Json]:
    """All about a plugin: where it comes from, what it needs, which models stand on it."""
    return Call(action="describe the plugin", method="GET", path=path_of("v1", "plugins", name), decode=as_object)


def examine_plugin(
    source: str,
    index_url: str | None = None,
    extra_index_url: list[str] | None = None,
    find_links: list[str] | None = None,
    no_index: bool = False,
) -> Call[Json]:
    """What installing it would bring; nothing changes. The answer's `digest` installs exactly this.

    source: a package's name or requirement, or the path of a wheel or source tree on the server's machine.
    """
    given: dict[str, Any] = {
        "source": source,
        "index_url": index_url,
        "extra_index_url": extra_index_url or [],
        "find_links": find_links or [],
        "no_index": no_index,
    }
    return Call(
        action="examine the plugin",
        method="POST",
        path="/v1/plugin_examinations",
        body=given,
        read_seconds=EXAMINE_SECONDS,
        decode=as_object,
    )


def install_plugin(digest: str) -> Call[list[Json]]:
    """Installs what was examined; its plugins, which can be used from now on."""
    return Call(
        action="install the plugin",
        method="POST",
        path=_PLUGINS,
        body={"digest": digest},
        read_seconds=TERMINATE_SECONDS,
        decode=_plugins,
    )


def upgrade_plugin(name: str, digest: str) -> Call[list[Json]]:
    """Replaces a plugin by what was examined, once new workers of every model that runs its code have answered."""
    return Call(
        action="upgrade the plugin",
        method="PUT",
        path=path_of("v1", "plugins", name),
        body={"digest": digest},
        read_seconds=UNBOUNDED,
        decode=_plugins,
    )


def remove_plugin(name: str, force: bool = False) -> Call[list[str]]:
    """Removes a plugin. force: ends the models that stand on it; their uids."""
    return Call(
        action="remove the plugin",
        method="DELETE",
        path=path_of("v1", "plugins", name),
        query={"force": "true"} if force else {},
        read_seconds=TERMINATE_SECONDS,
        decode=lambda answer: list(answer["ended"]),
    )


def block_plugin(name: str) -> Call[Json]:
    """Nothing of it is used from now on. Workers that run its code serve on until they end."""
    return Call(
        action="block the plugin", method="POST", path=path_of("v1", "plugins", name, "block"), decode=as_object
    )


def unblock_plugin(name: str) -> Call[Json]:
    """Loads it again; its `state` says whether that went well."""
    return Call(
        action="unblock the plugin", method="POST", path=path_of("v1", "plugins", name, "unblock"), decode=as_object
    )


def _plugins(answer: Any) -> list[Json]:
    return list(answer["plugins"])
