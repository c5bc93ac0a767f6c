"""Registration schemas of the built-in model types, and the families that registrations describe.

Field names are the wire's. A field may always be null where it may be left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec

from ..sdk.errors import BadRequest
from ..sdk.families import ModelFamily, Variant, size_in_billions
from ..sdk.registrations import OneModel, Problem, Registration, Weights, weights_problems

GGUF = "ggufv2"
Size = int | float | str
Positive = Annotated[int, msgspec.Meta(ge=1)]
Word = Annotated[str, msgspec.Meta(min_length=1)]
Ability = Literal["embed", "generate", "chat", "tools", "vision", "audio", "omni", "reasoning", "hybrid"]


_REASONING_PARSERS = {
    "<think>": "think",
    "<seed:think>": "seed_oss",
    "[THINK]": "mistral",
    "<|channel>thought": "gemma4",
}
"""What a registration's opening tag says."""


class Spec(Weights, frozen=True, kw_only=True):
    """One set of weights: format, quantization, where it is. Templates name files: "m-{quantization}.gguf"."""

    model_format: Word = "pytorch"
    quantization: Word = "none"
    model_file_name_template: str | None = None
    model_file_name_split_template: str | None = None
    quantization_parts: dict[str, list[str]] | None = None
    multimodal_projectors: list[str] | None = None
    weight_bytes: int | None = None

    def problems(self, at: str) -> Iterator[Problem]:
        yield from weights_problems(self, f"{at}.model_uri")
        if self.model_format == GGUF and not self.model_uri and not self.files():
            yield Problem(f"{at}.model_file_name_template", "is missing; it names the file in the repository")

    def files(self) -> tuple[str, ...]:
        """The files of this quantization, by the templates."""
        parts = (self.quantization_parts or {}).get(self.quantization)
        if parts and self.model_file_name_split_template:
            template = self.model_file_name_split_template.replace("{quantization}", self.quantization)
            return tuple(template.replace("{part}", part) for part in parts)
        template = self.model_file_name_template or ""
        return (template.replace("{quantization}", self.quantization),) if template else ()

    def variant(self, size: Size = "0", architectures: list[str] | None = None) -> Variant:
        projector = next(iter(self.multimodal_projectors or ()), None)
        files = self.files()
        source = self.source() or ""
        if files and not self.model_uri:
            source += f"#{','.join((*files, *([projector] if projector else ())))}"
        return Variant(
            format=self.model_format.lower(),
            size_in_billions=str(size).replace(".", "_"),
            sources=(source,),
            quantization=self.quantization,
            architectures=tuple(architectures or ()),
            weight_bytes=self.weight_bytes,
            files=files,
            projector=projector,
        )


class LLMSpec(Spec, frozen=True, kw_only=True):
    """One set of weights of a language model."""

    model_format: Word
    quantization: Word
    model_size_in_billions: Size
    activated_size_in_billions: Size | None = None
    draft_model_id: str | None = None
    draft_quantizations: list[str] | None = None
    draft_model_revision: str | None = None
    draft_model_file_name_template: str | None = None

    def problems(self, at: str) -> Iterator[Problem]:
        yield from super().problems(at)
        try:
            size_in_billions(self.model_size_in_billions)
        except BadRequest:
            said = f"is {self.model_size_in_billions!r}; give a positive number such as 7, 0.5 or '0_5'"
            yield Problem(f"{at}.model_size_in_billions", said)


class LLMRegistration(Registration, frozen=True, kw_only=True):
    """A language model.

    reasoning_parser: ours; else the tags say which. chat_template: a template, or the name of a family whose
    template, stops and parsers it takes over; None keeps the tokenizer's own.
    """

    model_family: Word
    model_lang: list[str]
    model_ability: Annotated[list[Ability], msgspec.Meta(min_length=1)]
    model_specs: Annotated[list[LLMSpec], msgspec.Meta(min_length=1)]
    context_length: Positive | None = None
    model_description: str | None = None
    chat_template: str | None = None
    stop_token_ids: list[int] | None = None
    stop: list[str] | None = None
    reasoning_start_tag: str | None = None
    reasoning_end_tag: str | None = None
    architectures: list[str] | None = None
    tool_parser: str | None = None
    reasoning_parser: str | None = None

    @classmethod
    def upgrade(cls, document: dict[str, Any]) -> dict[str, Any]:
        """From version 1, whose specs hold a list `quantizations`: one spec for each, all else as it was."""
        specs = document.get("model_specs")
        if not isinstance(specs, list):
            return document
        split = [one for spec in specs for one in _split(spec)]
        if document.get("version", 1) == 1 or len(split) != len(specs):
            return {**document, "version": 2, "model_specs": split}
        return document

    def problems(self) -> Iterator[Problem]:
        for index, spec in enumerate(self.model_specs):
            yield from spec.problems(f"model_specs[{index}]")

    def family(self, model_type: str) -> ModelFamily:
        by_tag = _REASONING_PARSERS.get(self.reasoning_start_tag or "")
        thinks = "think" if "reasoning" in self.model_ability else None
        return ModelFamily(
            name=self.model_name,
            model_type=model_type,
            variants=tuple(spec.variant(spec.model_size_in_billions, self.architectures) for spec in self.model_specs),
            abilities=tuple(dict.fromkeys(self.model_ability)),
            context_length=self.context_length,
            languages=tuple(self.model_lang),
            description=self.model_description or "",
            chat_template=self.chat_template,
            stop=tuple(self.stop or ()),
            stop_token_ids=tuple(self.stop_token_ids or ()),
            tool_parser=self.tool_parser,
            reasoning_parser=self.reasoning_parser or by_tag or thinks,
            facts={"model_family": self.model_family},
        )


