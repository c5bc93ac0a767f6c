"""Constraints as grammars, for both bindings."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from llguidance import LLMatcher

from enginehouse.sdk import BadRequest
from enginehouse.sdk.constraints import Constraint

LARK = "%llguidance"  # how a grammar begins that llguidance reads; any other is llama.cpp's own GBNF
_SLASH = re.compile(r"(\\.)|/", re.S)
_encode = msgspec.json.Encoder().encode


def grammar_of(constraint: Constraint) -> str:
    """The constraint as a grammar: GBNF as it is, everything else in the words of llguidance, which llama.cpp reads.

    Raises BadRequest for what llguidance cannot read: llama.cpp would go on without it. (GBNF it refuses itself.)
    """
    if constraint.kind == "grammar" and "::=" in constraint.text:
        return constraint.text
    own = constraint.kind == "grammar" and constraint.text.startswith(LARK)
    grammar = constraint.text if own else f"{LARK} {{}}\n{_rules(constraint)}\n"
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
