"""Tool calls as Python: [name(key="value", other=3), ...].

Source: the zero-shot function calling of Llama 3.2 and Llama 4 in Meta's prompt formats; Gemma 3 is asked for it too.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

from ...sdk import ToolCallPart
from .blocks import Block, BlockParser, Value
from .calls import NotACall, Schemas, call, python_tree, python_value

QUOTES = "\"'"


class PythonicParser(BlockParser):
    """A list of calls at the start of an answer. It has no tag, so that its first word must be a tool's name."""

    def starts(self) -> str:
        return "[" if self._schemas else ""

    def block(self, opening: str, hasty: bool) -> Block:
        return pythonic_list(self._schemas)


def pythonic_list(schemas: Schemas, closing: str = "") -> Block:
    """A list of calls, with its brackets."""
    return Value(decode_python, begins=list_beginnings(schemas), quotes=QUOTES, closing=closing)


def list_beginnings(schemas: Schemas) -> tuple[str, ...]:
    return tuple(f"[{name}(" for name in schemas)


def decode_python(body: str) -> Sequence[ToolCallPart]:
    """Calls of a list, or one call. Raises NotACall."""
    tree = python_tree(body)
    return [_call_of(each) for each in (tree.elts if isinstance(tree, ast.List) else [tree])]


def _call_of(tree: ast.expr) -> ToolCallPart:
    if not isinstance(tree, ast.Call):
        raise NotACall("no call")
    name = ast.unparse(tree.func) if isinstance(tree.func, ast.Name | ast.Attribute) else ""
    if name == "print" and len(tree.args) == 1:
        return _call_of(tree.args[0])
    if tree.args or not all(each.arg for each in tree.keywords):
        raise NotACall("arguments without names")
    return call(name, {str(each.arg): python_value(each.value) for each in tree.keywords})
