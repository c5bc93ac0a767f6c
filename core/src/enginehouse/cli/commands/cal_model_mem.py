"""`enginehouse cal-model-mem`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..failures import Refused
from ..local import load_local
from ..sizes import spell_bytes
from ..tables import Column, print_json, print_table
from ..values import read_size

if TYPE_CHECKING:
    from ...host.sizing import Sizes


@click.command(name="cal-model-mem")
@click.option("-n", "--model-name", required=True, help="A model that plugins or registrations know.")
@click.option("-t", "--model-type", default="LLM", show_default=True, help="The model's type.")
@click.option("-s", "--size-in-billions", "size", type=read_size, required=True, metavar="SIZE", help="7, 0.5 or 0_5.")
@click.option("-f", "--model-format", required=True, help="pytorch, ggufv2, ...")
@click.option("-q", "--quantization", default="none", show_default=True, help="none, Q4_K_M, Int4, ...")
@click.option("-c", "--context-length", type=click.IntRange(min=1), required=True, help="Tokens.")
@click.option(
    "--kv-cache-dtype",
    "cache_bits",
    type=click.Choice(["8", "16", "32"]),
    default="16",
    show_default=True,
    help="Bits of a number in the cache.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(model_name: str, model_type: str, as_json: bool, cache_bits: str, **given: Any) -> None:
    """Calculate how much memory a model takes: its weights, and the cache of one sequence.

    Needs no server. What an engine takes beside, and whether it fits here, `enginehouse plan` says.
    """
    from ...sdk import EnginehouseError

    try:
        sizes = _calculate(model_name, model_type, {**given, "cache_bits": int(cache_bits)})
    except EnginehouseError as error:
        raise Refused(error.message) from error
    if as_json:
        print_json({name: getattr(sizes, name) for name in sizes.__struct_fields__})
    else:
        _show(sizes)


def _calculate(model_name: str, model_type: str, given: dict[str, Any]) -> Sizes:
    import asyncio

    from ...host.registrations import Registrations
    from ...host.settings import settings_from
    from ...host.sizing import SizeRequest, calculate_sizes, choose_variant

    settings = settings_from()
    contributions = load_local(settings).contributions
    if settings.home.is_dir():
        Registrations(contributions, settings.home).load()
    family = contributions.family(model_type, model_name)
    if family is None:
        raise Refused(f"No plugin and no registration knows a model {model_name!r} of type {model_type}.")
    request = SizeRequest(**given)
    return asyncio.run(calculate_sizes(choose_variant(family, request), request, contributions, settings.home))


def _show(sizes: Sizes) -> None:
    rows = (
        ("weights", spell_bytes(sizes.weights), f"from {sizes.basis}"),
        ("kv_cache", spell_bytes(sizes.kv_cache), sizes.missing or f"{sizes.context_length} tokens of one sequence"),
        ("total", spell_bytes(sizes.total), "" if sizes.kv_cache is not None else "without the cache"),
    )
    print_table((Column("COMPONENT"), Column("MEMORY"), Column("", folds=True)), rows)
