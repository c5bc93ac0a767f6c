"""LLaVA's form, taken apart: a language model, and a vision tower with two layers behind it."""

from __future__ import annotations

from collections.abc import Mapping

from .errors import CannotConvert
from .layout import Source
from .weights import Stored

LLAVA = "LlavaForConditionalGeneration"
_WORDS = {"language_model.model.": "model.", "language_model.lm_head.": "lm_head.", "model.language_model.": "model."}
_SIGHT = ("model.vision_tower.vision_model.", "vision_tower.vision_model.", "model.vision_tower.", "vision_tower.")
_ARCHITECTURES = {
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
}
"""Of language models, by model_type: some files name no architecture in text_config."""


def words_of(source: Source) -> Source:
    """The language model alone, as a folder of it would say it. Raises CannotConvert."""
    text = source.config.get("text_config")
    if not isinstance(text, dict):
        raise CannotConvert("config.json has no text_config, which says what language model it is.")
    kind = str(text.get("model_type"))
    config = {
        **text,
        "architectures": text.get("architectures") or [_ARCHITECTURES.get(kind, kind)],
        "tie_word_embeddings": text.get("tie_word_embeddings", source.config.get("tie_word_embeddings", False)),
    }
    return Source(source.folder, config, _renamed(source.tensors, words=True))


def sight_of(source: Source) -> Source:
    """The tower, its names without what stands before them, and the layers behind it."""
    return source._replace(tensors=_renamed(source.tensors, words=False))


def _renamed(tensors: Mapping[str, Stored], *, words: bool) -> dict[str, Stored]:
    named = ((_name(name), stored) for name, stored in tensors.items())
    return {name: stored for (name, is_word), stored in named if is_word == words}


def _name(name: str) -> tuple[str, bool]:
    """A tensor's name in its part, and whether that is the language model."""
    for before, after in _WORDS.items():
        if name.startswith(before):
            return after + name.removeprefix(before), True
    if name.startswith("lm_head."):
        return name, True
    before = next((before for before in _SIGHT if name.startswith(before)), "model.")
    return name.removeprefix(before), False
