"""`enginehouse plan`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from ..connection import connected, server_options
from ..launch_options import launch_options, read_engine_options, read_model_name
from ..launching import launch_arguments
from ..sizes import spell_billions, spell_bytes
from ..tables import Column, print_json, print_table

DOES_NOT_FIT = 4  # exit status: the launch could be tried, but would want more memory than is free

Json = dict[str, Any]
Row = tuple[object, ...]


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True}, options_metavar="[NAME] [OPTIONS]"
)
@launch_options
@click.option("--json", "as_json", is_flag=True, help="Print the server's answer as JSON.")
@server_options
@click.pass_context
def command(context: click.Context, /, as_json: bool, endpoint: str | None, api_key: str | None, **given: Any) -> int:
    """Say what a launch with these options would do, and do nothing.

    Any other `--key value` is an option of the engine. Ends with status 4 when it would not fit into memory.
    """
    extra = read_engine_options(context)
    given["model_name"] = read_model_name(given["model_name"], extra, given["model_path"])
    with connected(endpoint, api_key) as client:
        plan = client.plan_model(**launch_arguments(given, extra.options))
    if as_json:
        print_json(plan)
    else:
        _show(plan)
    return DOES_NOT_FIT if plan["fit"]["fits"] is False else 0


def _show(plan: Json) -> None:
    print_table((Column("PLAN"), Column("", folds=True)), [*_plan_rows(plan), *_fit_rows(plan)])
    _section("MEMORY OF A REPLICA", [(name, spell_bytes(size)) for name, size in _components(plan)], "BYTES")
    _section("OPTION", [_option_row(option) for option in plan["options"]], "VALUE")
    _section("OTHER ENGINE", list(_other_rows(plan)), "WHY NOT")


def _section(title: str, rows: list[Row], second: str) -> None:
    if rows:
        click.echo()
        print_table((Column(title), Column(second, folds=True)), rows)


def _plan_rows(plan: Json) -> Iterator[Row]:
    weights, environment = plan["weights"], plan["environment"]
    yield "model", f"{plan['model_name']} ({plan['model_type']}), {_variant(plan)}"
    yield "engine", f"{plan['model_engine']}. {plan['engine_reason']}"
    yield "tasks", ", ".join(plan["tasks"])
    yield "weights", weights["source"]
    yield "on disk", spell_bytes(weights["bytes_on_disk"])
    yield "to download", spell_bytes(weights["bytes_to_download"])
    yield from _environment_rows(environment)
    yield "replicas", plan["replica"]
    yield "devices", "; ".join(",".join(place) or plan["device"] for place in plan["devices"])
    yield "context", plan["memory"]["context_length"] or "unknown"


def _environment_rows(environment: Json) -> Iterator[Row]:
    yield "environment", f"{environment['provisioner']}. {environment['reason']}"
    if environment["locked"]:
        there = "is here" if environment["exists"] else "is not made yet"
        yield "locked", f"{environment['packages']} packages; {environment['digest'][:12]} {there}"
    elif environment["locked"] is False:
        yield "locked", "not yet: the launch resolves it (or `enginehouse env lock`)"
    if environment["interpreter"]:
        yield "python", environment["interpreter"]
    yield "requirements", ", ".join(map(_requirement, environment["requirements"])) or "none"
    for name in ("overrides", "exclusions"):
        if environment[name]:
            yield name, ", ".join(environment[name])
    if environment["indexes"]:
        yield "packages from", ", ".join(_places(environment["indexes"]))
    for note in environment["notes"]:
        yield "note", note


def _places(indexes: Json) -> Iterator[str]:
    if indexes["no_index"]:
        yield "no index"
    else:
        yield indexes["index_url"] or "the Python Package Index"
        yield from indexes["extra_index_url"]
    yield from indexes["find_links"]


def _fit_rows(plan: Json) -> Iterator[Row]:
    fit = plan["fit"]
    verdict = {True: "yes", False: "no", None: "unknown"}[fit["fits"]]
    yield "fits", f"{verdict}: {spell_bytes(fit['needed_bytes'])} needed, {spell_bytes(fit['free_bytes'])} free"
    if plan["evicts"]:
        yield "unloads", ", ".join(plan["evicts"])
    for alternative in fit["alternatives"]:
        change = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in alternative["change"].items())
        yield "instead", f"{change}  {alternative['message']} ({spell_bytes(alternative['needed_bytes'])})"


def _components(plan: Json) -> Iterator[tuple[str, int | None]]:
    memory = plan["memory"]
    yield from memory["estimated_bytes"].items()
    yield from ((name, None) for name in memory["unknown"])


def _variant(plan: Json) -> str:
    size = spell_billions(plan["model_size_in_billions"])
    return f"{plan['model_format']}, {size} billion parameters, {plan['quantization']}"


def _requirement(state: Json) -> str:
    return f"{state['requirement']} ({state['installed'] or 'not installed'})"


def _option_row(option: Json) -> Row:
    return option["name"], f"{option['value']}{' (default)' if option['is_default'] else ''}"


def _other_rows(plan: Json) -> Iterator[Row]:
    for engine in plan["other_engines"]:
        reasons = "; ".join(reason["message"] for reason in engine["reasons"])
        yield engine["name"], reasons or "could run it, too"
