"""The task `generate`, below the wire: one prompt in, pieces of text out."""

from __future__ import annotations

from typing import Literal

import msgspec

from .constraints import Constraint

FinishReason = Literal["stop", "length"]


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """How the next token is chosen. Every field is honoured or refused by the engine, never ignored.

    max_tokens: None means as many as the context holds.
    temperature: 0 is greedy. top_k: 0 keeps all. top_p: (0, 1]. min_p: [0, 1).
    repetition_penalty: 1 is none (multiplicative, prompt and answer). presence_penalty, frequency_penalty:
        OpenAI's, [-2, 2], on tokens of the answer.
    seed: None draws one. logprobs: None for none, else how many alternatives to report beside each token.
    """

    max_tokens: int | None = None
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    seed: int | None = None
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logprobs: int | None = None
    logit_bias: dict[int, float] = {}
    stop_token_ids: tuple[int, ...] = ()
    ignore_eos: bool = False


class GenerateRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One prompt, as text or as token ids, and how to continue it.

    special_tokens: whether a text prompt already spells out its special tokens (a rendered chat template does).
    keep_special_tokens: whether the answer's text spells special tokens out too, because a parser looks for some; not
        those that end the answer.
    stop: the runner cuts the answer at these; an engine that can stop by itself may use them as a hint.
    constraint: only of a kind that the engine names in its `constraints`. One that cannot be read is a BadRequest
        with the library's words, raised before the first piece.
    lora_name: one of the engine's `adapters`; None for the model as it is.
    images: files of the images whose marks stand in the prompt, in order; only where the engine names an `image_mark`.
    whole: the caller gets the answer in one piece, so few large pieces serve as well as many small ones. The first
        should come at once all the same: it is what a request's waiting is measured by.
    """

    request_id: str
    prompt: str | list[int]
    sampling: Sampling = Sampling()
    special_tokens: bool = False
    keep_special_tokens: bool = False
    stop: tuple[str, ...] = ()
    constraint: Constraint | None = None
    lora_name: str | None = None
    images: tuple[bytes, ...] = ()
    whole: bool = False


class TokenLogprob(msgspec.Struct, frozen=True, gc=False):
    """A token that was chosen, its natural logarithm of probability, and the best alternatives (text, logprob)."""

    token_id: int
    text: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


class Piece(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A piece of an answer.

    text: may be empty while a character is incomplete; never holds half a character.
    tokens: how many generated tokens this piece stands for, the end-of-text token counted too.
    logprobs: one for each token, when asked for.
    prompt_tokens: on the first piece.
    finish_reason: on the last piece only.
    """

    text: str = ""
    tokens: int = 0
    logprobs: tuple[TokenLogprob, ...] = ()
    prompt_tokens: int | None = None
    finish_reason: FinishReason | None = None
