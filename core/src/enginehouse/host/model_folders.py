"""Models launched from a folder, with no family registered: a family drafted from the folder's own files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from ..sdk import BadRequest, ModelFamily, Variant

_CONTEXT_KEYS = ("max_position_embeddings", "n_positions", "max_sequence_length", "seq_length", "n_ctx")


def family_from_folder(folder: Path, name: str, model_type: str) -> ModelFamily:
    """A family with one variant: the weights in `folder`. Raises BadRequest when there is no model in it."""
    config = _config(folder)
    inner = config.get("text_config") or config
    variant = Variant(
        format="pytorch",
        size_in_billions=_billions(folder),
        sources=(f"file:{folder}",),
        quantization=str((config.get("quantization_config") or {}).get("quant_method", "none")),
        architectures=tuple(config.get("architectures") or ()),
        weight_bytes=_weight_bytes(folder),
    )
    return ModelFamily(
        name=name,
        model_type=model_type,
        variants=(variant,),
        abilities=("generate", "chat") if _has_chat_template(folder) else ("generate",),
        context_length=next((inner[key] for key in _CONTEXT_KEYS if isinstance(inner.get(key), int)), None),
        description=f"The model in {folder}.",
    )


def _config(folder: Path) -> dict[str, Any]:
    file = folder / "config.json"
    if not file.is_file():
        raise BadRequest(
            f"model_path {str(folder)!r} holds no config.json. Give a folder with config.json, safetensors and "
            "tokenizer files.",
            param="model_path",
        )
    config = read_json(file)
    if not isinstance(config, dict):
        raise BadRequest(f"{file} is not a JSON object.", param="model_path")
    return config


def read_json(file: Path) -> Any:
    """A JSON file's content. Raises BadRequest that names the file and the place of the fault."""
    try:
        return msgspec.json.decode(file.read_bytes())
    except (OSError, msgspec.DecodeError) as error:
        raise BadRequest(f"{file} cannot be read: {error}.", param="model_path") from error


def _has_chat_template(folder: Path) -> bool:
    if (folder / "chat_template.jinja").is_file():
        return True
    file = folder / "tokenizer_config.json"
    return file.is_file() and bool((read_json(file) or {}).get("chat_template"))


def _weight_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))


def _billions(folder: Path) -> str:
    """A rough size from the files, two bytes a parameter, in the wire's spelling; never below a millionth."""
    billions = max(_weight_bytes(folder) / 2 / 1e9, 1e-6)
    return f"{billions:.6f}".rstrip("0").rstrip(".").replace(".", "_")
