"""The heavy half: what the runner hosts."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from enginehouse.sdk import (
    BadRequest,
    EmbedRequest,
    EngineContext,
    EngineFailed,
    GenerateRequest,
    Message,
    NotReady,
    Piece,
    Sampling,
    ScoreRequest,
    Scores,
    Tool,
    Vectors,
)
from enginehouse.sdk.constraints import ConstraintKind
from enginehouse.sdk.memory_ceiling import MemoryCeiling

from .answers import Growing, Wanted
from .binding import Binding, Limits, Loading, Question, start
from .embedding import Embedding
from .model_file import ModelFile
from .options import LARGEST_DEFAULT, LlamaCppOptions
from .prompts import ChatTemplate
from .ranking import Ranking

WHOLE_SECONDS = 0.05  # between looks at an answer that goes out in one piece, where we must look: see `rest`
THREADS = 4  # for calls that block: each hands its work to the library's own threads
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class LlamaCppEngine:
    """A GGUF file in llama.cpp, its requests batched continuously."""

    constraints: tuple[ConstraintKind, ...] = ("json_schema", "regex", "choice", "grammar")

    def __init__(self, context: EngineContext) -> None:
        self._context = context
        self._options: LlamaCppOptions = context.options
        self._model: ModelFile | None = None
        self._binding: Binding | None = None
        self._template = ChatTemplate(None, {})
        self._threads: ThreadPoolExecutor | None = None
        self._first = ""
        self._ceiling = MemoryCeiling(self._options.memory_gib)
        self.adapters: tuple[str, ...] = tuple(lora.lora_name for lora in self._options.loras)
        self.context_length: int | None = context.context_length
        self.default_sampling = Sampling()
        self.image_mark = ""

    async def load(self) -> None:
        """Loads the model on a thread; raises LaunchFailed, BrokenGguf."""
        try:
            await asyncio.to_thread(self._load)
        finally:
            _restore_signals()
        self._context.report(1.0, "ready")

    def _load(self) -> None:
        model = self._model = ModelFile(self._context.model_path)
        self.context_length = context_length_of(self._context, model)
        self.default_sampling = model.sampling
        special = {f"{role}_token": model.token_named(role) for role in ("bos", "eos")}
        self._template = ChatTemplate(self._context.chat_template or model.chat_template, special)
        binding = self._binding = start(Loading(self._context, model, self.context_length))
        self.image_mark = binding.image_mark
        self._first = special["bos_token"] if _adds_first(binding) else ""
        self._threads = ThreadPoolExecutor(THREADS, "llama.cpp call")
        self._ceiling.check_loaded()

    def close(self) -> None:
        """Ends the library's work; what still runs is cut."""
        threads, self._threads = self._threads, None
        binding, self._binding = self._binding, None
        if threads is not None:
            threads.shutdown(wait=False, cancel_futures=True)
        if binding is not None:
            binding.close()

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Piece]:
        """Pieces of one answer, each of all tokens that have come meanwhile."""
        binding, model, _ = self._ready()
        stops = self._stops(request.sampling, model)
        wanted = self._wanted(request.sampling, stops, model)
        limits = Limits(len(model.tokens), wanted.context_length, self.adapters, model.special_texts)
        question = Question(
            request, await self._prompt(request, binding), limits, bool(stops), request.images, self.image_mark
        )
        if request.constraint is None:
            prepared = binding.prepare(question)
        else:  # a large schema takes time to check
            prepared = await asyncio.to_thread(binding.prepare, question)
        answer = Growing(wanted)
        call = await binding.ask(prepared)
        try:
            while not answer.finished:
                chunks = await call.batch()
                if not chunks:
                    raise EngineFailed("llama.cpp ended this answer without saying why; see the worker's log.")
                piece = answer.take(chunks)
                if piece is not None:
                    yield piece
                    if request.whole:
                        await asyncio.sleep(0 if answer.finished else WHOLE_SECONDS)
        finally:
            call.close()
            self._ceiling.check()

    async def embed(self, request: EmbedRequest) -> AsyncIterator[Vectors]:
        """The vectors of all inputs."""
        async for vectors in self._embedding().embed(request):
            yield vectors
        self._ceiling.check()

    async def rerank(self, request: ScoreRequest) -> AsyncIterator[Scores]:
        """The scores of all documents."""
        async for scores in self._ranking().rank(request):
            yield scores
        self._ceiling.check()

    def chat_prompt(
        self, messages: tuple[Message, ...], tools: tuple[Tool, ...], template_options: dict[str, Any]
    ) -> str:
        """The prompt of a conversation, its special tokens spelled out."""
        return self._template.render(messages, tools, template_options)

    def tokenize(self, text: str, special_tokens: bool = False) -> list[int]:
        """Token ids of a text; `special_tokens`: it spells its special tokens out itself."""
        binding, _, _ = self._ready()
        return binding.tokenize(text, add_special=not special_tokens) if text else []

    def detokenize(self, ids: list[int]) -> str:
        """The text of token ids, special tokens left out."""
        binding, model, _ = self._ready()
        self._check_ids(ids, "tokens")
        return binding.detokenize([token for token in ids if token not in model.special])

    def convert_ids_to_tokens(self, ids: list[int]) -> list[str]:
        """Each id as the vocabulary spells it."""
        _, model, _ = self._ready()
        self._check_ids(ids, "tokens")
        return [model.tokens[token] for token in ids]

    def _ready(self) -> tuple[Binding, ModelFile, ThreadPoolExecutor]:
        if self._binding is None or self._model is None or self._threads is None:
            raise NotReady(f"The model {self._context.model_uid!r} is not loaded; wait until it is ready.")
        return self._binding, self._model, self._threads

    def _embedding(self) -> Embedding:
        binding, model, threads = self._ready()
        assert self.context_length is not None
        return Embedding(binding, threads, self.context_length, model, self._options.truncate)

    def _ranking(self) -> Ranking:
        binding, model, threads = self._ready()
        assert self.context_length is not None
        return Ranking(binding, threads, self.context_length, model, self._options.truncate)

    def _check_ids(self, ids: list[int], param: str) -> None:
        size = len(self._model.tokens) if self._model else 0
        if wrong := [token for token in ids if not 0 <= token < size]:
            raise BadRequest(f"There is no token {wrong[0]}: ids go from 0 to {size - 1}.", param=param)

    async def _prompt(self, request: GenerateRequest, binding: Binding) -> str | list[int]:
        """What llama.cpp is given: text, before which it puts the first token by itself, or ids, which it leaves."""
        prompt = request.prompt
        if isinstance(prompt, list):
            self._check_ids(prompt, "prompt")
        elif request.special_tokens and self._first:
            if prompt.startswith(self._first) or request.images:  # images need text, before which the token is put
                prompt = prompt.removeprefix(self._first)
            else:
                prompt = await asyncio.to_thread(binding.tokenize, prompt, add_special=False)
        if not prompt and not (isinstance(prompt, str) and self._first):
            raise BadRequest("The prompt is empty: this model needs at least one token to continue.", param="prompt")
        return prompt

    def _stops(self, sampling: Sampling, model: ModelFile) -> frozenset[int]:
        """Ids that end the answer and that llama.cpp does not know to."""
        own = () if sampling.ignore_eos else self._context.stop_token_ids
        known = frozenset() if sampling.ignore_eos else model.ends
        return frozenset((*sampling.stop_token_ids, *own)) - known

    def _wanted(self, sampling: Sampling, stops: frozenset[int], model: ModelFile) -> Wanted:
        assert self.context_length is not None
        return Wanted(self.context_length, sampling.logprobs, stops, lambda token: model.tokens[token])


def context_length_of(context: EngineContext, model: ModelFile) -> int:
    """Tokens that prompt and answer may take together."""
    options: LlamaCppOptions = context.options
    known = (options.n_ctx or LARGEST_DEFAULT, context.context_length, model.context_length)
    return min(length for length in known if length)


def _adds_first(binding: Binding) -> bool:
    """Whether a text's tokens begin with one that it does not hold."""
    return len(binding.tokenize("a", add_special=True)) > len(binding.tokenize("a", add_special=False))


def _restore_signals() -> None:
    """Gives SIGTERM and SIGINT back to whoever had them in Python: llama.cpp's server takes them while it loads.

    Must run on the main thread.
    """
    for number in _SIGNALS:
        signal.signal(number, signal.getsignal(number))
