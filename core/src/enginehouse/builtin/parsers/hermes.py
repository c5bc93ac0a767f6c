"""Tool calls in the Hermes form: <tool_call>{"name": ..., "arguments": {...}}</tool_call>.

Source: the function-calling format of the Nous Hermes 2 Pro model card, which Qwen, Granite 4 and others adopted.
"""

from __future__ import annotations

from ...sdk import ToolCallPart
from .blocks import Block, BlockParser, Enclosed
from .calls import call_of, read_json
from .tags import ends_in_string


class HermesParser(BlockParser):
    """One call in each block."""

    openings = ("<tool_call>",)
    needs_special_tokens = True  # of some of the models; for most these are ordinary tokens

    def block(self, opening: str, hasty: bool) -> Block:
        return Enclosed("</tool_call>", _decode, open_in=ends_in_string, begins=("{",), hasty=hasty)


def _decode(body: str) -> list[ToolCallPart]:
    return [call_of(read_json(body))]
