"""The task `chat` on an engine that only knows `generate`: prompt, parsers and OpenAI's shapes are made here."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import msgspec

from ..sdk import (
    BadRequest,
    ChatCompletion,
    ChatRequest,
    GenerateRequest,
    Message,
    ReasoningPart,
    TextPart,
    Tool,
    ToolCallPart,
    Usage,
)
from ..sdk.chat import (
    AnswerMessage,
    ChatChoice,
    ChoiceLogprobs,
    Delta,
    FunctionCall,
    FunctionDelta,
    TokenLogprobs,
    ToolCall,
    ToolCallDelta,
    TopLogprob,
)
from .answers import Answer, Heading, Logprobs, bounded, heading_of, usage_of, utf8
from .calls import Method
from .constraints import adapter_of, constraint_of, refused_tools, without_thinking
from .conversation import characters_of, conversation_of, template_options_of, tools_of
from .forced import ForcedCalls, forced_of
from .hosting import Hosted
from .parsing import ParserChain, Part, chain_of, needs_special_tokens
from .pictures import take_pictures
from .sse import DONE
from .text import (
    TextChoice,
    check_max_tokens,
    check_prompt,
    requests_of,
    sampling_of,
    stops_of,
)

_ROLE = b'{"role":"assistant","content":""}'
_encode = msgspec.json.Encoder().encode


class ChatParts:
    """One choice as parts: text, reasoning, tool calls, with the logprobs of the tokens they came from."""

    __slots__ = ("_chain", "_one_call", "calls", "text")

    def __init__(self, text: TextChoice, chain: ParserChain | None, one_call: bool) -> None:
        self.text = text
        self.calls = 0
        self._chain = chain
        self._one_call = one_call

    def take(self, piece: object) -> tuple[list[Part], Logprobs]:
        text, logprobs = self.text.take(piece)
        return self._parts(text), logprobs

    def end(self) -> list[Part]:
        return self._parts(self.text.end())

    @property
    def finish_reason(self) -> str | None:
        reason = self.text.finish_reason
        return "tool_calls" if reason == "stop" and self.calls else reason

    def _parts(self, text: str) -> list[Part]:
        if self._chain is None:
            return [TextPart(text)] if text else []
        parts = self._chain.feed(text) if text else []
        if self.text.finish_reason is not None:
            parts += self._chain.finish()
            self._chain = None
        return [part for part in parts if self._wanted(part)]

    def _wanted(self, part: Part) -> bool:
        if not isinstance(part, ToolCallPart):
            return bool(part.text)
        self.calls += 1
        return self.calls == 1 or not self._one_call


class _ChatAnswer:
    """What both ways of answering have in common."""

    def __init__(self, method: Method, requests: Sequence[GenerateRequest], parts: list[ChatParts], head: Heading):
        self.method = method
        self.requests = requests
        self._parts = parts
        self._head = head

    def is_done(self, index: int) -> bool:
        return self._parts[index].text.finish_reason is not None

    def usage(self) -> Usage:
        texts = [parts.text for parts in self._parts]
        return usage_of(max(text.prompt_tokens for text in texts), sum(text.tokens for text in texts))


class WholeChat(_ChatAnswer):
    """Answer in one piece."""

    stream = False

    def __init__(self, method: Method, requests: Sequence[GenerateRequest], parts: list[ChatParts], head: Heading):
        super().__init__(method, requests, parts, head)
        self._taken: list[list[Part]] = [[] for _ in parts]
        self._logprobs: list[list[TokenLogprobs]] = [[] for _ in parts]

    def opening(self) -> bytes:
        return b""

    def take(self, index: int, item: object) -> bytes:
        parts, logprobs = self._parts[index].take(item)
        self._taken[index] += parts
        self._logprobs[index] += _wire_logprobs(logprobs)
        return b""

    def end(self, index: int) -> bytes:
        self._taken[index] += self._parts[index].end()
        return b""

    def closing(self) -> bytes:
        head = self._head
        choices = [self._choice(index) for index in range(len(self._parts))]
        return _encode(ChatCompletion(head.id, head.created, head.model, choices, self.usage()))

    def _choice(self, index: int) -> ChatChoice:
        taken = self._taken[index]
        content = "".join(part.text for part in taken if isinstance(part, TextPart))
        reasoning = "".join(part.text for part in taken if isinstance(part, ReasoningPart))
        calls = [_tool_call(part) for part in taken if isinstance(part, ToolCallPart)]
        message = AnswerMessage(
            content if content or not calls else None, reasoning_content=reasoning or None, tool_calls=calls or None
        )
        logprobs = ChoiceLogprobs(self._logprobs[index]) if self._wants_logprobs(index) else None
        parts = self._parts[index]
        return ChatChoice(index, message, parts.finish_reason or "stop", logprobs, parts.text.stop)

    def _wants_logprobs(self, index: int) -> bool:
        return self.requests[index].sampling.logprobs is not None


class ChatStream(_ChatAnswer):
    """Answer as events. The bytes around a delta are the same in every event, so they are made once."""

    stream = True

    def __init__(
        self,
        method: Method,
        requests: Sequence[GenerateRequest],
        parts: list[ChatParts],
        head: Heading,
        include_usage: bool,
    ):
        super().__init__(method, requests, parts, head)
        fields = {"id": head.id, "object": "chat.completion.chunk", "created": head.created, "model": head.model}
        self._start = b"data: " + _encode(fields)[:-1] + b',"choices":['
        self._before = [self._start + b'{"index":%d,"delta":' % index for index in range(len(parts))]
        self._after = b'],"usage":null}\n\n' if include_usage else b"]}\n\n"
        self._plain = b',"logprobs":null,"finish_reason":null}' + self._after
        self._plain_text = b"}" + self._plain
        self._plain_before = [before + b'{"content":' for before in self._before]
        self._waiting: list[list[TokenLogprobs]] = [[] for _ in parts]
        self._calls_told = [0] * len(parts)
        self._include_usage = include_usage

    def opening(self) -> bytes:
        return b"".join(before + _ROLE + self._plain for before in self._before)

    def take(self, index: int, item: object) -> bytes:
        choice = self._parts[index]
        parts, logprobs = choice.take(item)
        if logprobs:
            self._waiting[index] += _wire_logprobs(logprobs)
        done = choice.text.finish_reason is not None
        if not done and len(parts) == 1 and not self._waiting[index] and isinstance(parts[0], TextPart):
            return self._plain_before[index] + _encode(parts[0].text) + self._plain_text
        return self._events(index, parts) + (self._last(index) if done else b"")

    def end(self, index: int) -> bytes:
        return self._events(index, self._parts[index].end()) + self._last(index)

    def closing(self) -> bytes:
        if not self._include_usage:
            return DONE
        return self._start + b'],"usage":' + _encode(self.usage()) + b"}\n\n" + DONE

    def _events(self, index: int, parts: list[Part]) -> bytes:
        return b"".join(self._event(index, self._delta(index, part)) for part in parts)

    def _delta(self, index: int, part: Part) -> Delta:
        if isinstance(part, TextPart):
            return Delta(content=part.text)
        if isinstance(part, ReasoningPart):
            return Delta(reasoning_content=part.text)
        number = self._calls_told[index]
        self._calls_told[index] += 1
        function = FunctionDelta(part.name, part.arguments)
        return Delta(tool_calls=[ToolCallDelta(number, _call_id(), "function", function)])

    def _event(self, index: int, delta: Delta) -> bytes:
        logprobs, self._waiting[index] = self._waiting[index], []
        told = _encode(ChoiceLogprobs(logprobs)) if logprobs else b"null"
        return self._before[index] + _encode(delta) + b',"logprobs":' + told + b',"finish_reason":null}' + self._after

    def _last(self, index: int) -> bytes:
        rest = self._event(index, Delta(content="")) if self._waiting[index] else b""
        parts = self._parts[index]
        reason, stop = _encode(parts.finish_reason), _encode(parts.text.stop)
        last = b'{"content":""},"logprobs":null,"finish_reason":' + reason + b',"stop_reason":' + stop + b"}"
        return rest + self._before[index] + last + self._after


async def chat_answer(hosted: Hosted, request: ChatRequest, request_id: str) -> Answer:
    """Checks a chat request and prepares its answer. Raises BadRequest that names the field."""
    constraint = constraint_of(request, hosted)
    abilities = hosted.order.abilities
    messages = conversation_of(request.messages, abilities)
    images: tuple[bytes, ...] = ()
    if hosted.image_mark:
        messages, images = take_pictures(messages, hosted.image_mark)
    check_prompt(characters_of(messages), "characters", hosted.context_length, "messages")
    tools = tools_of(request, abilities)
    if constraint is not None and tools:
        raise refused_tools(constraint)
    if (forced := forced_of(request, tools, hosted)) is not None:
        constraint = forced.constraint
    stops = stops_of(request, hosted.order.stop)
    wants_logprobs = _logprobs_of(request)
    n = request.n or 1
    sampling = sampling_of(request, hosted.sampling, max_tokens=_max_tokens(request, hosted), logprobs=wants_logprobs)
    options = template_options_of(request, hosted.order.enable_thinking)
    if constraint is not None:
        options = without_thinking(options, request, constraint)
    prompt = await _prompt(hosted, messages, tools, options)
    reasoning = None if constraint else hosted.reasoning_parser
    tool_parser = None if forced else hosted.tool_parser
    first = GenerateRequest(
        request_id=request_id,
        prompt=prompt,
        sampling=sampling,
        special_tokens=True,
        keep_special_tokens=needs_special_tokens(reasoning, tool_parser, tools),
        stop=stops,
        constraint=constraint,
        lora_name=adapter_of(request, hosted),
        images=images,
        whole=not request.stream,
    )
    requests = requests_of(request_id, first, n)
    one_call = request.parallel_tool_calls is False
    parts = [
        ChatParts(
            TextChoice(stops, wants_logprobs is not None),
            ParserChain([ForcedCalls(forced.name)]) if forced else chain_of(reasoning, tool_parser, prompt, tools),
            one_call,
        )
        for _ in range(n)
    ]
    head = heading_of("chatcmpl", request_id, hosted.model_uid)
    if not request.stream:
        return WholeChat(hosted.generate, requests, parts, head)
    include_usage = bool(request.stream_options and request.stream_options.include_usage)
    return ChatStream(hosted.generate, requests, parts, head, include_usage)


async def _prompt(
    hosted: Hosted, messages: tuple[Message, ...], tools: tuple[Tool, ...], options: dict[str, Any]
) -> str | list[int]:
    prompt = await hosted.chat_prompt(messages, tools, options)
    unit = "characters" if isinstance(prompt, str) else "tokens"
    check_prompt(len(prompt), unit, hosted.context_length, "messages")
    return prompt


def _max_tokens(request: ChatRequest, hosted: Hosted) -> int | None:
    if request.max_completion_tokens is not None:
        check_max_tokens(request.max_completion_tokens, hosted.context_length, "max_completion_tokens")
        return request.max_completion_tokens
    check_max_tokens(request.max_tokens, hosted.context_length)
    return request.max_tokens


def _logprobs_of(request: ChatRequest) -> int | None:
    if request.logprobs:
        return request.top_logprobs or 0
    if request.top_logprobs:
        raise BadRequest("top_logprobs needs `logprobs` to be true; set it, or leave it out.", param="top_logprobs")
    return None


def _wire_logprobs(logprobs: Logprobs) -> list[TokenLogprobs]:
    return [
        TokenLogprobs(
            each.text,
            bounded(each.logprob),
            utf8(each.text),
            [TopLogprob(text, bounded(logprob), utf8(text)) for text, logprob in each.top],
        )
        for each in logprobs
    ]


def _call_id() -> str:
    return f"call_{os.urandom(12).hex()}"


def _tool_call(part: ToolCallPart) -> ToolCall:
    return ToolCall(_call_id(), FunctionCall(part.name, part.arguments))
