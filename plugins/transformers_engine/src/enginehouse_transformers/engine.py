"""The heavy half: what the runner hosts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec

from enginehouse.sdk import (
    BadRequest,
    Constraint,
    ConstraintKind,
    ContextLengthExceeded,
    EngineContext,
    GenerateRequest,
    Message,
    NotReady,
    NotSupported,
    Piece,
    Sampling,
    TokenLogprob,
    Tool,
)

from .guides import KINDS, Grammars, Guide, grammars_for
from .loading import Loaded, load, threads_of
from .options import TransformersOptions
from .probing import batch_for
from .prompts import render
from .scheduler import Scheduler
from .sequences import Mailbox, Sequence, Token
from .text import Decode, TextWindow, decoder_of, token_texts

LONG_TEXT = 20_000  # characters; tokenising more takes over 10 ms, so it leaves the event loop


class TransformersEngine:
    """Any causal language model of transformers, its requests batched continuously."""

    def __init__(self, context: EngineContext) -> None:
        self._context = context
        self._options: TransformersOptions = context.options
        self._loaded: Loaded | None = None
        self._scheduler: Scheduler | None = None
        self._decode: Decode = lambda ids: ""
        self._decode_all: Decode = self._decode  # special tokens spelled out
        self._token_text: Callable[[int], str] = str
        self.context_length: int | None = context.context_length
        self.default_sampling = Sampling()
        self._grammars: Grammars | None = None
        self.constraints: tuple[ConstraintKind, ...] = ()
        self.adapters: tuple[str, ...] = ()

    def load(self) -> None:
        """Loads model and tokenizer, tries the batch out, starts the step's thread."""
        loaded = self._loaded = load(self._context)
        self.context_length = loaded.context_length
        self.default_sampling = loaded.sampling
        self._decode = decoder_of(loaded.tokenizer)
        self._decode_all = decoder_of(loaded.tokenizer, skip_special=False)
        self._grammars = grammars_for(loaded.tokenizer, loaded.choices, loaded.ends)
        self.adapters = loaded.adapters.names
        self.constraints = KINDS if self._grammars is not None else ()
        self._token_text = token_texts(loaded.tokenizer)
        batch = batch_for(loaded, self._options)
        self._scheduler = Scheduler(batch, self._options.max_waiting, threads_of(self._options, loaded.model))
        self._scheduler.start()
        self._context.report(1.0, "ready")

    def close(self) -> None:
        """Ends the step's thread; what still runs fails."""
        if self._scheduler is not None:
            self._scheduler.close()
        if self._grammars is not None:
            self._grammars.close()
        self._loaded = self._scheduler = None

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Piece]:
        """Pieces of one answer, each of all tokens that have come meanwhile."""
        scheduler = self._running()
        ids = await self._prompt_ids(request)
        sequence = self._sequence(request, ids)
        if request.constraint is not None:
            sequence.guide = await self._guide(request.constraint, request.sampling)
        window = TextWindow(self._decode_all if request.keep_special_tokens else self._decode, ids)
        prompt_tokens: int | None = len(ids)
        scheduler.submit(sequence)
        finished = False
        try:
            while not finished:
                tokens = await sequence.mailbox.take()
                finished = tokens[-1].finish is not None
                yield self._piece(sequence, window, tokens, prompt_tokens)
                prompt_tokens = None
        finally:
            if not finished:
                scheduler.cancel(sequence)

    async def _guide(self, constraint: Constraint, sampling: Sampling) -> Guide:
        if self._grammars is None:
            raise NotSupported(f"{constraint.param} cannot be honoured for this model.", param=constraint.param)
        if sampling.ignore_eos:
            raise NotSupported(
                f"{constraint.param} says where an answer ends, and ignore_eos that it does not; leave one out.",
                param="ignore_eos",
            )
        return await self._grammars.guide(constraint)

    def chat_prompt(
        self, messages: tuple[Message, ...], tools: tuple[Tool, ...], template_options: dict[str, Any]
    ) -> str:
        """The prompt of a conversation, its special tokens spelled out."""
        return render(self._ready().tokenizer, self._context.chat_template, messages, tools, template_options)

    def tokenize(self, text: str, special_tokens: bool = False) -> list[int]:
        """Token ids of a text; `special_tokens`: it spells its special tokens out itself."""
        ids: list[int] = self._ready().tokenizer.encode(text, add_special_tokens=not special_tokens)
        return ids

    def detokenize(self, ids: list[int]) -> str:
        """The text of token ids, special tokens left out."""
        self._check_ids(ids)
        return self._decode(ids)

    def convert_ids_to_tokens(self, ids: list[int]) -> list[str]:
        """Each id as the vocabulary spells it; an id that only pads the model's output is spelled as nothing."""
        self._check_ids(ids)
        tokens: list[str | None] = self._ready().tokenizer.convert_ids_to_tokens(ids)
        return [token or "" for token in tokens]

    def _check_ids(self, ids: list[int]) -> None:
        size = self._ready().vocabulary
        if wrong := [token for token in ids if not 0 <= token < size]:
            raise BadRequest(f"There is no token {wrong[0]}: ids go from 0 to {size - 1}.", param="tokens")

    def _ready(self) -> Loaded:
        if self._loaded is None:
            raise NotReady(f"The model {self._context.model_uid!r} is not loaded; wait until it is ready.")
        return self._loaded

    def _running(self) -> Scheduler:
        self._ready()
        assert self._scheduler is not None
        return self._scheduler

    async def _prompt_ids(self, request: GenerateRequest) -> list[int]:
        if isinstance(request.prompt, str):
            if len(request.prompt) > LONG_TEXT:
                return await asyncio.to_thread(self.tokenize, request.prompt, request.special_tokens)
            return self.tokenize(request.prompt, request.special_tokens)
        size = self._ready().vocabulary
        if wrong := [token for token in request.prompt if not 0 <= token < size]:
            raise BadRequest(f"The prompt holds token {wrong[0]}, but ids go from 0 to {size - 1}.", param="prompt")
        return list(request.prompt)

    def _sequence(self, request: GenerateRequest, ids: list[int]) -> Sequence:
        if not ids:
            raise BadRequest("The prompt is empty: this model needs at least one token to continue.", param="prompt")
        limit = self.context_length
        if limit is not None and len(ids) + 1 > limit:
            raise ContextLengthExceeded(
                f"The prompt has {len(ids)} tokens, and this model's context holds {limit} for prompt and answer "
                f"together; shorten the prompt to {limit - 1} tokens at most.",
                param="prompt",
            )
        if request.lora_name is not None and request.lora_name not in self.adapters:
            raise BadRequest(f"There is no adapter {request.lora_name!r}.", param="lora_name")
        sampling = self._checked(request.sampling)
        lengths = [length for length in (limit, _last(len(ids), sampling.max_tokens)) if length is not None]
        sequence = Sequence(ids, sampling, min(lengths, default=None), Mailbox(asyncio.get_running_loop()))
        sequence.adapter = request.lora_name
        return sequence

    def _checked(self, sampling: Sampling) -> Sampling:
        """The sampling with the ids that end this answer. Raises BadRequest for tokens that do not exist."""
        size = self._ready().choices
        for token in sampling.logit_bias:
            if not 0 <= token < size:
                raise BadRequest(
                    f"logit_bias names token {token}, but ids go from 0 to {size - 1}.", param="logit_bias"
                )
        ends = () if sampling.ignore_eos else self._ready().ends
        return msgspec.structs.replace(sampling, stop_token_ids=(*sampling.stop_token_ids, *ends))

    def _piece(self, sequence: Sequence, window: TextWindow, tokens: list[Token], prompt_tokens: int | None) -> Piece:
        finish = tokens[-1].finish
        spoken = tokens[:-1] if finish == "stop" else tokens
        text = window.feed([token.id for token in spoken])
        if finish is not None:
            text += window.finish()
        wants = sequence.sampling.logprobs is not None
        return Piece(
            text=text,
            tokens=len(tokens),
            logprobs=tuple(self._logprob(token) for token in tokens) if wants else (),
            prompt_tokens=prompt_tokens,
            finish_reason=finish,
        )

    def _logprob(self, token: Token) -> TokenLogprob:
        top = tuple((self._token_text(other), logprob) for other, logprob in token.top)
        return TokenLogprob(token.id, self._token_text(token.id), token.logprob or 0.0, top)


def _last(prompt_length: int, max_tokens: int | None) -> int | None:
    return None if max_tokens is None else prompt_length + max_tokens
