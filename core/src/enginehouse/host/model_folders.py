"""A folder of weights, drafted from its own small files and from the headers of its weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from ..sdk import BadRequest, ModelFamily
from .chat_files import read_stops, read_template
from .chat_templates import check_template
from .gguf_models import draft_from_gguf, model_files
from .model_config import CONTEXT
from .model_draft import Draft, family_of, spell_size
from .model_json import read_object
from .safetensors_files import count_parameters, files_of

Config = Mapping[str, Any]

LANGUAGE = "LLM"  # the model type that chats
UNLIMITED = 10**9  # tokenizers write "no limit" as a number above this
_OTHER_WEIGHTS = ("*.bin", "*.pt", "*.pth")
_FORMATS = {"gptq": "gptq", "awq": "awq", "fp8": "fp8", "bitsandbytes": "bnb"}
_WIDTHS = {"float64": 8, "float32": 4}  # bytes of a number, where it is not two
_PARTS = {"vision_config": "vision", "audio_config": "audio"}


class _Quantization(msgspec.Struct, frozen=True):
    """What config.json says of it. bits: of a parameter; None when it does not say."""

    format: str = "pytorch"
    name: str = "none"
    bits: int | None = None


def family_from_folder(folder: Path, name: str, model_type: str) -> ModelFamily:
    """A family with one variant: the weights in `folder`, or in one GGUF file.

    Raises BadRequest without any, and for a chat template that cannot be read.
    """
    draft = draft_from_path(folder)
    if model_type == LANGUAGE:
        check_template(draft.chat_template, draft.place)
    return family_of(draft, name, model_type)


def family_of_weights(folder: Path, name: str, model_type: str) -> ModelFamily:
    """The same for a model whose chat template is known elsewhere."""
    return family_of(draft_from_path(folder), name, model_type)


def draft_from_path(place: Path) -> Draft:
    """What a folder of weights, or a GGUF file, says about itself. Reads small files and headers.

    Raises BadRequest that names the file that is missing, cut off or wrong.
    """
    if place.is_file():
        return _draft_from_file(place)
    if not (place / "config.json").is_file() and (files := model_files(place)):
        if len(files) > 1:
            names = ", ".join(file.name for file in files)
            raise BadRequest(f"{place} holds several models: {names}. Give one of these files.", param="model_path")
        return draft_from_gguf(files[0])
    return draft_from_folder(place)


def _draft_from_file(file: Path) -> Draft:
    if file.suffix.lower() == ".gguf":
        return draft_from_gguf(file)
    if file.name == "config.json":
        return draft_from_folder(file.parent)
    raise BadRequest(f"{file} is no GGUF file; give the folder that holds the model.", param="model_path")


def draft_from_folder(folder: Path) -> Draft:
    """What config.json and its neighbours say. Raises BadRequest when there is no config.json."""
    config = _config(folder)
    inner = _inner(config)
    quantization = _quantization(config)
    files = files_of(folder)
    parameters = count_parameters(files, quantization.bits) if files else None
    size = _bytes(files or _others(folder))
    template = read_template(folder)
    stops = read_stops(folder, config, inner)
    return Draft(
        place=folder,
        format=quantization.format,
        size=spell_size(parameters or _guess(config, inner, size)),
        quantization=quantization.name,
        parameters=parameters,
        weight_bytes=size or None,
        architecture=str(config.get("model_type") or "other"),
        architectures=_words(config.get("architectures")),
        context_length=_context_length(folder, inner),
        chat_template=template,
        parts=tuple(part for key, part in _PARTS.items() if config.get(key)),
        stop=stops.texts if template else (),
        stop_token_ids=stops.ids,
    )


def _config(folder: Path) -> Config:
    file = folder / "config.json"
    if not file.is_file():
        raise BadRequest(
            f"{folder} holds no config.json. Give a folder with config.json, safetensors and tokenizer files, or a "
            "GGUF file.",
            param="model_path",
        )
    return read_object(file)


def _inner(config: Config) -> Config:
    """The part about language, of models that see or hear too."""
    nested = (config.get(key) for key in ("text_config", "llm_config", "language_config"))
    return next((part for part in nested if isinstance(part, Mapping)), config)


def _context_length(folder: Path, inner: Config) -> int | None:
    known = [inner.get(key) for key in CONTEXT]
    tokenizer = folder / "tokenizer_config.json"
    if tokenizer.is_file():
        known.append(read_object(tokenizer).get("model_max_length"))
    return next((int(one) for one in known if isinstance(one, int | float) and 1 < one < UNLIMITED), None)


def _quantization(config: Config) -> _Quantization:
    given = config.get("quantization_config")
    if not isinstance(given, Mapping):
        return _Quantization()
    method = str(given.get("quant_method") or "none").lower()
    bits = given.get("bits") or given.get("w_bit")
    if method == "bitsandbytes":
        bits = 4 if given.get("load_in_4bit") else 8
    if method == "fp8":
        return _Quantization("fp8", "FP8", 8)
    if isinstance(bits, int) and 0 < bits <= 32:
        return _Quantization(_FORMATS.get(method, "pytorch"), f"Int{bits}", bits)
    return _Quantization(_FORMATS.get(method, "pytorch"), method)


def _others(folder: Path) -> list[Path]:
    kinds = (sorted(folder.glob(pattern)) for pattern in _OTHER_WEIGHTS)
    return next((kind for kind in kinds if kind), [])


def _bytes(files: list[Path]) -> int:
    return sum(file.stat().st_size for file in files)


def _guess(config: Config, inner: Config, size: int) -> float:
    """Parameters where no header tells: from the files' bytes, else from the layers' sizes, else none."""
    if size:
        return size / _WIDTHS.get(str(config.get("dtype") or config.get("torch_dtype")), 2)
    keys = ("num_hidden_layers", "hidden_size", "intermediate_size", "vocab_size")
    layers, hidden, ffn, vocabulary = (one if isinstance(one := inner.get(key), int) else 0 for key in keys)
    return layers * (4 * hidden**2 + 3 * hidden * ffn) + vocabulary * hidden


def _words(value: Any) -> tuple[str, ...]:
    return tuple(str(word) for word in value) if isinstance(value, list) else ()
