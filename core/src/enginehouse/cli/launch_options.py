"""The options of a launch, shared by the commands that launch, plan or declare one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from .completing import complete_engines, complete_models
from .values import Extra, read_extra, read_indexes, read_n_gpu, read_size

C = TypeVar("C", bound=Callable[..., Any])

_PAIR: dict[str, Any] = {"type": (str, str), "multiple": True, "metavar": "KEY VALUE"}


def only_one(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> str | None:
    """Of an option of which two would leave open which is meant, as two paths do."""
    if len(values) > 1:
        raise click.BadParameter("give it once", context, parameter)
    return values[0] if values else None


OPTIONS: tuple[Callable[..., Any], ...] = (
    click.option(
        "-n",
        "--model-name",
        shell_complete=complete_models,
        help="Model to launch; may also be the first argument.",
    ),
    click.option(
        "-t", "--model-type", default="LLM", show_default=True, help="LLM, or another type that plugins bring."
    ),
    click.option(
        "-en",
        "--model-engine",
        shell_complete=complete_engines,
        help="Engine to run it.  [default: the best that can]",
    ),
    click.option("-u", "--model-uid", help="Name to use it by.  [default: the model's name]"),
    click.option(
        "-s",
        "--size-in-billions",
        "--model-size-in-billions",
        "model_size_in_billions",
        type=read_size,
        metavar="SIZE",
        help="7, 0.5 or 0_5.",
    ),
    click.option("-f", "--model-format", help="pytorch, ggufv2, ..."),
    click.option("-q", "--quantization", help="none, Q4_K_M, Int4, ..."),
    click.option(
        "-r", "--replica", type=click.IntRange(min=1), default=1, show_default=True, help="Number of workers."
    ),
    click.option("--n-worker", type=click.IntRange(min=1), default=1, show_default=True, help="Machines per replica."),
    click.option(
        "--n-gpu", type=read_n_gpu, default="auto", show_default=True, metavar="N", help="A number, auto, or none."
    ),
    click.option("--gpu-idx", type=read_indexes, metavar="0,1", help="Exactly these GPUs."),
    click.option("--worker-ip", help="Machine to run on."),
    click.option("--request-limits", type=click.IntRange(min=0), help="Requests at once, per replica."),
    click.option("--queue-length", type=click.IntRange(min=0), help="Requests beyond the limit that wait for a turn."),
    click.option("--on-demand", "--lazy", "on_demand", is_flag=True, help="Load when the first request comes."),
    click.option(
        "--keep-alive", type=click.FloatRange(min=0), metavar="SECONDS", help="Unload after so long without requests."
    ),
    click.option(
        "-mp",
        "--model-path",
        multiple=True,
        callback=only_one,
        help="Folder or file of the weights, when they are here already.",
    ),
    click.option("--download-hub", help="Where weights come from: huggingface, modelscope, ..."),
    click.option("--enable-thinking/--disable-thinking", default=None, help="For models that can do both."),
    click.option(
        "--trust-remote-code",
        type=bool,
        is_flag=False,
        flag_value=True,
        default=False,
        metavar="[BOOL]",
        help="Run code that comes with the weights. Only for models you trust as much as a program.",
    ),
    click.option("-lm", "--lora-modules", type=(str, str), multiple=True, metavar="NAME PATH", help="LoRA weights."),
    click.option("-ld", "--image-lora-load-kwargs", help="How LoRA weights of image models are loaded.", **_PAIR),
    click.option("-fd", "--image-lora-fuse-kwargs", help="How LoRA weights of image models are fused.", **_PAIR),
    click.option("-qc", "--quantization-config", help="How to quantize while loading.", **_PAIR),
    click.option("--enable-virtual-env/--disable-virtual-env", default=None, help="An environment of its own."),
    click.option(
        "-vp", "--virtual-env-package", multiple=True, metavar="REQUIREMENT", help="Goes into it; repeatable."
    ),
    click.option("--virtual-env-find-link", multiple=True, metavar="FOLDER", help="Wheels for it; repeatable."),
    click.option(
        "--environment",
        metavar="system|uv|path:PYTHON",
        help="The server's own, one that is made, or an interpreter of the server's machine.  "
        "[default: the server's own if it has all that is needed]",
    ),
    click.option("-ev", "--env", help="Environment variable of the worker; repeatable.", **_PAIR),
)


def launch_options(command: C) -> C:
    """Adds them all to a command."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def read_engine_options(context: click.Context) -> Extra:
    """What was given beside the options above. Raises UsageError."""
    try:
        return read_extra(context.args)
    except ValueError as error:
        raise click.UsageError(str(error), context) from error


def read_model_name(named: str | None, extra: Extra, model_path: str | None = None) -> str | None:
    """The model's name, as an option or as the only plain word; None where a path does instead. Raises UsageError."""
    names = [*([named] if named else []), *extra.words]
    if model_path and not names:
        return None
    if len(names) != 1:
        found = f"; found {', '.join(names)}" if names else ""
        raise click.UsageError(f"Say which model to launch, once: --model-name NAME{found}.")
    return names[0]
