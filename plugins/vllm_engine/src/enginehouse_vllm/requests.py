"""A chat request in vLLM's own type, for its parsers."""

from __future__ import annotations

from typing import Any

try:
    from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
except ImportError:  # before 0.15
    from vllm.entrypoints.openai.protocol import ChatCompletionRequest


def chat_request(tools: tuple[dict[str, Any], ...]) -> Any:
    """One with these tools."""
    return ChatCompletionRequest(messages=[], tools=list(tools) or None, tool_choice="auto" if tools else "none")
