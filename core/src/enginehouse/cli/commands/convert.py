"""`enginehouse convert`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..failures import Refused

if TYPE_CHECKING:
    from importlib_metadata import EntryPoint

    from ...sdk import ModelFamily, Variant

CONVERTERS = "enginehouse.converters"  # the group of entry points: a format's name, and a module for `python -m`


@click.command()
@click.argument("model")
@click.option("--to", "wanted", default="gguf", show_default=True, help="Format to convert to.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="The file to write.  [default: MODEL-TYPE.FORMAT]"
)
@click.option("--type", "kind", default="f16", show_default=True, help="How numbers are stored: f32, f16, bf16, q8_0.")
@click.option("--base", help="For an adapter: the model it was made for, a folder or a name.")
@click.option("--overwrite", is_flag=True, help="Replace the file if there is one.")
def command(model: str, wanted: str, output: Path | None, kind: str, base: str | None, overwrite: bool) -> None:
    """Convert weights to another format. MODEL is a folder, or the name of a model that a plugin knows.

    A folder may hold an adapter (LoRA), too, as peft saves it. A model that sees becomes two files, the second beside
    the first.

    Runs without a server. The weights of a model that is known by name are fetched if they are not here yet.
    """
    converter = _converter(wanted)
    folder = _weights_of(model)
    file = output or Path(f"{Path(model).absolute().name}-{kind}.{wanted}")
    if file.exists() and not overwrite:
        raise Refused(f"{file} is there already; give another --output, or --overwrite.")
    options = ["--type", kind, "--name", Path(model).absolute().name]
    _run(converter, folder, file, [*options, "--base", str(_weights_of(base))] if base else options)
    click.echo(f"Wrote {file}." if base else f"Wrote {file}. Launch it with --model-path {file.absolute()}.")


def _converter(wanted: str) -> EntryPoint:
    """Of a plugin that is installed beside this command, or in the home."""
    from importlib_metadata import entry_points

    from ...host.plugin_shelf import Shelf
    from ...host.settings import home_folder

    Shelf(home_folder()).open()
    found: dict[str, EntryPoint] = {entry.name: entry for entry in entry_points(group=CONVERTERS)}
    if wanted not in found:
        known = ", ".join(sorted(found)) or "none; `pip install 'enginehouse[llamacpp]'` brings gguf"
        raise Refused(f"No installed plugin converts to {wanted!r}. Known formats: {known}.")
    return found[wanted]


def _weights_of(model: str) -> Path:
    path = Path(model)
    is_there = any((path / name).is_file() for name in ("config.json", "adapter_config.json"))
    return path.absolute() if is_there else _fetched(model)


def _fetched(model: str) -> Path:
    import asyncio

    from ...host.settings import settings_from
    from ...host.weights import fetch_weights
    from ...sdk import EnginehouseError
    from ..local import load_local

    try:
        settings = settings_from()
        contributions = load_local(settings).contributions
        variant = _variant(model, contributions.families)
        fetching = fetch_weights(variant.sources[0], contributions, settings.home, lambda progress: None)
        return asyncio.run(fetching)
    except EnginehouseError as error:
        raise Refused(error.message) from error


def _variant(model: str, families: tuple[ModelFamily, ...]) -> Variant:
    named = [family for family in families if family.name.lower() == model.lower()]
    if not named:
        raise Refused(f"{model!r} is no folder with a config.json, and no installed plugin knows a model of that name.")
    plain = [
        one for family in named for one in family.variants if one.format == "pytorch" and one.quantization == "none"
    ]
    if not plain:
        raise Refused(f"{model} has no plain weights to convert from (format pytorch, not quantized).")
    return plain[0]


def _run(converter: EntryPoint, folder: Path, file: Path, options: list[str]) -> None:
    """In a process of its own: what converts is a plugin's, and heavy. A plugin of the home is put on its path."""
    import os
    import subprocess
    import sys

    from ...host.plugin_shelf import is_mounted

    place = str(converter.dist.locate_file("")) if converter.dist else ""
    paths = [place if is_mounted(place) else "", os.environ.get("PYTHONPATH", "")]
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    arguments = [sys.executable, "-m", converter.value, str(folder), str(file), *options]
    done = subprocess.run(arguments, stderr=subprocess.PIPE, text=True, env=variables)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        raise Refused(f"The conversion failed: {said[-1] if said else f'status {done.returncode}'}")
