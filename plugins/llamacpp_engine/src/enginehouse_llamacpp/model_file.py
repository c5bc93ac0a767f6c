"""What a GGUF file says about the model in it."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from enginehouse.sdk import EngineContext, LaunchFailed, Sampling
from enginehouse.sdk.gguf import Gguf, read_gguf

DOCUMENTS_FROM = "enginehouse.documents_from"
CONTROL, USER_DEFINED = 3, 4  # kinds of token in tokenizer.ggml.token_type
_ENDING = frozenset(
    {
        "<|im_end|>",
        "<|eot_id|>",
        "<|eom_id|>",
        "<end_of_turn>",
        "<turn|>",
        "<|endoftext|>",
        "<|end_of_text|>",
        "<|return|>",
        "<|call|>",
        "</s>",
    }
)
"""Tokens that end an answer by their name alone: llama.cpp takes them so, whatever the file says."""

_SAMPLING = {
    "temperature": "temp",
    "top_p": "top_p",
    "min_p": "min_p",
    "top_k": "top_k",
    "repetition_penalty": "penalty_repeat",
}
_ENDS = ("eos_token_id", "eot_token_id", "eom_token_id")


class ModelFile:
    """A file's metadata in the words that the engine needs. Raises BrokenGguf, or LaunchFailed for no model."""

    def __init__(self, file: Path) -> None:
        if not file.is_file():
            raise LaunchFailed(f"{file} is no file. Give the GGUF file itself, of a split model the first part.")
        header = read_gguf(file)
        self.metadata = header.metadata
        self.architecture = self._architecture(file, header)

    def _architecture(self, file: Path, header: Gguf) -> str:
        name = self.text("general.architecture")
        kind = self.text("general.type") or "model"
        split = self.number("split.count")  # the first part may hold no tensor
        if not name or kind not in ("model", "imatrix") or name == "clip" or not (header.tensors or split):
            raise LaunchFailed(
                f"{file} holds no language model (type {kind!r}, architecture {name!r}); "
                "give the model's own file, and a projector or an adapter by its option."
            )
        return name

    def text(self, key: str) -> str | None:
        value = self.metadata.get(key)
        return value if isinstance(value, str) and value else None

    def number(self, key: str) -> int | None:
        value: Any = self.metadata.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None

    @property
    def context_length(self) -> int | None:
        """Tokens that the model was made for."""
        return self.number(f"{self.architecture}.context_length")

    @property
    def hidden_size(self) -> int | None:
        """Numbers of a vector."""
        return self.number(f"{self.architecture}.embedding_length")

    @property
    def separator(self) -> int | None:
        """The token between two texts, and behind each, of models that read them so."""
        return self.number("tokenizer.ggml.seperator_token_id")  # sic: the format's own spelling

    @property
    def documents_from(self) -> int | None:
        """Of a reranker that was converted here: the id from which on the vocabulary stands again, for documents."""
        return self.number(DOCUMENTS_FROM)

    @property
    def chat_template(self) -> str | None:
        return self.text("tokenizer.chat_template")

    @cached_property
    def tokens(self) -> list[str]:
        """Each id as the vocabulary spells it."""
        tokens = self.metadata.get("tokenizer.ggml.tokens")
        return tokens if isinstance(tokens, list) else []

    @cached_property
    def special(self) -> frozenset[int]:
        """Ids that stand for no text."""
        kinds = self.metadata.get("tokenizer.ggml.token_type")
        return frozenset(index for index, kind in enumerate(kinds or ()) if kind == CONTROL)

    @cached_property
    def special_texts(self) -> tuple[str, ...]:
        """How those ids are spelled, but for those that end an answer."""
        special = (self.tokens[index] for index in sorted(self.special - self.ends) if index < len(self.tokens))
        return tuple(text for text in special if text not in _ENDING)

    @property
    def ends(self) -> frozenset[int]:
        """Ids that end an answer."""
        return frozenset(one for key in _ENDS if (one := self.number(f"tokenizer.ggml.{key}")) is not None)

    @property
    def sampling(self) -> Sampling:
        """How the model's authors sample, where they say it; the numbers in the file have half the digits of ours."""
        said = {field: self.metadata.get(f"general.sampling.{key}") for field, key in _SAMPLING.items()}
        numbers: dict[str, Any] = {
            field: round(float(value), 6) for field, value in said.items() if isinstance(value, int | float)
        }
        top_k = numbers.pop("top_k", 0)
        return Sampling(**numbers, top_k=max(int(top_k), 0))

    def token_named(self, role: str) -> str:
        """The text of a special token, such as "bos"; empty when there is none."""
        index = self.number(f"tokenizer.ggml.{role}_token_id")
        return self.tokens[index] if index is not None and index < len(self.tokens) else ""


def pooling_of(context: EngineContext, model: ModelFile) -> str | None:
    """How an input's tokens become one vector, or one number; None for what the file says."""
    if "rerank" in context.tasks:
        return "rank"
    wanted: str = context.options.pooling
    if wanted != "auto":
        return wanted
    return None if model.number(f"{model.architecture}.pooling_type") else "mean"
