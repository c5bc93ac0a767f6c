"""A GGUF file, drafted from its own header."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

from ..sdk import BadRequest
from ..sdk.gguf import BrokenGguf, Gguf, read_gguf
from .model_draft import Draft, spell_size

_PART = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$", re.I)
_PROJECTOR = "mmproj-"  # before the name of the model that it belongs to
_MOST_PARTS = 1000
_FILE_TYPES = {
    **{0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S"},
    **{12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K"},
    **{19: "IQ2_XXS", 20: "IQ2_XS", 21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL"},
    **{26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S", 29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16"},
    **{36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4"},
}
_TENSOR_TYPES = {0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 10: "Q2_K", 11: "Q3_K"}
_TENSOR_TYPES |= {12: "Q4_K", 13: "Q5_K", 14: "Q6_K", 20: "IQ4_NL", 23: "IQ4_XS", 30: "BF16", 39: "MXFP4"}
_ENDS = ("eos_token_id", "eot_token_id", "eom_token_id")


def model_files(folder: Path) -> list[Path]:
    """The GGUF models in a folder: projectors left out, of a model in parts the first."""
    files = sorted(file for file in folder.glob("*.gguf") if not _is_projector(file))
    return [file for file in files if not (match := _PART.search(file.name)) or int(match[1]) == 1]


def draft_from_gguf(file: Path) -> Draft:
    """What the header says. Raises BrokenGguf, or BadRequest for a file that is no model by itself."""
    files = _parts(file)
    headers = [read_gguf(one) for one in files]
    metadata = headers[0].metadata
    architecture = _text(metadata, "general.architecture") or "other"
    if architecture == "clip" or _text(metadata, "general.type") in ("mmproj", "adapter"):
        raise BadRequest(f"{file} is a part that goes with a model; give the model's own file.", param="model_path")
    template = _text(metadata, "tokenizer.chat_template")
    ids = _ends(metadata)
    parameters = sum(tensor.size for header in headers for tensor in header.tensors)
    projectors = _projectors(file, _number(metadata, f"{architecture}.embedding_length"))
    return Draft(
        place=files[0],
        format="ggufv2",
        size=spell_size(parameters),
        quantization=_quantization(headers),
        parameters=parameters,
        weight_bytes=sum(one.stat().st_size for one in files),
        architecture=architecture,
        context_length=_number(metadata, f"{architecture}.context_length"),
        languages=_languages(metadata),
        chat_template=template,
        parts=("vision",) if projectors else (),
        stop=_texts(metadata, ids) if template else (),
        stop_token_ids=ids,
        projectors=projectors,
    )


def _parts(file: Path) -> list[Path]:
    """All files of a model in parts, whichever of them was named. Raises BrokenGguf when one is missing."""
    match = _PART.search(file.name)
    if match is None:
        return [file]
    count = int(match[2])
    if not 0 < count <= _MOST_PARTS:
        raise BrokenGguf(f"{file.name} claims to be of {count} parts.", param="model_path")
    stem = file.name[: match.start()]
    parts = [file.with_name(f"{stem}-{number:05d}-of-{match[2]}.gguf") for number in range(1, count + 1)]
    for part in parts:
        if not part.is_file():
            raise BrokenGguf(f"{part} is missing; the model has {count} parts. Fetch it.", param="model_path")
    return parts


def _is_projector(file: Path) -> bool:
    return "mmproj" in file.name.lower()


def _projectors(model: Path, width: int | None) -> tuple[str, ...]:
    """Names of the projectors beside a model, its own first: none that is another's, by name or by width.

    width: numbers of one of the model's vectors.
    """
    own: list[str] = []
    others: list[str] = []
    for file in sorted(model.parent.glob("*.gguf")):
        owner = file.with_name(file.name.removeprefix(_PROJECTOR))
        if not _is_projector(file) or (owner not in (file, model) and owner.is_file()) or not _may_fit(file, width):
            continue
        (own if owner == model else others).append(file.name)
    return (*own, *others)


def _may_fit(projector: Path, width: int | None) -> bool:
    """Whether its header does not say otherwise; what is broken is named when it is loaded."""
    try:
        makes = read_gguf(projector).seen_width
    except BrokenGguf:
        return True
    return None in (makes, width) or makes == width


def _quantization(headers: list[Gguf]) -> str:
    """As the file says it, else the type that most numbers are of."""
    named = _FILE_TYPES.get(headers[0].metadata.get("general.file_type", -1))
    if named:
        return named
    counts = Counter[int]()
    for header in headers:
        for tensor in header.tensors:
            counts[tensor.kind] += tensor.size
    (kind, _), *_ = counts.most_common(1) or [(-1, 0)]
    return _TENSOR_TYPES.get(kind, "none")


def _ends(metadata: dict[str, Any]) -> tuple[int, ...]:
    known = (_number(metadata, f"tokenizer.ggml.{key}") for key in _ENDS)
    return tuple(dict.fromkeys(one for one in known if one is not None))


def _texts(metadata: dict[str, Any], ids: tuple[int, ...]) -> tuple[str, ...]:
    tokens = metadata.get("tokenizer.ggml.tokens")
    if not isinstance(tokens, list):
        return ()
    return tuple(tokens[one] for one in ids if one < len(tokens) and isinstance(tokens[one], str) and tokens[one])


def _languages(metadata: dict[str, Any]) -> tuple[str, ...]:
    given = metadata.get("general.languages")
    words = [one for one in given if isinstance(one, str) and one] if isinstance(given, list) else []
    return tuple(words) or ("en",)


def _text(metadata: dict[str, Any], key: str) -> str | None:
    value = metadata.get(key)
    return value if isinstance(value, str) and value else None


def _number(metadata: dict[str, Any], key: str) -> int | None:
    value = metadata.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
