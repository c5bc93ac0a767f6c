"""From a binding's chunks to pieces of an answer."""

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

from .chunks import Chunk, Fault, Token

NO_GRAMMAR = "failed to parse grammar"  # llama.cpp's words
TokenText = Callable[[int], str]


class Wanted(msgspec.Struct, frozen=True):
    """What the answer is cut at, and told with. logprobs: alternatives beside each token, None for none.

    stops: ids that end it, beside those at which llama.cpp ends it by itself. special: ids that stand for no text.
    """

    context_length: int
    logprobs: int | None
    stops: frozenset[int]
    spell: TokenText


class Growing:
    """One answer while it grows."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._prompt_tokens: int | None = None
        self._tokens = 0
        self.finished = False

    def take(self, chunks: list[Chunk]) -> Piece | None:
        """What has come, as one piece; None when it is nothing yet. Raises what llama.cpp refused, in our words."""
        before, knew = self._tokens, self._prompt_tokens is not None
        texts: list[str] = []
        logprobs: list[TokenLogprob] = []
        finish: FinishReason | None = None
        for chunk in chunks:
            finish = self._add(chunk, texts, logprobs)
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
        if self._prompt_tokens is None and chunk.tokens_evaluated:
            self._begin(chunk.tokens_evaluated)
        tokens = chunk.completion_probabilities
        cut = next((place for place, token in enumerate(tokens) if token.id in self._wanted.stops), None)
        if self._wanted.logprobs is not None:
            kept = tokens if cut is None else tokens[: cut + 1]
            logprobs.extend(self._logprob(token) for token in kept)
        if cut is not None:
            self._tokens += cut + 1
            texts.extend(token.token for token in tokens[:cut])
            return "stop"
        if chunk.content or chunk.stopping_word:
            texts.append(chunk.content + chunk.stopping_word)  # the runner cuts at it, and says which it was
        self._tokens = max(chunk.tokens_predicted, self._tokens)
        return self._finish(chunk)

    def _begin(self, prompt_tokens: int) -> None:
        limit = self._wanted.context_length
        if prompt_tokens + 1 > limit:
            raise too_long(prompt_tokens, limit)
        self._prompt_tokens = prompt_tokens

    def _finish(self, chunk: Chunk) -> FinishReason | None:
        """The answer ends where the context does, or as the library says."""
        if chunk.stop:
            return "length" if chunk.stop_type == "limit" else "stop"
        return "length" if (self._prompt_tokens or 0) + self._tokens >= self._wanted.context_length else None

    def _logprob(self, token: Token) -> TokenLogprob:
        spell, most = self._wanted.spell, self._wanted.logprobs or 0
        top = tuple((each.token or spell(each.id), each.logprob) for each in token.top_logprobs[:most])
        return TokenLogprob(token.id, token.token or spell(token.id), token.logprob, top)


def too_long(prompt_tokens: int, limit: int) -> ContextLengthExceeded:
    return ContextLengthExceeded(
        f"The prompt has {prompt_tokens} tokens, and this model's context holds {limit} for prompt and answer "
        f"together; shorten the prompt to {limit - 1} tokens at most.",
        param="prompt",
    )


def error_of(error: Fault, context_length: int) -> EnginehouseError:
    """llama.cpp's error as ours."""
    if error.type == "exceed_context_size_error":
        return too_long(error.n_prompt_tokens, context_length)
    if NO_GRAMMAR in error.message:  # GBNF: what else constrains an answer was checked before
        return BadRequest(
            "guided_grammar cannot be read: to llama.cpp it is no GBNF. Each rule is written `name ::= ...`, and the "
            "first to be asked is `root`; the worker's log says where reading ended.",
            param="guided_grammar",
        )
    if 400 <= error.code < 500:
        return BadRequest(f"llama.cpp refused this request: {error.message}")
    return EngineFailed(f"llama.cpp failed on this request: {error.message}")
