"""Tool calls as a JSON list after a tag: Granite 3 and Phi-4-mini.

Sources: the chat templates of these models. Both write <|tool_call|>[...], Phi-4-mini with <|/tool_call|> after it.
Granite 3.0 to 3.3 also write <tool_call>, Granite 4 the Hermes form, and Phi-4-mini also functools[...].
"""

from __future__ import annotations

from collections.abc import Sequence

from ...sdk import ToolCallPart
from .blocks import Block, BlockParser, Value
from .calls import calls_of, read_json

_BEGINS = ("[{", "{")


class GraniteParser(BlockParser):
    """A list of calls after a tag, or one call."""

    openings = ("<|tool_call|>", "<tool_call>")
    needs_special_tokens = True

    def block(self, opening: str, hasty: bool) -> Block:
        return Value(_decode, begins=_BEGINS, closing="</tool_call>")


class Phi4MiniParser(BlockParser):
    """A list of calls after a tag, or one call."""

    openings = ("<|tool_call|>", "functools")
    needs_special_tokens = True

    def block(self, opening: str, hasty: bool) -> Block:
        return Value(_decode, begins=_BEGINS, closing="<|/tool_call|>")


def _decode(body: str) -> Sequence[ToolCallPart]:
    return calls_of(read_json(body))
