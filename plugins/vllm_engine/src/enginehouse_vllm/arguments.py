"""From a worker's order to vLLM's command line and environment variables. Pure but for reading the model's config."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from enginehouse.sdk import BadRequest, CannotRun, RunnerOrder, WorkerOrder

from .cache import cache_bytes
from .checkpoint import adapter_rank, cache_numbers, context_length, head_size, stored_dtype
from .options import VllmOptions

TEMPLATE_FILE = "chat_template.jinja"
MIDDLEWARE = "enginehouse_vllm.wire.Wire"
KEEP_ALIVE_SECONDS = 3600  # the gateway's pool decides when to close; a private socket has no strangers to shake off
RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # that vLLM has kernels for
WIDTHS = {"float32": 4, "float": 4}

# guidance is llguidance, which constrains answers on the engine transformers, too: the same words are refused.
STRUCTURED = {"backend": "guidance"}

_SPOKEN = frozenset({"dtype", "tensor_parallel_size", "enable_sleep_mode", "enforce_eager", "kv_cache_gib",
                     "peft_model_config", "max_lora_rank", "max_loras", "tool_call_parser", "reasoning_parser",
                     "structured_outputs_config", "truncate", "extra"})  # fmt: skip
"""Options that need more than their flag."""

_DECIDED = frozenset({"model", "served-model-name", "uds", "host", "port", "middleware", "api-key", "trust-remote-code",
                      "tool-parser-plugin", "reasoning-parser-plugin", "lora-modules", "enable-lora"})  # fmt: skip
"""Flags that the launch's other fields decide, or that nobody may set beside them."""

HEAD_SIZES = (32, 64, 80, 96, 112, 128, 160, 192, 224, 256, 512)  # that vLLM's attention on a CPU has code for


class Launch(NamedTuple):
    """vLLM's command line, and variables of its process."""

    argv: tuple[str, ...]
    variables: dict[str, str]


def options_of(runner: RunnerOrder) -> VllmOptions:
    """The launch's options. Raises BadRequest."""
    try:
        return msgspec.convert(runner.option_values, VllmOptions, strict=False)
    except msgspec.ValidationError as error:
        raise BadRequest(f"A launch option is wrong: {error}.") from error


def launch_of(order: WorkerOrder, runner: RunnerOrder, options: VllmOptions) -> Launch:
    """What vLLM is started with. Raises BadRequest for options that contradict the launch."""
    return Launch(tuple(_argv(order, runner, options)), _variables(runner))


def _argv(order: WorkerOrder, runner: RunnerOrder, options: VllmOptions) -> Iterator[str]:
    model = Path(runner.model_path)
    yield from ("--model", str(model), "--served-model-name", order.model_uid, "--uds", order.socket)
    yield from ("--middleware", MIDDLEWARE, "--uvicorn-log-level", "warning", "--disable-uvicorn-access-log")
    yield "--disable-fastapi-docs"
    if runner.trust_remote_code:
        yield "--trust-remote-code"
    if not {"generate", "chat"} & set(runner.tasks):
        yield from ("--runner", "pooling")
    else:
        yield from _flag("structured_outputs_config", options.structured_outputs_config or STRUCTURED)
    if runner.chat_template is not None:
        yield from ("--chat-template", str(Path(order.folder) / TEMPLATE_FILE))
    yield from _device_flags(order, runner, options, model)
    yield from _lora_flags(order, options)
    for name in options.__struct_fields__:
        if name not in _SPOKEN and (value := getattr(options, name)) is not None:
            yield from _flag(name, value)
    for name, value in options.extra.items():
        if _word(name) in _DECIDED:
            raise BadRequest(f"`extra` may not hold {name!r}: the launch's own fields decide it.", param="extra")
        yield from _flag(name, value)


