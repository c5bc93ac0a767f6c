"""From a folder of weights to a model, its tokenizer, and what they say about themselves."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils.logging import disable_progress_bar

from enginehouse.sdk import EngineContext, LaunchFailed, Sampling

from .adapters import Adapters
from .options import TransformersOptions

_LENGTHS = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "max_sequence_length", "seq_length")
_UNKNOWN_LENGTH = 10**9  # tokenizers write "no limit" as a number above this

LORA = "enginehouse_transformers.lora"
SMALL = 30_000_000  # parameters; below it threads wait for each other longer than they compute

_SAMPLED = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")  # by the same names there and here


class Loaded(NamedTuple):
    """A model that is ready to run.

    context_length: None when nothing limits it. ends: ids that end an answer. vocabulary: how many ids it
    reads; choices: how many it chooses from. adapters: LoRA weights loaded with it, inactive.
    """

    model: Any
    tokenizer: Any
    context_length: int | None
    ends: frozenset[int]
    sampling: Sampling
    vocabulary: int
    choices: int
    adapters: Adapters


def load(context: EngineContext) -> Loaded:
    """Loads what lies at `context.model_path`. Raises LaunchFailed with what to do."""
    disable_progress_bar()  # type: ignore[no-untyped-call]  # it would fill the worker's log
    context.report(0.05, "tokenizer")
    tokenizer = _load_tokenizer(context)
    context.report(0.15, "weights")
    model = _load_model(context)
    context.report(0.9, "warming up")
    head = model.get_output_embeddings()
    vocabulary = model.get_input_embeddings().weight.shape[0]
    return Loaded(
        model=model,
        tokenizer=tokenizer,
        context_length=_context_length(context, model),
        ends=_ends(context, model, tokenizer),
        sampling=_sampling(model, context.model_path),
        vocabulary=vocabulary,
        choices=vocabulary if head is None else head.weight.shape[0],
        adapters=_adapters(context, model),
    )


def _adapters(context: EngineContext, model: Any) -> Adapters:
    loras = context.options.loras
    if not loras:
        return Adapters()
    if importlib.util.find_spec("peft") is None:
        raise LaunchFailed("LoRA weights need the package peft: pip install 'enginehouse-transformers[lora]'.")
    found: Adapters = importlib.import_module(LORA).load_adapters(model, loras)
    return found


def threads_of(options: TransformersOptions, model: Any) -> int:
    """Threads for one step; 0 leaves PyTorch's own choice."""
    if options.threads or model.device.type != "cpu":
        return options.threads
    if sum(parameter.numel() for parameter in model.parameters()) < SMALL:
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _load_tokenizer(context: EngineContext) -> Any:
    try:
        return AutoTokenizer.from_pretrained(
            context.model_path, trust_remote_code=context.trust_remote_code, local_files_only=True
        )
    except Exception as error:  # the library is foreign code
        raise LaunchFailed(
            f"The tokenizer in {context.model_path} could not be loaded: {error} "
            "Check that the folder holds tokenizer.json (or the files of its own kind) and tokenizer_config.json."
        ) from error


def _load_model(context: EngineContext) -> Any:
    options: TransformersOptions = context.options
    more: dict[str, Any] = {}
    if options.attn_implementation != "auto":
        more["attn_implementation"] = options.attn_implementation
    if context.device != "cpu":
        more["device_map"] = context.device
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(
            context.model_path,
            dtype=options.dtype if options.dtype == "auto" else getattr(torch, options.dtype),
            trust_remote_code=context.trust_remote_code,
            local_files_only=True,
            **more,
        )
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise LaunchFailed(
            f"The weights in {context.model_path} do not fit into the memory of {context.device}; "
            "choose a smaller model, a quantized variant or dtype=bfloat16."
        ) from error
    except Exception as error:  # the library is foreign code, a model's own code too
        raise LaunchFailed(f"The model in {context.model_path} could not be loaded: {error}") from error
    if options.dtype == "auto" and context.device == "cpu" and not _is_quick_on_cpu(model.dtype):
        model = model.float()
    return model.eval()


def _is_quick_on_cpu(dtype: torch.dtype) -> bool:
    if dtype == torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    if dtype == torch.float16:
        return bool(torch.ops.mkldnn._is_mkldnn_fp16_supported())
    return True


def _context_length(context: EngineContext, model: Any) -> int | None:
    config = model.config.get_text_config()
    own = next((value for name in _LENGTHS if isinstance(value := getattr(config, name, None), int)), None)
    known = (own, context.context_length, context.options.max_context or None)
    limits = [length for length in known if length is not None and 0 < length < _UNKNOWN_LENGTH]
    return min(limits, default=None)


def _ends(context: EngineContext, model: Any, tokenizer: Any) -> frozenset[int]:
    own = getattr(model.generation_config, "eos_token_id", None)
    own = own if own is not None else getattr(model.config.get_text_config(), "eos_token_id", None)
    ids = own if isinstance(own, list | tuple) else [own]
    return frozenset(token for token in (*ids, tokenizer.eos_token_id, *context.stop_token_ids) if token is not None)


def _sampling(model: Any, folder: Path) -> Sampling:
    """How the model's authors choose tokens, where its generation_config.json says so; the rest as OpenAI's."""
    if version("transformers").startswith("4."):
        said = _written(folder)
    else:
        said = {name: getattr(model.generation_config, name, None) for name in (*_SAMPLED, "do_sample")}
    named = {name: said[name] for name in _SAMPLED if said.get(name) is not None}
    if said.get("do_sample") is False:  # said so, not left out
        named = {**named, "temperature": 0.0}
    return Sampling(**named)


def _written(folder: Path) -> dict[str, Any]:
    """The file itself: what transformers 4 makes of it holds defaults of its own, too."""
    file = folder / "generation_config.json"
    return dict(json.loads(file.read_text("utf-8"))) if file.is_file() else {}
