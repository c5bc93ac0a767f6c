"""OpenAI's Responses, the request: its struct, and what it becomes for a worker's chat. Pure.

Source: OpenAI API reference, "Create a model response". Fields that are not listed are let through unread.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from ..sdk import BadRequest, NotSupported
from ..sdk.chat import Fraction, PositiveInt, Temperature
from .bodies import read_struct, with_set_fields

Json = dict[str, Any]


class ResponsesRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Body of `POST /v1/responses`. store: kept for `previous_response_id` unless false."""

    model: str
    input: str | list[Json]
    instructions: str | None = None
    previous_response_id: str | None = None
    store: bool | None = None
    stream: bool | None = None
    max_output_tokens: PositiveInt | None = None
    temperature: Temperature | None = None
    top_p: Fraction | None = None
    tools: list[Json] | None = None
    tool_choice: str | Json | None = None
    parallel_tool_calls: bool | None = None
    reasoning: Json | None = None
    text: Json | None = None
    metadata: dict[str, str] | None = None
    truncation: str | None = None
    user: str | None = None
    chat_template_kwargs: Json | None = None
    top_logprobs: int | None = None
    background: bool | None = None
    conversation: Any = None
    prompt: Json | None = None

    @property
    def keeps(self) -> bool:
        return self.store is not False


_REFUSED = {
    "background": "answers are made while the client waits; use `stream`",
    "conversation": "use previous_response_id, or send the whole conversation in `input`",
    "prompt": "no prompts are kept here; send the text in `input`",
    "top_logprobs": "use POST /v1/chat/completions for logprobs",
}
_TEXT_PARTS = ("input_text", "output_text", "text", "refusal")
_request = msgspec.json.Decoder(ResponsesRequest)


def read_responses_request(body: bytes) -> ResponsesRequest:
    """Raises BadRequest that names the field, NotSupported for what is not offered."""
    request = read_struct(_request, body)
    for name, instead in _REFUSED.items():
        if getattr(request, name):
            raise NotSupported(f"{name} is not supported: {instead}.", param=name)
    if request.truncation not in (None, "disabled"):
        raise NotSupported(
            f"truncation {request.truncation!r} is not supported; shorten the input.", param="truncation"
        )
    return request


def chat_of(request: ResponsesRequest, messages: list[Json]) -> Json:
    """The body of a streaming chat completion. messages: the conversation without the instructions."""
    system = [{"role": "system", "content": request.instructions}] if request.instructions else []
    return {
        "model": request.model,
        "messages": [*system, *messages],
        "stream": True,
        "stream_options": {"include_usage": True},
        **with_set_fields(
            max_tokens=request.max_output_tokens,
            temperature=request.temperature,
            top_p=request.top_p,
            tools=[_tool(number, tool) for number, tool in enumerate(request.tools or ())] or None,
            tool_choice=_choice(request.tool_choice),
            parallel_tool_calls=request.parallel_tool_calls,
            reasoning_effort=(request.reasoning or {}).get("effort"),
            response_format=_format(request.text),
            user=request.user,
            chat_template_kwargs=request.chat_template_kwargs,
        ),
    }


def messages_of(given: str | list[Json]) -> list[Json]:
    """Input items as chat messages: calls and thoughts go into the assistant's turn that they belong to."""
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    messages: list[Json] = []
    thoughts = ""
    for number, item in enumerate(given):
        place = f"input[{number}]"
        kind = item.get("type") or "message"
        if kind == "reasoning":
            thoughts += _thoughts(item)
            continue
        if kind == "function_call":
            turn = _calling_turn(messages)
            turn["tool_calls"].append(_call(place, item))
        elif kind == "function_call_output":
            turn = _output(place, item)
            messages.append(turn)
        elif kind == "message":
            turn = _message(place, item)
            messages.append(turn)
        else:
            raise NotSupported(f"{place} is of type {kind!r}, which is not supported; leave it out.", param=place)
        if thoughts and turn["role"] == "assistant":
            turn["reasoning_content"] = thoughts
            thoughts = ""
    return messages


def _calling_turn(messages: list[Json]) -> Json:
    """The assistant's turn that the next call belongs to: the last one, or a new one."""
    if not messages or messages[-1]["role"] != "assistant":
        messages.append({"role": "assistant", "content": None})
    messages[-1].setdefault("tool_calls", [])
    return messages[-1]


def _call(place: str, item: Json) -> Json:
    function = {"name": _text(place, item, "name"), "arguments": _text(place, item, "arguments")}
    return {"id": _text(place, item, "call_id"), "type": "function", "function": function}


def _output(place: str, item: Json) -> Json:
    output = item.get("output")
    content = _content(f"{place}.output", output) if isinstance(output, list) else _text(place, item, "output")
    return {"role": "tool", "tool_call_id": _text(place, item, "call_id"), "content": content}


def _message(place: str, item: Json) -> Json:
    content = item.get("content")
    if isinstance(content, list):
        content = _content(f"{place}.content", content)
        if item.get("role") == "assistant" and all(part["type"] == "text" for part in content):
            content = "".join(part["text"] for part in content)
    elif not isinstance(content, str):
        raise BadRequest(f"{place} has no `content`; give text or a list of parts.", param=f"{place}.content")
    return {"role": _text(place, item, "role"), "content": content}


def _content(place: str, parts: Iterable[Any]) -> list[Json]:
    return [_part(f"{place}[{number}]", part) for number, part in enumerate(parts)]


def _part(place: str, part: Any) -> Json:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind in _TEXT_PARTS:
        return {"type": "text", "text": _text(place, part, "refusal" if kind == "refusal" else "text")}
    if kind == "input_image":
        return {"type": "image_url", "image_url": {"url": part.get("image_url") or ""}}
    if kind == "input_audio":
        return {"type": "input_audio", "input_audio": part.get("input_audio")}
    raise NotSupported(f"{place} is of type {kind!r}, which is not supported; send text.", param=place)


def _thoughts(item: Json) -> str:
    parts = item.get("content") or item.get("summary") or []
    return "".join(str(part.get("text", "")) for part in parts if isinstance(part, dict))


def _text(place: str, item: Json, name: str) -> str:
    value = item.get(name)
    if not isinstance(value, str):
        raise BadRequest(f"{place}.{name} is {value!r}; it must be text.", param=f"{place}.{name}")
    return value


def _tool(number: int, tool: Json) -> Json:
    place = f"tools[{number}]"
    if tool.get("type") != "function":
        raise NotSupported(
            f"{place} is of type {tool.get('type')!r}; only functions that the caller runs are supported.", param=place
        )
    function = with_set_fields(
        name=_text(place, tool, "name"),
        description=tool.get("description"),
        parameters=tool.get("parameters"),
        strict=tool.get("strict"),
    )
    return {"type": "function", "function": function}


def _choice(choice: str | Json | None) -> str | Json | None:
    if isinstance(choice, dict) and choice.get("type") == "function":
        return {"type": "function", "function": {"name": choice.get("name")}}
    return choice


def _format(text: Json | None) -> Json | None:
    """A format asked for goes on to the worker, which honours or refuses it."""
    wanted = (text or {}).get("format")
    if not isinstance(wanted, dict) or wanted.get("type") == "text":
        return None
    if wanted.get("type") != "json_schema":
        return {"type": wanted.get("type")}
    return {"type": "json_schema", "json_schema": {name: wanted[name] for name in wanted if name != "type"}}
