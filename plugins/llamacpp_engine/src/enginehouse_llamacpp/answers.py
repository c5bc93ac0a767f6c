"""From llama.cpp's chunks to pieces of an answer."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from enginehouse.sdk import (
    BadRequest,
    ContextLengthExceeded,
    EngineFailed,
    EnginehouseError,
    Piece,
    TokenLogprob,
)
from enginehouse.sdk.generation import FinishReason

TokenText = Callable[[int], str]


class _Alternative(msgspec.Struct):
    id: int
    token: str
    logprob: float


class _Token(_Alternative):
    top_logprobs: list[_Alternative] = []


class _Logprobs(msgspec.Struct):
    content: list[_Token] = []


class _Choice(msgspec.Struct):
    text: str = ""
    finish_reason: FinishReason | None = None
    logprobs: _Logprobs | None = None


class _Timings(msgspec.Struct):
    predicted_n: int = 0


class _Progress(msgspec.Struct):
    total: int = 0


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Error(msgspec.Struct):
    code: int = 500
    message: str = ""
    type: str = ""
    n_prompt_tokens: int = 0


class Chunk(msgspec.Struct):
    """What of an event of llama.cpp's completions is read here."""

    choices: list[_Choice] = []
    timings: _Timings | None = None
    prompt_progress: _Progress | None = None
    usage: _Usage | None = None
    error: _Error | None = None


class Wanted(msgspec.Struct, frozen=True):
    """What the answer is cut at, and told with. logprobs: alternatives beside each token, None for none.

    stops: ids that end it, beside those at which llama.cpp ends it by itself. special: ids that stand for no text.
    """

    context_length: int
    logprobs: int | None
    stops: frozenset[int]
    spell: TokenText


read_chunk = msgspec.json.Decoder(Chunk).decode


class Growing:
    """One answer while it grows."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._prompt_tokens: int | None = None
        self._tokens = 0
        self.finished = False

    def take(self, chunks: list[bytes]) -> Piece | None:
        """What has come, as one piece; None when it is nothing yet. Raises what llama.cpp refused, in our words."""
        before, knew = self._tokens, self._prompt_tokens is not None
        texts: list[str] = []
        logprobs: list[TokenLogprob] = []
        finish: FinishReason | None = None
        for chunk in chunks:
            finish = self._add(read_chunk(chunk), texts, logprobs)
            if finish is not None:
                self.finished = True
                break
        told = None if knew else self._prompt_tokens
        if self._tokens == before and finish is None and told is None and not texts:
            return None
        return Piece(
            text="".join(texts),
            tokens=self._tokens - before,
            logprobs=tuple(logprobs),
            prompt_tokens=told,
            finish_reason=finish,
        )

    def _add(self, chunk: Chunk, texts: list[str], logprobs: list[TokenLogprob]) -> FinishReason | None:
        if chunk.error is not None:
            raise error_of(chunk.error, self._wanted.context_length)
        if chunk.prompt_progress is not None:
            self._begin(chunk.prompt_progress.total)
        choice = chunk.choices[0] if chunk.choices else _Choice()
        tokens = choice.logprobs.content if choice.logprobs else []
        cut = next((place for place, token in enumerate(tokens) if token.id in self._wanted.stops), None)
        if self._wanted.logprobs is not None:
            kept = tokens if cut is None else tokens[: cut + 1]
            logprobs.extend(self._logprob(token) for token in kept)
        if cut is not None:
            self._tokens += cut + 1
            texts.extend(token.token for token in tokens[:cut])
            return "stop"
        texts.append(choice.text)
        return self._count(chunk) or choice.finish_reason

    def _begin(self, prompt_tokens: int) -> None:
        limit = self._wanted.context_length
        if prompt_tokens + 1 > limit:
            raise too_long(prompt_tokens, limit)
        self._prompt_tokens = prompt_tokens

    def _count(self, chunk: Chunk) -> FinishReason | None:
        """Counts tokens; the answer ends where the context does."""
        if chunk.usage is not None:
            self._tokens = chunk.usage.completion_tokens
            self._prompt_tokens = self._prompt_tokens or chunk.usage.prompt_tokens
        elif chunk.timings is not None:
            self._tokens = chunk.timings.predicted_n
        full = (self._prompt_tokens or 0) + self._tokens >= self._wanted.context_length
        return "length" if full and chunk.usage is None else None

    def _logprob(self, token: _Token) -> TokenLogprob:
        spell, most = self._wanted.spell, self._wanted.logprobs or 0
        top = tuple((each.token or spell(each.id), each.logprob) for each in token.top_logprobs[:most])
        return TokenLogprob(token.id, token.token or spell(token.id), token.logprob, top)


def too_long(prompt_tokens: int, limit: int) -> ContextLengthExceeded:
    return ContextLengthExceeded(
        f"The prompt has {prompt_tokens} tokens, and this model's context holds {limit} for prompt and answer "
        f"together; shorten the prompt to {limit - 1} tokens at most.",
        param="prompt",
    )


def error_of(error: _Error, context_length: int) -> EnginehouseError:
    """llama.cpp's error as ours."""
    if error.type == "exceed_context_size_error":
        return too_long(error.n_prompt_tokens, context_length)
    if 400 <= error.code < 500:
        return BadRequest(f"llama.cpp refused this request: {error.message}")
    return EngineFailed(f"llama.cpp failed on this request: {error.message}")
