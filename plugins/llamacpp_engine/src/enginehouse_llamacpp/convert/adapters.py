"""A LoRA of peft as a GGUF adapter."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from gguf import GGMLQuantizationType, GGUFType, GGUFWriter, Keys

from .architectures import architecture_of
from .errors import CannotConvert
from .layout import Config, Source
from .weights import Stored, stored_tensors

CONFIG = "adapter_config.json"
_PREFIX = "base_model.model."
_ENDS = {".lora_A.weight": "lora_a", ".lora_B.weight": "lora_b"}


def write_adapter(writer: GGUFWriter, folder: Path, adapter: dict[str, Any], base: Config) -> None:
    """Adds everything to `writer`. base: the config of the model it was made for. Raises CannotConvert."""
    kind, rank = adapter.get("peft_type"), adapter.get("r")
    if kind != "LORA" or not isinstance(rank, int) or rank < 1:
        raise CannotConvert(f"{folder} holds an adapter of type {kind} and rank {rank}; only LoRA is converted.")
    if adapter.get("use_dora") or adapter.get("alpha_pattern") or adapter.get("rank_pattern"):
        raise CannotConvert(f"The adapter in {folder} is no plain LoRA (DoRA, or ranks of its own by module).")
    alpha = float(adapter.get("lora_alpha") or rank) * (math.sqrt(rank) if adapter.get("use_rslora") else 1.0)
    writer.add_type(GGUFType.ADAPTER)
    writer.add_string(Keys.Adapter.TYPE, "lora")
    writer.add_float32(Keys.Adapter.LORA_ALPHA, alpha)
    source = Source(folder, base, {})
    for name, stored in stored_tensors(folder).items():
        _write_half(writer, name, stored, source)


def _write_half(writer: GGUFWriter, name: str, stored: Stored, base: Source) -> None:
    end = next((end for end in _ENDS if name.endswith(end)), None)
    module = name.removeprefix(_PREFIX).removesuffix(end or "")
    layout = architecture_of(base.config).layout
    target = layout.target_of(f"{module}.weight", base) if end else None
    if end is None or target is None:
        raise CannotConvert(f"The adapter changes {name}, which has no place in a GGUF adapter.")
    array = stored.read()
    numbers = target.change(array) if _ENDS[end] == "lora_b" else array
    writer.add_tensor(f"{target.name}.{_ENDS[end]}", numbers, raw_dtype=GGMLQuantizationType.F32)
