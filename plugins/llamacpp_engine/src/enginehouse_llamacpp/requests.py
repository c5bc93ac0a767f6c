"""From a request to the body that llama.cpp's server takes."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import msgspec
from llguidance import LLMatcher

from enginehouse.sdk import BadRequest, GenerateRequest, Sampling
from enginehouse.sdk.constraints import Constraint

SEEDS = 2**32 - 1  # of llama.cpp's; the last number of 32 bits means "draw one"
_SAMPLERS = ["penalties", "temperature", "top_k", "top_p", "min_p"]
"""In this order, that of transformers; by its own order llama.cpp would apply the temperature last."""
_FIXED = {
    "stream": True,
    "timings_per_token": True,  # how many tokens have been generated, with each piece
    "return_progress": True,  # how many tokens the prompt has, before the first piece
    "samplers": _SAMPLERS,
}
_LARK = "%llguidance"
_SLASH = re.compile(r"(\\.)|/", re.S)
_encode = msgspec.json.Encoder().encode


class Limits(NamedTuple):
    """vocabulary: how many ids there are. context_length: tokens of prompt and answer together.

    adapters: names, in the order in which llama.cpp knows them. special: what its special tokens are spelled like.
    """

    vocabulary: int
    context_length: int
    adapters: tuple[str, ...] = ()
    special: tuple[str, ...] = ()


def body_of(request: GenerateRequest, prompt: str | list[int], limits: Limits, asks_ids: bool) -> bytes:
    """The body. asks_ids: whether each token's id is wanted back. Raises BadRequest for tokens that do not exist."""
    body: dict[str, Any] = {**_FIXED, **_sampling(request.sampling, limits), "prompt": prompt}
    if request.sampling.logprobs is not None or asks_ids:
        body["logprobs"] = max(request.sampling.logprobs or 0, 1)
    body["cache_prompt"] = not limits.adapters  # llama.cpp would read on from what another adapter made of a prompt
    if request.lora_name is not None:
        body["lora"] = [{"id": limits.adapters.index(request.lora_name), "scale": 1.0}]
    if request.keep_special_tokens:
        body["preserved_tokens"] = limits.special
    if request.constraint is not None:
        body["grammar"] = grammar_of(request.constraint)
    return _encode(body)


def _sampling(sampling: Sampling, limits: Limits) -> dict[str, Any]:
    vocabulary = limits.vocabulary
    for token in sampling.logit_bias:
        if not 0 <= token < vocabulary:
            raise BadRequest(
                f"logit_bias names token {token}, but ids go from 0 to {vocabulary - 1}.", param="logit_bias"
            )
    return {
        "max_tokens": -1 if sampling.max_tokens is None else sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_k": sampling.top_k,
        "top_p": sampling.top_p,
        "min_p": sampling.min_p,
        "seed": SEEDS if sampling.seed is None else sampling.seed % SEEDS,
        "repeat_last_n": limits.context_length,
        "repeat_penalty": sampling.repetition_penalty,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "logit_bias": [[token, bias] for token, bias in sampling.logit_bias.items()],
        "ignore_eos": sampling.ignore_eos,
    }


def grammar_of(constraint: Constraint) -> str:
    """The constraint as a grammar: GBNF as it is, everything else in the words of llguidance, which llama.cpp reads.

    Raises BadRequest for what llguidance cannot read: llama.cpp would go on without it. (GBNF it refuses itself.)
    """
    if constraint.kind == "grammar" and "::=" in constraint.text:
        return constraint.text
    own = constraint.kind == "grammar" and constraint.text.startswith(_LARK)
    grammar = constraint.text if own else f"{_LARK} {{}}\n{_rules(constraint)}\n"
    if problem := LLMatcher.validate_grammar(grammar, None):
        raise BadRequest(f"{constraint.param} cannot be read: {problem.strip()}", param=constraint.param)
    return grammar


def _rules(constraint: Constraint) -> str:
    if constraint.kind == "grammar":
        return constraint.text
    if constraint.kind == "json_schema":
        return f"start: %json {_with_whitespace(constraint)}"
    if constraint.kind == "regex":
        return f"start: /{_SLASH.sub(_escape, constraint.text)}/".replace("\n", r"\n")
    choices = msgspec.json.decode(constraint.text, type=list[str])
    return "start: " + " | ".join(_encode(choice).decode() for choice in choices)


def _with_whitespace(constraint: Constraint) -> str:
    """The schema with a word on whitespace: unless it is asked for, none but a space after commas and colons.

    Models that are free to write whitespace go on with it until the answer's end.
    """
    schema = msgspec.json.format(constraint.text.encode(), indent=-1).decode()
    if not schema.startswith("{"):
        return schema
    wish: dict[str, Any] = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
    if constraint.whitespace is not None:
        wish = {"whitespace_pattern": constraint.whitespace}
    rest = schema[1:]
    return '{"x-guidance":' + _encode(wish).decode() + ("" if rest == "}" else ",") + rest


def _escape(match: re.Match[str]) -> str:
    return match[1] or r"\/"
