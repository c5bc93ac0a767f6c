"""`enginehouse engine`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from ..completing import complete_engines, complete_models
from ..connection import connected, server_options
from ..failures import Refused
from ..sizes import spell_billions
from ..tables import Column, print_json, print_table
from ..values import read_size

ENGINES = (
    Column("ENGINE"),
    Column("INSTALLED"),
    Column("TASKS"),
    Column("FORMATS"),
    Column("DEVICES"),
    Column("", True),
)
USABLE = (Column("ENGINE"), Column("FORMAT"), Column("SIZE"), Column("QUANTIZATIONS", True), Column("WHY NOT", True))
OPTION = (Column("OPTION"), Column("TYPE"), Column("DEFAULT"), Column("MEANING", True))

Json = dict[str, Any]
Row = tuple[object, ...]


@click.command()
@click.option(
    "-n",
    "--model-name",
    shell_complete=complete_models,
    help="Which engines can run this model.  [default: list all engines]",
)
@click.option("-t", "--model-type", default="LLM", show_default=True, help="The model's type.")
@click.option("-en", "--model-engine", shell_complete=complete_engines, help="Only this engine.")
@click.option("-f", "--model-format", help="Only this format.")
@click.option("-s", "--size-in-billions", type=read_size, metavar="SIZE", help="Only this size.")
@click.option("-q", "--quantization", help="Only this quantization.")
@click.option(
    "--options",
    "options_of",
    metavar="ENGINE",
    shell_complete=complete_engines,
    help="Show the launch options of an engine.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the server's answer as JSON.")
@server_options
def command(
    model_name: str | None,
    model_type: str,
    options_of: str | None,
    as_json: bool,
    endpoint: str | None,
    api_key: str | None,
    **wanted: Any,
) -> None:
    """List the engines, say which can run a model, or show an engine's launch options."""
    with connected(endpoint, api_key) as client:
        if model_name:
            _show_usable(client.query_engine_by_model_name(model_name, model_type), model_name, wanted, as_json)
        elif options_of:
            _show_options(_named(client.list_engines(), options_of), as_json)
        else:
            _show_engines(client.list_engines(), as_json)


def _show_engines(engines: list[Json], as_json: bool) -> None:
    if as_json:
        return print_json(engines)
    print_table(ENGINES, [_engine_row(engine) for engine in engines])


def _engine_row(engine: Json) -> Row:
    missing = ", ".join(state["requirement"] for state in engine["requirements"] if not state["satisfied"])
    lists = (", ".join(engine[name]) for name in ("tasks", "formats", "devices"))
    return engine["name"], "yes" if engine["installed"] else f"no: {missing}", *lists, engine["summary"]


def _show_usable(answer: Json | None, model_name: str, wanted: Json, as_json: bool) -> None:
    if answer is None:
        raise Refused(f"Nobody knows a model {model_name!r}; `enginehouse registrations` lists the known ones.")
    chosen = {
        engine: verdict if isinstance(verdict, str) else [item for item in verdict if _is_wanted(item, wanted)]
        for engine, verdict in answer.items()
        if _same(wanted["model_engine"], engine)
    }
    if as_json:
        return print_json(chosen)
    print_table(USABLE, [row for engine, verdict in chosen.items() for row in _verdict_rows(engine, verdict)])


def _verdict_rows(engine: str, verdict: list[Json] | str) -> Iterator[Row]:
    if isinstance(verdict, str):
        yield engine, "", "", "", verdict
        return
    for item in verdict:
        size = spell_billions(item.get("model_size_in_billions"))
        yield engine, item.get("model_format"), size, ", ".join(_quantizations(item)), ""


def _is_wanted(item: Json, wanted: Json) -> bool:
    return (
        _same(wanted["model_format"], item.get("model_format"))
        and _same(_plain(wanted["size_in_billions"]), _plain(item.get("model_size_in_billions")))
        and (wanted["quantization"] is None or any(_same(wanted["quantization"], one) for one in _quantizations(item)))
    )


def _quantizations(item: Json) -> list[str]:
    return list(item.get("quantizations") or filter(None, [item.get("quantization")]))


def _same(wanted: object, found: object) -> bool:
    """Whether it was not asked for, or is that, without regard to case."""
    return wanted is None or str(wanted).lower() == str(found).lower()


def _plain(size: object) -> str | None:
    return spell_billions(size) or None


def _named(engines: list[Json], name: str) -> Json:
    for engine in engines:
        if _same(name, engine["name"]):
            return engine
    have = ", ".join(engine["name"] for engine in engines) or "none"
    raise Refused(f"There is no engine {name!r}. Installed: {have}.")


def _show_options(engine: Json, as_json: bool) -> None:
    if as_json:
        return print_json(engine["options"])
    fields = engine["options"].get("properties", {})
    if not fields:
        click.echo(f"Engine {engine['name']} has no options.", err=True)
        return
    print_table(OPTION, [_option_row(name, field) for name, field in fields.items()])


def _option_row(name: str, field: Json) -> Row:
    return f"--{name.replace('_', '-')}", _type_of(field), field.get("default"), field.get("description", "")


def _type_of(field: Json) -> str:
    if "enum" in field:
        return "|".join(map(str, field["enum"]))
    if "anyOf" in field:
        return " or ".join(_type_of(part) for part in field["anyOf"])
    return str(field.get("type", "any"))
