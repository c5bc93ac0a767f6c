"""How the next token of one sequence is chosen: llama.cpp's samplers, behind a grammar where there is one."""

from __future__ import annotations

import ctypes
from typing import Any

import llama_cpp.llama_cpp as ll
import llguidance
import llguidance.numpy
import numpy as np
import numpy.typing as npt
from llguidance.gbnf_to_lark import any_to_lark
from llguidance.llamacpp import lltokenizer_from_vocab

from enginehouse.sdk import BadRequest, Sampling
from enginehouse.sdk.constraints import Constraint

from ..binding import Question
from ..chunks import Alternative, Token
from ..grammars import LARK, grammar_of
from .library import Model

Logits = npt.NDArray[np.float32]

SEEDS = 2**32 - 1  # of llama.cpp's; the last number of 32 bits means "draw one"
NEVER = float("-inf")


class Guides:
    """Makes guides for one vocabulary, which llguidance reads at the first."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._tokenizer: Any = None

    def make(self, constraint: Constraint) -> Guide:
        """Raises BadRequest for what cannot be read."""
        grammar = grammar_of(constraint)
        if not grammar.startswith(LARK):  # GBNF
            grammar = _from_gbnf(grammar)
        if self._tokenizer is None:
            self._tokenizer = lltokenizer_from_vocab(self._model.vocabulary)
        matcher = llguidance.LLMatcher(self._tokenizer, grammar)
        if problem := matcher.get_error():
            raise BadRequest(f"{constraint.param} cannot be read: {problem.strip()}", param=constraint.param)
        return Guide(matcher, self._model)


class Guide:
    """Where an answer stands in its grammar."""

    def __init__(self, matcher: Any, model: Model) -> None:
        self._matcher = matcher
        self._ends = sorted(model.ends)
        self._mask = llguidance.numpy.allocate_token_bitmask(1, model.size)

    def restrict(self, logits: Logits) -> None:
        """Leaves only tokens that the grammar allows. Ends are allowed where it is complete, and nothing else then."""
        ends = logits[self._ends].copy()
        if self._matcher.is_stopped():
            logits[:] = NEVER
        else:
            llguidance.numpy.fill_next_token_bitmask(self._matcher, self._mask)
            llguidance.numpy.apply_token_bitmask_inplace(logits[None, :], self._mask)
        logits[self._ends] = ends if self._matcher.is_accepting() else NEVER

    def take(self, token: int) -> None:
        if token not in self._ends:
            self._matcher.consume_token(token)


class Chooser:
    """Draws the tokens of one answer. Must be closed."""

    def __init__(self, model: Model, question: Question, prompt: list[int], guide: Guide | None) -> None:
        sampling = question.request.sampling
        self._model, self._guide, self._told = model, guide, sampling.logprobs
        self._asks_ids = question.asks_ids
        self._bias = {**sampling.logit_bias, **dict.fromkeys(model.ends if sampling.ignore_eos else (), NEVER)}
        self._chain = _chain(model, sampling, question.limits.context_length)
        for token in prompt:
            ll.llama_sampler_accept(self._chain, token)

    def choose(self, context: Any, row: int) -> tuple[int, Token | None]:
        """The next token, and what is told of it where that was asked for."""
        logits = _logits(context, row, self._model.size)
        plain = logits.copy() if self._told is not None or self._asks_ids else None
        if self._bias:
            for token, bias in self._bias.items():
                logits[token] += bias
        if self._guide is not None:
            self._guide.restrict(logits)
        token = int(ll.llama_sampler_sample(self._chain, context, row))
        if self._guide is not None:
            self._guide.take(token)
        return token, None if plain is None else self._tell(token, plain)

    def close(self) -> None:
        ll.llama_sampler_free(self._chain)

    def _tell(self, token: int, logits: Logits) -> Token:
        top = float(logits.max())
        logprobs = logits - (top + float(np.log(np.exp(logits - top).sum())))
        best = np.argsort(-logprobs)[: self._told or 0]
        others = [Alternative(int(one), self._spell(int(one)), float(logprobs[one])) for one in best]
        return Token(token, self._spell(token), float(logprobs[token]), others)

    def _spell(self, token: int) -> str:
        return self._model.spell(token, special=False).decode(errors="replace")


def _logits(context: Any, row: int, size: int) -> Logits:
    """llama.cpp's own numbers, not a copy of them."""
    pointer = ll.llama_get_logits_ith(context, row)
    return np.ctypeslib.as_array(ctypes.cast(pointer, ctypes.POINTER(ctypes.c_float)), (size,))


def _chain(model: Model, sampling: Sampling, window: int) -> Any:
    """In the order of transformers: penalties, temperature, top_k, top_p, min_p."""
    chain = ll.llama_sampler_chain_init(ll.llama_sampler_chain_default_params())
    repeats = sampling.repetition_penalty, sampling.frequency_penalty, sampling.presence_penalty
    if repeats != (1.0, 0.0, 0.0):
        ll.llama_sampler_chain_add(chain, ll.llama_sampler_init_penalties(model.size, window, *repeats))
    if sampling.temperature <= 0:
        ll.llama_sampler_chain_add(chain, ll.llama_sampler_init_greedy())
        return chain
    ll.llama_sampler_chain_add(chain, ll.llama_sampler_init_temp(sampling.temperature))
    if sampling.top_k:
        ll.llama_sampler_chain_add(chain, ll.llama_sampler_init_top_k(sampling.top_k))
    if sampling.top_p < 1:
        ll.llama_sampler_chain_add(chain, ll.llama_sampler_init_top_p(sampling.top_p, 1))
    if sampling.min_p:
        ll.llama_sampler_chain_add(chain, ll.llama_sampler_init_min_p(sampling.min_p, 1))
    seed = SEEDS if sampling.seed is None else sampling.seed % SEEDS
    ll.llama_sampler_chain_add(chain, ll.llama_sampler_init_dist(seed))
    return chain


def _from_gbnf(grammar: str) -> str:
    """GBNF in the words of llguidance. Raises BadRequest."""
    try:
        lark: str = any_to_lark(grammar)
    except Exception as error:  # foreign code reads what a client sent
        raise BadRequest(f"guided_grammar cannot be read: {error}", param="guided_grammar") from error
    found = f"{LARK} {{}}\n{lark}"
    if problem := llguidance.LLMatcher.validate_grammar(found, None):
        raise BadRequest(f"guided_grammar cannot be read: {problem.strip()}", param="guided_grammar")
    return found
