"""Constrained answers: which tokens may come next, worked out beside the model's own steps.

A constraint is compiled once, on a thread of its own, and kept; each sequence walks a copy of it. While the model
computes the logits behind a token, another thread takes that token in and marks what may follow it, so that a step
seldom waits. The library's own limits bound every one of its steps, in time and in memory.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections import OrderedDict
from collections.abc import Collection
from collections.abc import Sequence as Rows
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from typing import Any, NamedTuple

import torch
from transformers import PreTrainedTokenizerFast

from enginehouse.sdk import BadRequest, Constraint, ConstraintKind, EngineFailed

try:
    import llguidance
    from llguidance.gbnf_to_lark import any_to_lark
    from llguidance.hf import from_tokenizer
except ImportError:
    HAS_LIBRARY = False
else:
    HAS_LIBRARY = True

KINDS: tuple[ConstraintKind, ...] = ("json_schema", "regex", "choice", "grammar")
KEPT = 64  # compiled constraints; most callers have a handful
MOST_CHARACTERS = {"json_schema": 64_000, "regex": 20_000, "choice": 64_000, "grammar": 20_000}
# ... compile within seconds whatever they hold, and what they can nest fits on the compiler's stack
STACK_BYTES = 512 * 2**20  # address space, of which no more is taken than a constraint needs
COMPILE_SECONDS = 60.0  # the worst that the limits above let through takes about four
MASK_SECONDS = 60.0  # the limits below bound it to a hundredth of that
ROW_ITEMS, LEXER_FUEL, STEP_ITEMS, LEXER_STATES = 2_000, 200_000, 20_000, 50_000
WHITESPACE = r"( |\n[ \t]{0,32})?"  # between tokens of JSON: compact, spaced or indented, but never without end
WORDS = 400  # characters of the library's message that are passed on

_log = logging.getLogger(__name__)


class Guide:
    """Where one answer stands in its constraint. allowed: bits of the tokens that may come next, int32 [words]."""

    __slots__ = ("_allowed", "_matcher", "_param", "_pending", "_pool")

    def __init__(self, matcher: Any, allowed: torch.Tensor, param: str, pool: ThreadPoolExecutor) -> None:
        self._matcher = matcher
        self._allowed = allowed
        self._param = param
        self._pool = pool
        self._pending: Future[None] | None = None

    def allowed(self) -> torch.Tensor:
        """Bits of the tokens that may come next, int32 [words]. Raises what went wrong with working them out."""
        if self._pending is not None:
            try:
                self._pending.result(MASK_SECONDS)
            except TimeoutError as error:
                raise EngineFailed(f"What {self._param} allows was not known after {MASK_SECONDS:g} s.") from error
        if self._matcher.is_error():
            raise _refusal(self._param, self._matcher.get_error())
        return self._allowed

    @staticmethod
    def advance(steps: Rows[tuple[Guide, int]]) -> None:
        """Takes the token that each guide's answer was given, and begins to work out what may follow; returns at once.

        One job for all: the library leaves the interpreter's lock while it works.
        """
        if steps:
            pending = steps[0][0]._pool.submit(_take_all, steps)
            for guide, _ in steps:
                guide._pending = pending

    def take(self, token: int) -> None:
        if self._matcher.consume_token(token):
            _look(self._matcher, self._allowed)


def _take_all(steps: Rows[tuple[Guide, int]]) -> None:
    for guide, token in steps:
        guide.take(token)


def _look(matcher: Any, allowed: torch.Tensor) -> None:
    matcher.unsafe_compute_mask_ptr(allowed.data_ptr(), allowed.nbytes)


class Compiled(NamedTuple):
    """A constraint, ready to be walked by any number of answers. allowed: what they may begin with."""

    matcher: Any
    allowed: torch.Tensor


class Grammars:
    """Compiled constraints of one tokenizer.

    choices: how many tokens the model chooses from. ends: ids that end an answer.
    """

    def __init__(self, tokenizer: Any, choices: int, ends: Collection[int]) -> None:
        self._plain = tokenizer
        self._size = max(choices, len(tokenizer))
        self._ends = sorted(token for token in ends if 0 <= token < choices)
        self._limits = llguidance.LLParserLimits(
            max_items_in_row=ROW_ITEMS,
            step_lexer_fuel=LEXER_FUEL,
            step_max_items=STEP_ITEMS,
            max_lexer_states=LEXER_STATES,
            verbose_errors=False,
        )
        self._kept: OrderedDict[Constraint, Compiled] = OrderedDict()
        self._lock = threading.Lock()
        self._compiler = _thread("transformers grammar")
        self._masks = _thread("transformers masks")

    @cached_property
    def _tokenizer(self) -> Any:
        """Made on the compiler's thread when it is first needed: a large vocabulary takes it a second."""
        return from_tokenizer(self._plain, n_vocab=self._size, eos_token=self._ends)

    def close(self) -> None:
        self._compiler.shutdown(wait=False, cancel_futures=True)
        self._masks.shutdown(wait=False, cancel_futures=True)

    async def guide(self, constraint: Constraint) -> Guide:
        """The beginning of an answer. Raises BadRequest with the library's words when it cannot be compiled."""
        compiled = self._known(constraint) or await self._compiled(constraint)
        return Guide(compiled.matcher.deep_copy(), compiled.allowed.clone(), constraint.param, self._masks)

    def _known(self, constraint: Constraint) -> Compiled | None:
        with self._lock:
            compiled = self._kept.get(constraint)
            if compiled is not None:
                self._kept.move_to_end(constraint)
            return compiled

    async def _compiled(self, constraint: Constraint) -> Compiled:
        """Compiles on the one thread that does so: a costly constraint takes one core for a while, not all."""
        if len(constraint.text) + len(constraint.whitespace or "") > (most := MOST_CHARACTERS[constraint.kind]):
            raise _refusal(constraint.param, f"it is longer than {most} characters; make it shorter")
        try:
            async with asyncio.timeout(COMPILE_SECONDS):
                return await asyncio.get_running_loop().run_in_executor(self._compiler, self._compile, constraint)
        except TimeoutError as error:
            raise _refusal(constraint.param, f"it was not compiled within {COMPILE_SECONDS:g} s") from error

    def _compile(self, constraint: Constraint) -> Compiled:
        if (known := self._known(constraint)) is not None:
            return known
        try:
            matcher = llguidance.LLMatcher(self._tokenizer, grammar_of(constraint), log_level=0, limits=self._limits)
            trial, allowed = matcher.deep_copy(), torch.zeros(-(-self._size // 32), dtype=torch.int32)
            _look(trial, allowed)
        except Exception as error:  # foreign code in Python, which raises what it likes
            raise _refusal(constraint.param, str(error)) from error
        for each in (matcher, trial):
            if each.is_error():
                raise _refusal(constraint.param, each.get_error())
        with self._lock:
            self._kept[constraint] = compiled = Compiled(matcher, allowed)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return compiled


def _thread(name: str) -> ThreadPoolExecutor:
    """One thread with a stack for the library, which descends into what a constraint nests."""
    pool = ThreadPoolExecutor(1, name)
    with _starting:
        before = threading.stack_size(STACK_BYTES)
        try:
            pool.submit(lambda: None)
        finally:
            threading.stack_size(before)
    return pool


_starting = threading.Lock()


def grammars_for(tokenizer: Any, choices: int, ends: Collection[int]) -> Grammars | None:
    """What constrains answers of this model, or None, with the reason in the log."""
    if not HAS_LIBRARY:
        _log.warning("Answers cannot be constrained: the package llguidance is not installed.")
        return None
    if not any(0 <= token < choices for token in ends):
        _log.warning("Answers cannot be constrained: the model has no token that ends an answer.")
        return None
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        _log.warning(
            "Answers cannot be constrained: %s is not one of the tokenizers library.", type(tokenizer).__name__
        )
        return None
    return Grammars(tokenizer, choices, ends)


def grammar_of(constraint: Constraint) -> str:
    """The constraint in the library's own form. Raises whatever the library raises."""
    if constraint.kind == "json_schema":
        return _json(constraint)
    if constraint.kind == "grammar":
        lark = any_to_lark(constraint.text) if "::=" in constraint.text else constraint.text
        return str(llguidance.LLMatcher.grammar_from_lark(lark))
    regex = constraint.text if constraint.kind == "regex" else "|".join(map(_literal, json.loads(constraint.text)))
    return str(llguidance.LLMatcher.grammar_from_regex(regex))


def _json(constraint: Constraint) -> str:
    """A boolean schema is put into an object, which is where the library reads its settings from."""
    schema = json.loads(constraint.text)
    if isinstance(schema, bool):
        schema = {"anyOf": [schema]}
    settings = {
        "whitespace_pattern": WHITESPACE if constraint.whitespace is None else constraint.whitespace,
        "whitespace_flexible": True,
        "item_separator": ",",
        "key_separator": ":",
        "lenient": False,
        "coerce_one_of": False,
    }
    return str(llguidance.LLMatcher.grammar_from_json_schema({**schema, "x-guidance": settings}))


def _literal(text: str) -> str:
    return "".join(letter if letter.isalnum() else f"\\x{{{ord(letter):x}}}" for letter in text)


def _refusal(param: str, words: str) -> BadRequest:
    said = words.partition("\n<")[0].strip()  # behind it the library's state, for its developers
    said = said if len(said) <= WORDS else f"{said[:WORDS]} ..."
    return BadRequest(f"{param} cannot be honoured: {said}", param=param)


def forbidden(allowed: torch.Tensor, choices: int) -> torch.Tensor:
    """Which tokens may not come next, bool [rows, choices], from bits [rows, words]."""
    table = _BITS.to(allowed.device)
    bits = table[allowed.view(torch.uint8).long()].flatten(1)
    if bits.shape[1] < choices:
        bits = torch.nn.functional.pad(bits, (0, choices - bits.shape[1]))
    return ~bits[:, :choices]


_BITS = torch.tensor([[bool(byte >> place & 1) for place in range(8)] for byte in range(256)])
"""The bits of each byte, least first, as the library writes them."""
