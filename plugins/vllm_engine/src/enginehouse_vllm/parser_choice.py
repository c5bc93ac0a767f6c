"""Parsers that a launch names: this server's own, else those that vLLM brings.

This server's parsers are the same on every engine. Names that only vLLM knows are read by vLLM's parsers, once the
answer is whole.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from enginehouse.builtin.parsers.table import parser_specs
from enginehouse.runner.targets import resolve
from enginehouse.sdk import BadRequest

Kind = Literal["tool", "reasoning"]
ParserClass = Callable[[str, tuple[dict[str, Any], ...]], Any]
_FIELDS = {"tool": "tool_call_parser", "reasoning": "reasoning_parser"}


def parser_of(kind: Kind, name: str, tokenizer: Any) -> ParserClass:
    """The parser of that name. Raises BadRequest that names those there are."""
    ours = {spec.name: spec.parser for spec in parser_specs() if spec.kind == kind}
    if name in ours:
        found: ParserClass = resolve(ours[name])
        return found
    from . import vllm_parsers as theirs  # noqa: PLC0415 - imports vLLM, which most launches need no parser of

    if name not in theirs.names(kind):
        known = ", ".join(sorted({*ours, *theirs.names(kind)}))
        raise BadRequest(f"There is no {kind} parser {name!r}; there are: {known}.", param=_FIELDS[kind])
    return theirs.tool_parser(name, tokenizer) if kind == "tool" else theirs.reasoning_parser(name, tokenizer)
