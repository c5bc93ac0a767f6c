"""A launch as the command line sees it: what to send, waiting until it is ready, and showing how far it is."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .failures import Refused
from .values import read_pairs

if TYPE_CHECKING:
    from ..client import Client

POLL_SECONDS = 0.2  # often enough to look alive, seldom enough to cost the server nothing
OVER = ("ERROR", "TERMINATING", "TERMINATED")

Show = Callable[[float, str], None]
"""Takes progress from 0 to 1 and a few words."""

_AS_GIVEN = (
    "model_name",
    "model_type",
    "model_engine",
    "model_uid",
    "model_size_in_billions",
    "model_format",
    "quantization",
    "replica",
    "n_worker",
    "n_gpu",
    "request_limits",
    "worker_ip",
    "gpu_idx",
    "model_path",
    "enable_thinking",
    "enable_virtual_env",
)
_ONLY_WHEN_SET = ("download_hub", "trust_remote_code", "on_demand", "environment")
_ONLY_WHEN_GIVEN = ("queue_length", "keep_alive")  # where 0 says something


def launch_arguments(given: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `Client.launch_model` from the command's options and the engine's."""
    arguments = {name: given[name] for name in _AS_GIVEN}
    arguments["model_path"] = _whole_path(given["model_path"])
    arguments["envs"] = dict(given["env"]) or None
    arguments["virtual_env_packages"] = list(given["virtual_env_package"]) or None
    arguments["virtual_env_find_links"] = list(given["virtual_env_find_link"]) or None
    arguments["peft_model_config"] = _peft_config(given)
    arguments.update({name: given[name] for name in _ONLY_WHEN_SET if given[name]})
    arguments.update({name: given[name] for name in _ONLY_WHEN_GIVEN if given[name] is not None})
    if given["quantization_config"]:
        arguments["quantization_config"] = read_pairs(given["quantization_config"])
    return {**arguments, **extra}


def _whole_path(path: str | None) -> str | None:
    """What lies here is named from the root; other paths are the server's."""
    return str(Path(path).absolute()) if path and Path(path).exists() else path


def _peft_config(given: Mapping[str, Any]) -> dict[str, Any] | None:
    parts = {
        "lora_list": [{"lora_name": name, "local_path": path} for name, path in given["lora_modules"]] or None,
        "image_lora_load_kwargs": read_pairs(given["image_lora_load_kwargs"]),
        "image_lora_fuse_kwargs": read_pairs(given["image_lora_fuse_kwargs"]),
    }
    return {key: value for key, value in parts.items() if value} or None


def await_ready(client: Client, model_uid: str, show: Show) -> None:
    """Returns when the model is ready. The server bounds each load; raises Refused with the reason when it fails."""
    while True:
        model = client.describe_model(model_uid, any_status=True)
        status, error = model.get("status", "READY"), model.get("error")
        if status in ("READY", "UNLOADED", "ASLEEP"):  # the latter two: loaded or woken when somebody asks
            return
        if status in OVER:
            raise Refused(_failure(model_uid, status, error))
        progress = client.get_launch_model_progress(model_uid)
        stage = f"restarting after: {error}" if status == "RESTARTING" and error else progress.get("stage") or status
        show(float(progress.get("progress") or 0), str(stage).replace("\n", " "))
        time.sleep(POLL_SECONDS)


def _failure(model_uid: str, status: str, error: str | None) -> str:
    if status != "ERROR":
        return f"Model {model_uid} was terminated while it was loading."
    reason = error or "the server gives no reason; see its log"
    return f"Model {model_uid} failed to launch: {reason}\nRemove it with `enginehouse terminate {model_uid}`."


@contextmanager
def shown_progress(model_uid: str) -> Iterator[Show]:
    """Shows progress on stderr: a live line on a terminal, else a line for each new stage."""
    if not sys.stderr.isatty():
        yield _stage_lines(model_uid)
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

    text = TextColumn("{task.description}")
    columns = (SpinnerColumn(), text, BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"{escape(model_uid)}: launching", total=1.0)
        yield lambda done, stage: progress.update(
            task, completed=done, description=f"{escape(model_uid)}: {escape(stage)}"
        )


def _stage_lines(model_uid: str) -> Show:
    seen: list[str] = []

    def show(done: float, stage: str) -> None:
        if seen[-1:] != [stage]:
            seen.append(stage)
            click.echo(f"{model_uid}: {stage}", err=True)

    return show