class ListsSpecs(Registration, frozen=True, kw_only=True):
    """A model whose weights are listed as specs without a size."""

    model_specs: Annotated[list[Spec], msgspec.Meta(min_length=1)]

    @classmethod
    def upgrade(cls, document: dict[str, Any]) -> dict[str, Any]:
        """From version 1, which names its one set of weights at the top."""
        named = {key: document[key] for key in Weights.__struct_fields__ if key in document}
        if "model_specs" in document or not named:
            return document
        rest = {key: value for key, value in document.items() if key not in named}
        return {**rest, "version": 2, "model_specs": [{"model_format": "pytorch", "quantization": "none", **named}]}

    def problems(self) -> Iterator[Problem]:
        for index, spec in enumerate(self.model_specs):
            yield from spec.problems(f"model_specs[{index}]")


class EmbeddingRegistration(ListsSpecs, frozen=True, kw_only=True):
    """An embedding model. dimensions: of a vector; max_tokens: of one input."""

    dimensions: Positive
    max_tokens: Positive
    language: list[str]

    def family(self, model_type: str) -> ModelFamily:
        return ModelFamily(
            name=self.model_name,
            model_type=model_type,
            variants=tuple(spec.variant() for spec in self.model_specs),
            abilities=("embed",),
            context_length=self.max_tokens,
            languages=tuple(self.language),
            facts={"dimensions": self.dimensions, "max_tokens": self.max_tokens},
        )


class RerankRegistration(ListsSpecs, frozen=True, kw_only=True):
    """A model that orders documents by a query. type: "normal", "LLM-based", ...; "unknown" lets the engine see."""

    language: list[str]
    type: str = "unknown"
    max_tokens: Positive | None = None

    def family(self, model_type: str) -> ModelFamily:
        return ModelFamily(
            name=self.model_name,
            model_type=model_type,
            variants=tuple(spec.variant() for spec in self.model_specs),
            abilities=("rerank",),
            context_length=self.max_tokens,
            languages=tuple(self.language),
            facts={"type": self.type, "max_tokens": self.max_tokens},
        )


class ImageRegistration(OneModel, frozen=True, kw_only=True):
    """A model that makes, changes or reads images. controlnet: models of the same shape."""

    model_family: Word
    model_ability: list[str] | None = None
    controlnet: list[dict[str, Any]] | None = None
    default_model_config: dict[str, Any] | None = None
    default_generate_config: dict[str, Any] | None = None
    gguf_model_id: str | None = None
    gguf_quantizations: list[str] | None = None
    gguf_model_file_name_template: str | None = None
    lightning_model_id: str | None = None
    lightning_versions: list[str] | None = None
    lightning_model_file_name_template: str | None = None

    def words(self) -> tuple[str, ...]:
        return tuple(self.model_ability or ())

    def facts(self) -> dict[str, Any]:
        return {**super().facts(), "model_family": self.model_family, "controlnet": self.controlnet}


class VideoRegistration(OneModel, frozen=True, kw_only=True):
    """A model that makes videos."""

    model_family: Word
    model_ability: list[str] | None = None
    default_model_config: dict[str, Any] | None = None
    default_generate_config: dict[str, Any] | None = None

    def words(self) -> tuple[str, ...]:
        return tuple(self.model_ability or ())

    def facts(self) -> dict[str, Any]:
        return {**super().facts(), "model_family": self.model_family}


class AudioRegistration(OneModel, frozen=True, kw_only=True):
    """A model that hears or speaks."""

    model_family: Word
    multilingual: bool
    language: str | list[str] | None = None
    model_ability: list[str] | None = None
    default_model_config: dict[str, Any] | None = None
    default_transcription_config: dict[str, Any] | None = None
    engine: str | None = None
    model_format: str | None = None
    cache_name: str | None = None

    def words(self) -> tuple[str, ...]:
        return tuple(self.model_ability or ())

    def spoken(self) -> tuple[str, ...]:
        return (self.language,) if isinstance(self.language, str) else tuple(self.language or ())

    def file_format(self) -> str:
        return (self.model_format or "pytorch").lower()

    def facts(self) -> dict[str, Any]:
        return {**super().facts(), "model_family": self.model_family, "multilingual": self.multilingual}


def _split(spec: Any) -> Iterator[Any]:
    """A version 1 spec as version 2 specs; anything else as it is, for the check to speak about."""
    quantizations = spec.get("quantizations") if isinstance(spec, dict) else None
    if not isinstance(quantizations, list) or not quantizations or "quantization" in spec:
        yield spec
        return
    rest = {key: value for key, value in spec.items() if key != "quantizations"}
    for quantization in quantizations:
        yield {**rest, "quantization": quantization}
