"""`enginehouse launch`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from ..connection import connected, server_options
from ..launching import await_ready, launch_arguments, shown_progress
from ..values import Extra, read_extra, read_indexes, read_n_gpu, read_size

if TYPE_CHECKING:
    from ...client import Client

_PAIR: dict[str, Any] = {"type": (str, str), "multiple": True, "metavar": "KEY VALUE"}

OPTIONS: tuple[Callable[..., Any], ...] = (
    click.option("-n", "--model-name", help="Model to launch; may also be the first argument."),
    click.option(
        "-t", "--model-type", default="LLM", show_default=True, help="LLM, or another type that plugins bring."
    ),
    click.option("-en", "--model-engine", help="Engine to run it.  [default: the best that can]"),
    click.option("-u", "--model-uid", help="Name to use it by.  [default: the model's name]"),
    click.option(
        "-s", "--size-in-billions", "model_size_in_billions", type=read_size, metavar="SIZE", help="7, 0.5 or 0_5."
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
    click.option("-mp", "--model-path", help="Folder or file of the weights, when they are here already."),
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
    click.option("-ev", "--env", help="Environment variable of the worker; repeatable.", **_PAIR),
    click.option("--no-wait", is_flag=True, help="Print the uid and end, while the model loads."),
    server_options,
)


def all_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(OPTIONS):
        command = option(command)
    return command


@click.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
@all_options
@click.pass_context
def command(context: click.Context, /, no_wait: bool, endpoint: str | None, api_key: str | None, **given: Any) -> None:
    """Launch a model and wait until it is ready. The uid alone is printed on stdout.

    Any other `--key value` is an option of the engine.
    """
    extra = _read_extra(context)
    given["model_name"] = _model_name(given["model_name"], extra)
    arguments = launch_arguments(given, extra.options)
    with connected(endpoint, api_key) as client:
        uid = client.launch_model(**arguments, wait_ready=False)
        if not no_wait:
            _wait(client, uid)
    click.echo(uid)


def _read_extra(context: click.Context) -> Extra:
    try:
        return read_extra(context.args)
    except ValueError as error:
        raise click.UsageError(str(error), context) from error


def _model_name(named: str | None, extra: Extra) -> str:
    names = [*([named] if named else []), *extra.words]
    if len(names) != 1:
        found = f"; found {', '.join(names)}" if names else ""
        raise click.UsageError(f"Say which model to launch, once: --model-name NAME{found}.")
    return names[0]


def _wait(client: Client, uid: str) -> None:
    try:
        with shown_progress(uid) as show:
            await_ready(client, uid, show)
    except KeyboardInterrupt:
        click.echo(f"Cancelling the launch of {uid}.", err=True)
        client.cancel_launch_model(uid)
        raise