def _device_flags(order: WorkerOrder, runner: RunnerOrder, options: VllmOptions, model: Path) -> Iterator[str]:
    on_cpu = runner.device == "cpu"
    if on_cpu and (size := head_size(model)) is not None and size not in HEAD_SIZES:
        raise CannotRun(
            f"vLLM cannot run this model on a CPU: its attention heads have {size} numbers, and there is code for "
            f"{', '.join(map(str, HEAD_SIZES))} only. Launch it with the engine transformers."
        )
    dtype = options.dtype
    if dtype == "auto" and on_cpu and stored_dtype(model) == "float32":
        dtype = "float32"
    yield from ("--dtype", dtype)
    size = options.tensor_parallel_size or max(1, _devices(order) // options.pipeline_parallel_size)
    yield from ("--tensor-parallel-size", str(size))
    yield from _flag("enforce_eager", on_cpu if options.enforce_eager is None else options.enforce_eager)
    if on_cpu and options.enable_sleep_mode:
        raise BadRequest("vLLM sleeps on a device only: leave enable_sleep_mode out.", param="enable_sleep_mode")
    if not on_cpu and (runner.may_sleep if options.enable_sleep_mode is None else options.enable_sleep_mode):
        yield "--enable-sleep-mode"
    if size == options.pipeline_parallel_size == 1:
        yield from ("--distributed-executor-backend", "uni")  # a process fewer, and seconds
    if on_cpu:
        context = options.max_model_len or context_length(model)
        space = cache_bytes(options.kv_cache_gib, cache_numbers(model), context, WIDTHS.get(dtype, 2))
        yield from ("--kv-cache-memory-bytes", str(space))


def _devices(order: WorkerOrder) -> int:
    return len([one for one in order.environment.get("CUDA_VISIBLE_DEVICES", "").split(",") if one])


def _lora_flags(order: WorkerOrder, options: VllmOptions) -> Iterator[str]:
    loras = options.loras
    if not loras:
        return
    if any(lora.lora_name == order.model_uid for lora in loras):
        raise BadRequest(
            f"A LoRA is named {order.model_uid!r}, as the model itself; give it another name, or the model another "
            "uid, so that a request can say which of them it is for.",
            param="peft_model_config",
        )
    folders = [Path(lora.local_path).expanduser() for lora in loras]
    rank = options.max_lora_rank or max(adapter_rank(folder) or RANKS[0] for folder in folders)
    yield "--enable-lora"
    yield from ("--max-loras", str(options.max_loras or len(loras)))
    yield from ("--max-lora-rank", str(next((fit for fit in RANKS if fit >= rank), rank)))
    yield "--lora-modules"
    for lora, folder in zip(loras, folders, strict=True):
        yield json.dumps({"name": lora.lora_name, "path": str(folder)})


def _flag(name: str, value: Any) -> Iterator[str]:
    """A flag as vLLM's parser reads it."""
    word = _word(name)
    if isinstance(value, bool):
        yield f"--{word}" if value else f"--no-{word}"
    elif value is None:
        yield f"--{word}"
    elif isinstance(value, list) and not any(isinstance(one, dict | list) for one in value):
        yield from (f"--{word}", *map(str, value))
    else:
        yield from (f"--{word}", json.dumps(value) if isinstance(value, dict | list) else str(value))


def _word(name: str) -> str:
    return name.strip("-").replace("_", "-")


def _variables(runner: RunnerOrder) -> dict[str, str]:
    """What vLLM reads from its process. HF_HUB_OFFLINE: weights are here already, and nothing else is asked for."""
    said: dict[str, str] = {
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "HF_HUB_OFFLINE": "1",
        "VLLM_HTTP_TIMEOUT_KEEP_ALIVE": str(KEEP_ALIVE_SECONDS),
    }
    if runner.device == "cpu":
        # nobind: bound to cores, two workers of one machine would sit on the same ones.
        said["VLLM_CPU_OMP_THREADS_BIND"] = "nobind"
        # One core is left to the process that speaks HTTP, as vLLM's own binding would leave it.
        said["OMP_NUM_THREADS"] = str(max(1, len(os.sched_getaffinity(0)) - 1))
        said["VLLM_TARGET_DEVICE"] = "cpu"
        said["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"  # else vLLM takes `uni` for `mp` on a CPU
    return said


def apply_variables(variables: Mapping[str, str]) -> None:
    """Sets what the worker's own environment does not say already: a launch's `envs` win."""
    for name, value in variables.items():
        os.environ.setdefault(name, value)
