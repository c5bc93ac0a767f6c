"""What a folder of weights says about itself, read without any engine's library."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from enginehouse.sdk import Sampling

HEADER_BYTES = 100 * 2**20  # what safetensors itself allows for a header
_TYPES = {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}
_SAMPLED = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")


def read_json(file: Path) -> dict[str, Any]:
    """The object in a file; empty where there is no such file, or no object in it."""
    try:
        value = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def stored_dtype(folder: Path) -> str | None:
    """The type of numbers as the config says it, else as the first file of weights does; None when neither does."""
    config = read_json(folder / "config.json")
    said = config.get("dtype") or config.get("torch_dtype")
    if isinstance(said, str):
        return said
    files = sorted(folder.glob("*.safetensors")) if folder.is_dir() else []
    return _header_dtype(files[0]) if files else None


def cache_numbers(folder: Path) -> int | None:
    """Numbers that one token leaves in the cache of keys and values; None where the config does not say."""
    config, size = _text_config(folder), head_size(folder)
    try:
        kept = int(config.get("num_key_value_heads") or config["num_attention_heads"])
        return None if size is None else 2 * int(config["num_hidden_layers"]) * kept * size
    except (KeyError, TypeError, ValueError):
        return None


def head_size(folder: Path) -> int | None:
    """Numbers of one head of the attention; None where the config does not say."""
    config = _text_config(folder)
    try:
        return int(config.get("head_dim") or int(config["hidden_size"]) // int(config["num_attention_heads"]))
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None


def context_length(folder: Path) -> int | None:
    """Tokens that the model was made for, as its config says."""
    found = _text_config(folder).get("max_position_embeddings")
    return found if isinstance(found, int) else None


def default_sampling(folder: Path) -> Sampling:
    """How the model's authors choose tokens, where generation_config.json says so; the rest as OpenAI's."""
    written = read_json(folder / "generation_config.json")
    named = {name: written[name] for name in _SAMPLED if written.get(name) is not None}
    if written.get("do_sample") is False:  # said so, not left out
        named["temperature"] = 0.0
    return Sampling(**named)


def adapter_rank(folder: Path) -> int | None:
    """The rank of a LoRA; None where its config does not say."""
    rank = read_json(folder / "adapter_config.json").get("r")
    return rank if isinstance(rank, int) and rank > 0 else None


def _text_config(folder: Path) -> dict[str, Any]:
    """config.json, of a model that also sees or hears the part about text."""
    config = read_json(folder / "config.json")
    text = config.get("text_config")
    return {**config, **text} if isinstance(text, dict) else config


def _header_dtype(file: Path) -> str | None:
    try:
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            header = json.loads(stream.read(min(length, HEADER_BYTES)))
        kinds = [one["dtype"] for name, one in header.items() if name != "__metadata__"]
    except (OSError, ValueError, struct.error, KeyError, TypeError, AttributeError):
        return None
    return _TYPES.get(max(set(kinds), key=kinds.count)) if kinds else None
