"""The task `embed`: OpenAI's embeddings on the wire, and what an engine is asked below it.

Fields that may be null are `X | None = None`; a field that is not listed is let through unread.
Source: OpenAI API reference, "Create embeddings"; the fields after `user` are those of Xinference's and vLLM's servers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from .chat import PositiveInt
from .tokens import TokenId

Part = dict[str, str]
"""An input of more than text: {"text": ...}, {"image": ...} with a URL (data: too), or both."""

EmbedInput = str | list[int] | Part
"""What becomes one vector: a text, token ids, or parts."""


class EmbeddingRequest(msgspec.Struct, kw_only=True):
    """Body of `POST /v1/embeddings`.

    input: a text, token ids, parts, or a list of texts, of lists of token ids, or of parts.
    dimensions: numbers of a vector, for models whose vectors may be cut (Matryoshka).
    truncate_prompt_tokens: reads so many tokens of each input at most.
    truncate: whether an input that is too long is cut, and the answer says so, or refused; null is what the model's
        launch says.
    return_sparse: weights by token instead of vectors. prompt_name, prompt: what is put before each text, by the
        name the model gives it, or itself.
    """

    model: str
    input: str | Part | list[str | TokenId | list[TokenId] | Part]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: PositiveInt | None = None
    user: str | None = None
    truncate_prompt_tokens: PositiveInt | None = None
    truncate: bool | None = None
    normalize_embedding: bool | None = None
    normalize_embeddings: bool | None = None
    return_sparse: bool | None = None
    prompt_name: str | None = None
    prompt: str | None = None
    request_id: str | None = None


class EmbeddingUsage(msgspec.Struct):
    """Tokens that the model read, special tokens too."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingItem(msgspec.Struct):
    """One vector: numbers, base64 of little-endian float32, or weights by token."""

    index: int
    embedding: list[float] | str | dict[str, float]
    object: Literal["embedding"] = "embedding"


class EmbeddingAnswer(msgspec.Struct, omit_defaults=True):
    """Answer of `POST /v1/embeddings`. truncated: indexes of the inputs that were cut; absent when none was."""

    model: str
    data: list[EmbeddingItem]
    usage: EmbeddingUsage
    object: Literal["list"] = msgspec.field(default_factory=lambda: "list")
    truncated: list[int] | None = None


class EmbedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine's `embed` gets: all inputs of one caller, never none.

    Every field is honoured or refused with BadRequest, never ignored. max_tokens: of each input, None for the
    model's own limit. normalize: None is what the model itself does. truncate: see EmbeddingRequest.
    """

    request_id: str
    inputs: Sequence[EmbedInput]
    dimensions: int | None = None
    normalize: bool | None = None
    sparse: bool = False
    max_tokens: int | None = None
    truncate: bool | None = None
    prompt_name: str | None = None
    prompt: str | None = None


class Vectors(msgspec.Struct, frozen=True, kw_only=True):
    """Vectors of the next inputs, in their order.

    rows: each little-endian float32, or numbers, or weights by token. prompt_tokens: read for these inputs alone.
    truncated: positions among `rows` whose inputs were cut.
    """

    rows: Sequence[bytes | Sequence[float] | dict[str, float]]
    prompt_tokens: int
    truncated: tuple[int, ...] = ()
