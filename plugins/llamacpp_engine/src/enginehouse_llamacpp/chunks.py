"""What of an answer a binding tells while it grows: llama.cpp's own events, of its route `/completion`."""

from __future__ import annotations

from typing import Literal

import msgspec

StopType = Literal["none", "eos", "limit", "word"]


class Alternative(msgspec.Struct):
    id: int
    token: str
    logprob: float


class Token(Alternative):
    """A token that was chosen, and the most likely ones in its place."""

    top_logprobs: list[Alternative] = []


class Fault(msgspec.Struct):
    """What went wrong with a request. code: an HTTP status."""

    code: int = 500
    message: str = ""
    type: str = ""
    n_prompt_tokens: int = 0


class Chunk(msgspec.Struct):
    """More of an answer, or all of it.

    tokens_predicted, tokens_evaluated: of the answer so far, and of the prompt. stop: it is the last one.
    stopping_word: the stop string that ended it, which is not in `content`.
    """

    content: str = ""
    tokens_predicted: int = 0
    tokens_evaluated: int = 0
    stop: bool = False
    stop_type: StopType = "none"
    stopping_word: str = ""
    completion_probabilities: list[Token] = []
    error: Fault | None = None
