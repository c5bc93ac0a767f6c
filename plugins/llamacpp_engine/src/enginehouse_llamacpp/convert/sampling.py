"""How the model's authors sample, from generation_config.json into a GGUF file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gguf import GGUFWriter

from .errors import CannotConvert


def write_sampling(writer: GGUFWriter, folder: Path) -> None:
    """What the file names, and greedy where it says that nothing is drawn. Raises CannotConvert."""
    file = folder / "generation_config.json"
    if not file.is_file():
        return
    try:
        config: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CannotConvert(f"{file} cannot be read: {error}.") from error
    if config.get("do_sample") is False:
        config["temperature"] = 0.0
    adds = {
        "temperature": writer.add_sampling_temp,
        "top_p": writer.add_sampling_top_p,
        "min_p": writer.add_sampling_min_p,
        "repetition_penalty": writer.add_sampling_penalty_repeat,
    }
    for name, add in adds.items():
        if isinstance(config.get(name), int | float):
            add(float(config[name]))
    if isinstance(config.get("top_k"), int):
        writer.add_sampling_top_k(config["top_k"])
