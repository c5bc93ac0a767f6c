"""A draft: what the files of a model say about it, as a registration and as a family."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec

from ..sdk import ModelFamily, Variant
from .chat_templates import abilities_of
from .template_parsers import thinking_of, tool_parser_of

_ABILITIES = {"embedding": ("embed",), "rerank": ("rerank",)}  # of types whose models can do one thing
_NOT_IN_A_NAME = re.compile(r"[+/?%#&=\s\x00-\x1f\x7f]+")


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """What was found out. parameters: counted in the weights' headers; None when these could not tell.

    size: parameters in billions, in the wire's spelling. architecture: the family of its design ("llama").
    chat_template: its text, wherever it was kept. parts: further words from its config, "vision" or "audio".
    """

    place: Path
    format: str
    size: str
    quantization: str
    parameters: int | None = None
    weight_bytes: int | None = None
    architecture: str = "other"
    architectures: tuple[str, ...] = ()
    context_length: int | None = None
    languages: tuple[str, ...] = ("en",)
    chat_template: str | None = None
    parts: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()
    stop_token_ids: tuple[int, ...] = ()
    projectors: tuple[str, ...] = ()

    @property
    def is_file(self) -> bool:
        """Whether the weights are a file, and not a folder."""
        return self.format == "ggufv2"

    @property
    def abilities(self) -> tuple[str, ...]:
        spoken = abilities_of(self.chat_template) if self.chat_template else ()
        return tuple(dict.fromkeys(("generate", *spoken, *self.parts)))


def name_for(place: Path) -> str:
    """A name that may be registered, after the folder or file."""
    stem = place.name.removesuffix(".gguf") or "model"
    return _NOT_IN_A_NAME.sub("-", stem).strip("-.")[:100] or "model"


def registration_of(draft: Draft, name: str, family: str | None = None) -> dict[str, Any]:
    """A complete LLM registration of version 2, as `POST /v1/model_registrations/LLM` takes it.

    family: the name of a known family, for its chat part where the files have none.
    """
    template = draft.chat_template or ""
    thinking = thinking_of(template)
    tags = (thinking and thinking.tags) or (None, None)
    spec: dict[str, Any] = {
        "model_format": draft.format,
        "model_size_in_billions": int(draft.size) if draft.size.isdigit() else draft.size,
        "quantization": draft.quantization,
        "model_uri": f"file://{draft.place}",
    }
    if draft.is_file:
        spec["model_file_name_template"] = draft.place.name
    if draft.projectors:
        spec["multimodal_projectors"] = list(draft.projectors)
    counted = {"parameters": draft.parameters, "weight_bytes": draft.weight_bytes}
    return {
        "version": 2,
        "model_name": name,
        "model_family": family or draft.architecture,
        "context_length": draft.context_length,
        "model_lang": list(draft.languages),
        "model_ability": list(draft.abilities),
        "model_specs": [spec | {key: value for key, value in counted.items() if value}],
        "architectures": list(draft.architectures),
        "chat_template": draft.chat_template,
        "stop": list(draft.stop),
        "stop_token_ids": list(draft.stop_token_ids),
        "tool_parser": tool_parser_of(template),
        "reasoning_parser": thinking and thinking.parser,
        "reasoning_start_tag": tags[0],
        "reasoning_end_tag": tags[1],
    }


def family_of(draft: Draft, name: str, model_type: str) -> ModelFamily:
    """The same as a family, for a launch that names nothing but the place.

    The template stays where it is: engines find it with the weights.
    """
    template = draft.chat_template or ""
    thinking = thinking_of(template)
    language_model = model_type == "LLM"
    return ModelFamily(
        name=name,
        model_type=model_type,
        variants=(_variant(draft),),
        abilities=draft.abilities if language_model else _ABILITIES.get(model_type, ()),
        context_length=draft.context_length,
        languages=draft.languages,
        description=f"The model in {draft.place}.",
        stop=draft.stop if language_model else (),
        stop_token_ids=draft.stop_token_ids if language_model else (),
        tool_parser=tool_parser_of(template),
        reasoning_parser=thinking.parser if thinking else None,
        facts={"model_family": draft.architecture},
    )


def _variant(draft: Draft) -> Variant:
    return Variant(
        format=draft.format,
        size_in_billions=draft.size,
        sources=(f"file:{draft.place}",),
        quantization=draft.quantization,
        architectures=draft.architectures,
        weight_bytes=draft.weight_bytes,
        files=(draft.place.name,) if draft.is_file else (),
        projector=next(iter(draft.projectors), None),
    )


def spell_size(parameters: float) -> str:
    """Parameters as billions in the wire's spelling: "70", "7_2", "0_49", "0_0023"; never zero."""
    billions = max(parameters / 1e9, 1e-6)
    if billions >= 1:
        text = f"{billions:.0f}" if billions >= 10 else f"{billions:.1f}".removesuffix(".0")
    else:
        text = f"{float(f'{billions:.2g}'):.9f}".rstrip("0").rstrip(".")
    return text.replace(".", "_")
