"""Text answers: from a request's fields to `GenerateRequest`s, and from pieces to text that may go out."""

from __future__ import annotations

import itertools
from collections import deque
from typing import Any

import msgspec

from ..sdk import BadRequest, ContextLengthExceeded, EngineFailed, GenerateRequest, Piece, Sampling
from ..sdk import TokenLogprob as Logprob
from ..sdk.chat import SamplingFields
from .stops import StopScanner

STOPS = 64  # stop strings of one request; each is looked for in every piece
STOP_CHARACTERS = 1000
CHARACTERS_PER_TOKEN = 64  # no tokenizer packs more into a token on average; tokenising more is a waste of minutes
LEAST_TOP_P = 1e-6  # top_p 0 means "only the likeliest", and Sampling's top_p is above 0
MOST_MIN_P = 1 - 1e-6
_COPIED = ("temperature", "repetition_penalty", "presence_penalty", "frequency_penalty", "seed", "ignore_eos")
_serial = itertools.count()


class TextChoice:
    """One choice of an answer while it is made: counts tokens, cuts at stop strings, keeps logprobs in step."""

    __slots__ = ("_held", "_keeps", "_put_in", "_scanner", "_sent", "finish_reason", "prompt_tokens", "tokens")

    def __init__(self, stops: tuple[str, ...], logprobs: bool = False) -> None:
        self._scanner = StopScanner(stops) if stops else None
        self._keeps = logprobs
        self._held: deque[tuple[int, tuple[Logprob, ...]]] = deque()
        self._put_in = 0
        self._sent = 0
        self.prompt_tokens = 0
        self.tokens = 0
        self.finish_reason: str | None = None

    @property
    def stop(self) -> str | None:
        """The stop string that cut the answer, if one did."""
        return None if self._scanner is None else self._scanner.found

    def take(self, piece: object) -> tuple[str, tuple[Logprob, ...]]:
        """The text and logprobs that may go out now. Raises EngineFailed when it is no Piece."""
        if not isinstance(piece, Piece):
            raise EngineFailed(f"The engine's `generate` yielded {type(piece).__name__}, not Piece. Report this to it.")
        self.tokens += piece.tokens
        if piece.prompt_tokens is not None:
            self.prompt_tokens = piece.prompt_tokens
        text = piece.text
        if self._scanner is not None:
            text = self._scan(text, piece.finish_reason is not None)
        if piece.finish_reason is not None and self.finish_reason is None:
            self.finish_reason = piece.finish_reason
        return text, (self._release(piece, text) if self._keeps else ())

    def end(self) -> str:
        """What is left to go out when the engine ended; an engine that did not say why has stopped."""
        rest = "" if self._scanner is None or self._scanner.stopped else self._scanner.finish()
        self.finish_reason = self.finish_reason or "stop"
        return rest

    def _scan(self, text: str, last: bool) -> str:
        assert self._scanner is not None
        text = self._scanner.feed(text)
        if self._scanner.stopped:
            self.finish_reason = "stop"
            return text
        return text + self._scanner.finish() if last else text

    def _release(self, piece: Piece, text: str) -> tuple[Logprob, ...]:
        self._held.append((self._put_in, piece.logprobs))
        self._put_in += len(piece.text)
        self._sent += len(text)
        cut = self._scanner is not None and self._scanner.stopped
        everything = self._sent == self._put_in or (self.finish_reason is not None and not cut)
        out: list[Logprob] = []
        while self._held and (everything or self._held[0][0] < self._sent):
            out += self._held.popleft()[1]
        return tuple(out)


def sampling_of(request: SamplingFields, default: Sampling, **more: Any) -> Sampling:
    """The request's sampling over the model's own defaults. Raises BadRequest that names the field."""
    given = {name: value for name in _COPIED if (value := getattr(request, name)) is not None}
    if request.top_p is not None:
        given["top_p"] = max(request.top_p, LEAST_TOP_P)
    if request.min_p is not None:
        given["min_p"] = min(request.min_p, MOST_MIN_P)
    if request.top_k is not None:
        if request.top_k < -1:
            raise BadRequest(f"top_k is {request.top_k}; give 1 or more, or 0 or -1 to keep all.", param="top_k")
        given["top_k"] = max(request.top_k, 0)
    if request.stop_token_ids is not None:
        given["stop_token_ids"] = tuple(request.stop_token_ids)
    if request.logit_bias is not None:
        given["logit_bias"] = _biases(request.logit_bias)
    given.update((key, value) for key, value in more.items() if value is not None)
    return msgspec.structs.replace(default, **given) if given else default


def _biases(wire: dict[str, float]) -> dict[int, float]:
    try:
        return {int(token): bias for token, bias in wire.items()}
    except ValueError as error:
        raise BadRequest("The keys of logit_bias must be token ids, such as '50256'.", param="logit_bias") from error


def stops_of(request: SamplingFields, own: tuple[str, ...]) -> tuple[str, ...]:
    """The request's stop strings and the model's own. Raises BadRequest."""
    given = (request.stop,) if isinstance(request.stop, str) else tuple(request.stop or ())
    if len(given) > STOPS or any(not 0 < len(stop) <= STOP_CHARACTERS for stop in given):
        raise BadRequest(
            f"`stop` may hold up to {STOPS} strings of 1 to {STOP_CHARACTERS} characters each.", param="stop"
        )
    return (*own, *given)


def check_max_tokens(max_tokens: int | None, context_length: int | None, param: str = "max_tokens") -> None:
    """Raises BadRequest when more is asked for than the whole context holds."""
    if max_tokens is not None and context_length is not None and max_tokens > context_length:
        raise BadRequest(
            f"{param} is {max_tokens}, but this model's context holds {context_length} tokens for prompt and answer "
            f"together; ask for {context_length} at most, or leave {param} out.",
            param=param,
        )


def check_prompt(length: int, unit: str, context_length: int | None, param: str) -> None:
    """Raises ContextLengthExceeded for a prompt that cannot fit, before any of it is tokenised."""
    if context_length is None:
        return
    most = context_length * CHARACTERS_PER_TOKEN if unit == "characters" else context_length
    if length > most:
        raise ContextLengthExceeded(
            f"The prompt has {length} {unit}; this model holds {context_length} tokens of context: shorten it.",
            param=param,
        )


def requests_of(request_id: str, first: GenerateRequest, n: int) -> list[GenerateRequest]:
    """`n` requests like `first`, each with an id of its own, seeds counting up from the first's."""
    return [
        msgspec.structs.replace(
            first, request_id=f"{request_id}-{next(_serial)}", sampling=_seeded(first.sampling, index)
        )
        for index in range(n)
    ]


def _seeded(sampling: Sampling, index: int) -> Sampling:
    if sampling.seed is None or index == 0:
        return sampling
    seed = sampling.seed + index
    return msgspec.structs.replace(sampling, seed=seed if seed < 2**63 else seed - 2**64)
