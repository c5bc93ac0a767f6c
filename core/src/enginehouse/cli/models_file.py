"""Files of models: `models:` and a list of launches, in YAML or JSON."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import yaml  # type: ignore[import-untyped]

from ..host.declarations import written
from ..host.launch_request import LaunchRequest, parse_launch
from ..sdk import EnginehouseError

Json = dict[str, Any]

_INTEGER = "tag:yaml.org,2002:int"


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """The safe one, in which 0_5 is no octal number but the size that people write."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - the library's own attribute
        first: [(tag, pattern) for tag, pattern in known if tag != _INTEGER]
        for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_Loader.add_implicit_resolver(_INTEGER, re.compile(r"[-+]?(?:0|[1-9][0-9]*)$"), list("-+0123456789"))


def read_models(file: Path) -> dict[str, Json]:
    """What a file declares, by uid, in its order. Raises UsageError that names every fault and its place."""
    content = _parse(file)
    entries = content.get("models") if isinstance(content, dict) else None
    if not isinstance(entries, list) or set(content) != {"models"}:
        raise click.UsageError(f"{file}: one key is expected at the top, `models`, with a list of models below it.")
    models, faults = _check(entries, file.absolute().parent)
    if faults:
        raise click.UsageError("\n".join(f"{file}: {fault}" for fault in faults))
    return models


def write_yaml(launches: list[Json]) -> str:
    """A file that `read_models` takes."""
    text: str = yaml.safe_dump({"models": launches}, sort_keys=False, allow_unicode=True, width=120)
    return text


def body_of(launch: Json) -> Json:
    """As `POST /v1/models` takes it: options of the engine beside the fields."""
    fields = {name: value for name, value in launch.items() if name != "options"}
    return {**fields, **launch.get("options", {})}


def _parse(file: Path) -> Any:
    try:
        return yaml.load(file.read_text("utf-8"), _Loader)
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{file} cannot be read: {error}.") from error
    except yaml.YAMLError as error:
        raise click.UsageError(f"{file} is no YAML: {error}") from error


def _check(entries: list[Any], folder: Path) -> tuple[dict[str, Json], list[str]]:
    """Launches by uid, and what is wrong. folder: where paths of the file begin."""
    models: dict[str, Json] = {}
    faults: list[str] = []
    for number, entry in enumerate(entries):
        place = f"models[{number}]"
        try:
            launch = written(_read(entry, folder))
        except EnginehouseError as error:
            faults.append(f"{place}: {error.message}")
            continue
        if launch["model_uid"] in models:
            faults.append(f"{place}: the uid {launch['model_uid']!r} is taken by one before; give it a `model_uid`.")
        models[launch["model_uid"]] = launch
    return models, faults


def _read(entry: Any, folder: Path) -> LaunchRequest:
    """One entry by the server's own reading. Raises BadRequest."""
    if not isinstance(entry, dict):
        return parse_launch(entry)
    fields = dict(_with_whole_path(entry, folder))
    options = fields.pop("options", None)
    return parse_launch({**fields, **options} if isinstance(options, dict) else fields)


def _with_whole_path(entry: Json, folder: Path) -> Iterator[tuple[str, Any]]:
    """What lies beside the file is named from the root; other paths are the server's."""
    for name, value in entry.items():
        here = name == "model_path" and isinstance(value, str) and (folder / value).exists()
        yield str(name), str(folder / value) if here else value
