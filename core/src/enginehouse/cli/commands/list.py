"""`enginehouse list`."""

from __future__ import annotations

from typing import Any

import click

from ..connection import connected, server_options
from ..sizes import spell_billions
from ..tables import Column, heading_of, print_json, print_table

Json = dict[str, Any]

_FIRST = (Column("UID"), Column("NAME"), Column("TYPE"), Column("ENGINE"), Column("STATUS"), Column("REPLICAS"))
_LAST = Column("ERROR", folds=True)
_DEVICE, _CONTEXT = Column("DEVICE"), Column("CONTEXT")
_OF_TYPE: dict[str, tuple[tuple[Column, str], ...]] = {
    "llm": (
        (_CONTEXT, "context_length"),
        (Column("FORMAT"), "model_format"),
        (Column("SIZE"), "model_size_in_billions"),
        (Column("QUANTIZATION"), "quantization"),
        (Column("ABILITIES"), "model_ability"),
    ),
    "embedding": ((Column("DIMENSIONS"), "dimensions"), (Column("MAX TOKENS"), "max_tokens")),
    "rerank": ((Column("KIND"), "type"), (Column("LANGUAGES"), "language")),
    **dict.fromkeys(
        ("image", "audio", "video"), ((Column("FAMILY"), "model_family"), (Column("ABILITIES"), "model_ability"))
    ),
}
_OF_ALL = ((_CONTEXT, "context_length"),)


@click.command(name="list")
@click.option("-t", "--model-type", help="Only those of this type, with what is told of it: LLM, embedding, ...")
@click.option("--json", "as_json", is_flag=True, help="Print the server's answer as JSON.")
@server_options
def command(model_type: str | None, as_json: bool, endpoint: str | None, api_key: str | None) -> None:
    """List the models, with those that load or have failed."""
    with connected(endpoint, api_key) as client:
        models = [item for item in client.list_models(any_status=True).values() if _is_of(item, model_type)]
    more = _OF_ALL if model_type is None else _OF_TYPE.get(model_type.lower()) or _reported(models)
    if as_json:
        print_json(models)
    elif models:
        columns = (*_FIRST, _DEVICE, *(column for column, _ in more), _LAST)
        print_table(columns, [row_of(item, [field for _, field in more]) for item in models])
    else:
        kind = f" {model_type}" if model_type else ""
        click.echo(f"No{kind} models are running. Launch one with `enginehouse launch`.", err=True)


def _reported(models: list[Json]) -> tuple[tuple[Column, str], ...]:
    """What a type that a plugin brings reports: the fields that an answer has before those that all models have."""
    fields = list(models[0]) if models else []
    own = fields[fields.index("owned_by") + 1 : fields.index("model_uid")] if "model_uid" in fields else []
    return tuple((Column(heading_of(name)), name) for name in own if name not in ("model_name", "context_length"))


def row_of(item: Json, more: list[str]) -> tuple[object, ...]:
    """more: fields shown between the devices and the error."""
    return (
        item["id"],
        item.get("model_name"),
        item.get("model_type"),
        item.get("model_engine"),
        item.get("status", "READY"),
        item.get("replica"),
        _devices(item),
        *(_spell(field, item.get(field)) for field in more),
        " ".join(str(item.get("error") or "").split()),
    )


def _is_of(item: Json, model_type: str | None) -> bool:
    return model_type is None or str(item.get("model_type")).lower() == model_type.lower()


def _devices(item: Json) -> str:
    return ",".join(map(str, item.get("devices") or item.get("accelerators") or ())) or "cpu"


def _spell(field: str, value: object) -> object:
    if field == "model_size_in_billions":
        return spell_billions(value)
    return ",".join(map(str, value)) if isinstance(value, list) else value
