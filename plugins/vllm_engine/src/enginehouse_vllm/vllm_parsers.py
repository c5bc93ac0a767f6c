"""vLLM's own parsers as parsers of this server. They read the whole answer at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from vllm.reasoning import ReasoningParserManager
from vllm.tool_parsers import ToolParserManager

from enginehouse.sdk import BadRequest, ReasoningPart, TextPart, ToolCallPart
from enginehouse.sdk.parsers import Part

from .requests import chat_request


def names(kind: str) -> list[str]:
    """Those that vLLM has. kind: "tool" or "reasoning"."""
    manager = ToolParserManager if kind == "tool" else ReasoningParserManager
    return list(manager.list_registered())


def tool_parser(name: str, tokenizer: Any) -> type[Any]:
    """A class with the shape of this server's parsers. Raises BadRequest where the tokenizer is not for it."""
    parser = ToolParserManager.get_tool_parser(name)
    _try("tool", name, lambda: parser(tokenizer, None))

    class VllmToolParser(_Waiting):
        needs_special_tokens = True

        def read(self, text: str) -> Iterable[Part]:
            request = chat_request(self._tools)
            found = parser(tokenizer, request.tools).extract_tool_calls(text, request)
            if found.content:
                yield TextPart(found.content)
            for call in found.tool_calls or ():
                yield ToolCallPart(call.function.name, call.function.arguments)

    return VllmToolParser


def reasoning_parser(name: str, tokenizer: Any) -> type[Any]:
    """As tool_parser."""
    parser = ReasoningParserManager.get_reasoning_parser(name)
    _try("reasoning", name, lambda: parser(tokenizer))

    class VllmReasoningParser(_Waiting):
        needs_special_tokens = True

        def read(self, text: str) -> Iterable[Part]:
            reasoning, content = parser(tokenizer).extract_reasoning(text, chat_request(self._tools))
            if reasoning:
                yield ReasoningPart(reasoning)
            if content:
                yield TextPart(content)

    return VllmReasoningParser


def _try(kind: str, name: str, make: Callable[[], Any]) -> None:
    """Many look for words of their model in the vocabulary, and raise whatever they like where those are missing."""
    try:
        make()
    except Exception as error:  # a parser is foreign code
        raise BadRequest(
            f"vLLM's {kind} parser {name!r} does not go with this model's tokenizer ({type(error).__name__}: {error}); "
            "name another, or none.",
            param=f"{'tool_call' if kind == 'tool' else 'reasoning'}_parser",
        ) from error


class _Waiting:
    """A parser that reads the whole answer at its end."""

    def __init__(self, prompt_end: str = "", tools: tuple[dict[str, Any], ...] = ()) -> None:
        self._tools = tools
        self._text = ""

    def feed(self, text: str) -> Iterable[Part]:
        self._text += text
        return ()

    def finish(self) -> Iterable[Part]:
        return list(self.read(self._text)) if self._text else ()

    def read(self, text: str) -> Iterable[Part]:
        raise NotImplementedError
