"""`enginehouse registrations`."""

from __future__ import annotations

from typing import Any

import click

from ..connection import connected, server_options
from ..sizes import spell_billions
from ..tables import Column, heading_of, print_json, print_table
from .register import TYPE

Json = dict[str, Any]

_HEAD = (Column("NAME"), Column("OF"))
_TAIL = (Column("FORMATS"), Column("HERE"))
_MORE: dict[str, tuple[Column, ...]] = {
    "llm": (Column("LANGUAGES"), Column("ABILITIES"), Column("SIZES"), Column("CONTEXT")),
    "embedding": (Column("LANGUAGES"), Column("DIMENSIONS"), Column("MAX TOKENS")),
    "rerank": (Column("LANGUAGES"), Column("KIND")),
    **dict.fromkeys(("image", "audio", "video"), (Column("FAMILY"), Column("ABILITIES"))),
}
_OF_ALL = frozenset(
    (
        *("version", "model_name", "model_description", "cache_config", "virtualenv", "is_builtin", "model_specs"),
        *("model_id", "model_uri", "model_hub", "model_revision", "cache_status", "download_hubs"),
    )
)


@click.command()
@TYPE
@click.option("--own", is_flag=True, help="Only those that users registered.")
@click.option("--json", "as_json", is_flag=True, help="Print the server's answer as JSON.")
@server_options
def command(model_type: str, own: bool, as_json: bool, endpoint: str | None, api_key: str | None) -> None:
    """List the models that can be launched: those of plugins and those that users registered."""
    with connected(endpoint, api_key) as client:
        models = client.list_model_registrations(model_type, detailed=True)
    models = [item for item in models if not (own and item["is_builtin"])]
    if as_json:
        print_json(models)
    elif models:
        fields = () if model_type.lower() in _MORE else _own_fields(models)
        more = _MORE.get(model_type.lower(), tuple(Column(heading_of(name)) for name in fields))
        print_table((*_HEAD, *more, *_TAIL), [_row(model_type.lower(), item, fields) for item in models])
    else:
        click.echo(f"No {model_type} models are known.", err=True)


def _own_fields(models: list[Json]) -> tuple[str, ...]:
    """What registrations of a type that a plugin brings say beside what all do."""
    return tuple(dict.fromkeys(name for item in models for name in item if name not in _OF_ALL))


def _row(model_type: str, item: Json, fields: tuple[str, ...]) -> tuple[object, ...]:
    specs: list[Json] = item.get("model_specs") or []
    formats = _words(spec.get("model_format") for spec in specs)
    here = "yes" if any(spec.get("cache_status") for spec in specs) else "no"
    whose = "plugin" if item["is_builtin"] else "yours"
    return (item["model_name"], whose, *_middle(model_type, item, specs, fields), formats, here)


def _middle(model_type: str, item: Json, specs: list[Json], fields: tuple[str, ...]) -> tuple[object, ...]:
    languages = _words(item.get("model_lang") or item.get("language") or ())
    abilities = _words(item.get("model_ability") or ())
    if model_type == "llm":
        return (
            languages,
            abilities,
            _words(spell_billions(spec.get("model_size_in_billions")) for spec in specs),
            item["context_length"],
        )
    if model_type == "embedding":
        return languages, item.get("dimensions"), item.get("max_tokens")
    if model_type == "rerank":
        return languages, item.get("type")
    if fields:
        return tuple(item.get(name) for name in fields)
    return item.get("model_family"), abilities


def _words(values: Any) -> str:
    """Each once, in order: "pytorch,ggufv2"."""
    listed = [values] if isinstance(values, str) else values
    return ",".join(dict.fromkeys(str(value) for value in listed if value is not None))
