"""The binding llama_cpp: started, asked, ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import llama_cpp.llama_cpp as ll

from enginehouse.sdk import NotSupported

from ..answers import too_long
from ..binding import Loading, Question, Vectors
from ..files import warm
from ..options import LlamaCppOptions
from .answering import StepCall
from .library import Adapters, Model, make_context
from .loop import SteppingLoop
from .sampling import Guide, Guides
from .vectors import VectorMaker

CONTEXT_STEP = 256  # llama.cpp rounds a sequence's cache to multiples of this
_ANSWERS = frozenset({"generate", "chat"})
_VECTORS = frozenset({"embed", "rerank"})


class Prepared(NamedTuple):
    """A question whose prompt and constraint have been read."""

    question: Question
    prompt: list[int]
    guide: Guide | None


class Native:
    """A loaded model: see `Binding`."""

    image_mark = ""

    def __init__(self, loading: Loading) -> None:
        self._model = Model(loading)
        self._guides = Guides(self._model)
        options: LlamaCppOptions = loading.context.options
        size = -(-(loading.context_length + 1) // CONTEXT_STEP) * CONTEXT_STEP
        self._loop: SteppingLoop | None = None
        self._maker: VectorMaker | None = None
        self._context = None
        tasks = set(loading.context.tasks)
        if not tasks or tasks & _ANSWERS:
            self._context = make_context(self._model, loading, size, embeds=False)
            adapters = Adapters(self._model, options)
            self._loop = SteppingLoop(self._context, adapters, options.n_parallel, options.n_batch)
        if tasks & _VECTORS:
            made = make_context(self._model, loading, size, embeds=True)
            self._maker = VectorMaker(self._model, made, size, options.n_parallel)

    def prepare(self, question: Question) -> Prepared:
        if self._loop is None:
            raise NotSupported("This model was loaded to make vectors, not answers.")
        prompt = question.prompt
        ids = self.tokenize(prompt, add_special=True) if isinstance(prompt, str) else prompt
        limit = question.limits.context_length
        if len(ids) + 1 > limit:
            raise too_long(len(ids), limit)
        constraint = question.request.constraint
        return Prepared(question, ids, self._guides.make(constraint) if constraint else None)

    async def ask(self, prepared: Prepared) -> StepCall:
        assert self._loop is not None
        call = StepCall(self._model, prepared.question, prepared.prompt, prepared.guide)
        self._loop.submit(call)
        return call

    def embed(self, inputs: Sequence[str | list[int]], *, normal: bool) -> Vectors:
        if self._maker is None:
            raise NotSupported("This model was loaded to make answers, not vectors.")
        return self._maker.make(inputs, normal=normal)

    def rank(self, query: str, documents: Sequence[str]) -> Vectors:
        return self.embed([self._joined(query, document) for document in documents], normal=False)

    def tokenize(self, text: str, *, add_special: bool) -> list[int]:
        return self._model.tokenize(text, add_special=add_special)

    def detokenize(self, ids: list[int]) -> str:
        return self._model.detokenize(ids)

    def close(self) -> None:
        if self._loop is not None and not self._loop.close():
            return  # its thread still computes in there
        if self._context:
            ll.llama_free(self._context)
        if self._maker is not None:
            self._maker.close()
        self._loop = self._maker = self._context = None
        self._model.close()

    def _joined(self, query: str, document: str) -> list[int]:
        """Query and document as llama.cpp's server puts them together."""
        template = ll.llama_model_chat_template(self._model.pointer, b"rerank")
        if template:
            before, _, rest = template.decode().partition("{query}")
            between, _, after = rest.partition("{document}")
            return self.tokenize(f"{before}{query}{between}{document}{after}", add_special=False)
        words = self._model.vocabulary
        end = ll.llama_vocab_eos(words)
        ends = [end if end >= 0 else ll.llama_vocab_sep(words)] if ll.llama_vocab_get_add_eos(words) else []
        start = [ll.llama_vocab_bos(words)] if ll.llama_vocab_get_add_bos(words) else []
        middle = [ll.llama_vocab_sep(words)] if ll.llama_vocab_get_add_sep(words) else []
        first, second = (self.tokenize(text, add_special=False) if text else [] for text in (query, document))
        return [*start, *first, *ends, *middle, *second, *ends]


def start(loading: Loading) -> Native:
    """Loads the model. Raises LaunchFailed with llama.cpp's own words, NotSupported for options it does not have."""
    _refuse(loading.context.options)
    warm(loading.context)
    ll.llama_backend_init()
    return Native(loading)


def _refuse(options: LlamaCppOptions) -> None:
    if options.multimodal_projector:
        raise NotSupported(
            "The binding llama_cpp reads no images; launch with multimodal_projector='' for text alone, or install "
            "xllamacpp and launch with binding=xllamacpp.",
            param="multimodal_projector",
        )
    given = {
        "model_draft": bool(options.model_draft),
        "cache_ram_mib": bool(options.cache_ram_mib),
        "extra": bool(options.extra),
    }
    for name in (name for name, is_given in given.items() if is_given):
        raise NotSupported(
            f"The binding llama_cpp has no {name}; leave it out, or install xllamacpp and launch with "
            "binding=xllamacpp.",
            param=name,
        )
