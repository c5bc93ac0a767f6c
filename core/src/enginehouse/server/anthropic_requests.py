"""Anthropic's Messages, the request: its structs, and what it becomes for a worker's chat.

Source: Anthropic API reference, "Create a Message". Fields that are not listed are let through unread.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal

import msgspec

from ..sdk import BadRequest, NotSupported
from .bodies import read_struct, with_set_fields

Json = dict[str, Any]
Positive = Annotated[int, msgspec.Meta(ge=1)]
Unit = Annotated[float, msgspec.Meta(ge=0, le=1)]


class TextBlock(msgspec.Struct, frozen=True, tag_field="type", tag="text"):
    text: str


class ImageBlock(msgspec.Struct, frozen=True, tag_field="type", tag="image"):
    """source: {"type": "base64", "media_type", "data"} or {"type": "url", "url"}."""

    source: Json


class ToolUseBlock(msgspec.Struct, frozen=True, tag_field="type", tag="tool_use"):
    id: str
    name: str
    input: Json


class ToolResultBlock(msgspec.Struct, frozen=True, tag_field="type", tag="tool_result"):
    tool_use_id: str
    content: str | list[TextBlock | ImageBlock] | None = None
    is_error: bool | None = None


class ThinkingBlock(msgspec.Struct, frozen=True, tag_field="type", tag="thinking"):
    thinking: str
    signature: str | None = None


class RedactedThinkingBlock(msgspec.Struct, frozen=True, tag_field="type", tag="redacted_thinking"):
    """Means nothing to a local model; left out."""

    data: str = ""


Block = TextBlock | ImageBlock | ToolUseBlock | ToolResultBlock | ThinkingBlock | RedactedThinkingBlock


class AnthropicTurn(msgspec.Struct, frozen=True):
    role: Literal["user", "assistant"]
    content: str | list[Block]


class AnthropicTool(msgspec.Struct, frozen=True):
    """input_schema: JSON schema. type: "custom" where given; tools that run at Anthropic are refused."""

    name: str
    input_schema: Json | None = None
    description: str | None = None
    type: str | None = None


class AnthropicToolChoice(msgspec.Struct, frozen=True):
    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class AnthropicThinking(msgspec.Struct, frozen=True):
    """budget_tokens: a wish that no local engine can hold a model to; it is checked, no more.

    display: "omitted" leaves the thoughts out of the answer.
    """

    type: Literal["enabled", "disabled", "adaptive", "between_tools"]
    budget_tokens: Positive | None = None
    display: Literal["summarized", "omitted"] | None = None


class CountRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Body of `POST /v1/messages/count_tokens`."""

    model: str
    messages: Annotated[list[AnthropicTurn], msgspec.Meta(min_length=1)]
    system: str | list[TextBlock] | None = None
    tools: list[AnthropicTool] | None = None
    tool_choice: AnthropicToolChoice | None = None
    thinking: AnthropicThinking | None = None


class MessagesRequest(CountRequest, frozen=True, kw_only=True):
    """Body of `POST /v1/messages`."""

    max_tokens: Positive
    stream: bool | None = None
    temperature: Unit | None = None
    top_p: Unit | None = None
    top_k: Annotated[int, msgspec.Meta(ge=0)] | None = None
    stop_sequences: list[str] | None = None
    metadata: Json | None = None
    output_config: Json | None = None
    mcp_servers: list[Json] | None = None


_messages = msgspec.json.Decoder(MessagesRequest)
_count = msgspec.json.Decoder(CountRequest)


def read_messages_request(body: bytes) -> MessagesRequest:
    """Raises BadRequest that names the field, NotSupported for what no worker can do."""
    request = read_struct(_messages, body)
    if request.mcp_servers:
        raise NotSupported("mcp_servers is not supported here; give the tools in `tools`.", param="mcp_servers")
    return request


def read_count_request(body: bytes) -> CountRequest:
    return read_struct(_count, body)


def chat_of(request: MessagesRequest) -> Json:
    """The same request as the body of a streaming chat completion."""
    return {
        **prompt_of(request),
        "stream": True,
        "stream_options": {"include_usage": True},
        **with_set_fields(
            max_tokens=request.max_tokens,
            temperature=request.temperature,
            top_p=request.top_p,
            top_k=request.top_k,
            stop=request.stop_sequences or None,
            user=(request.metadata or {}).get("user_id"),
            response_format=_format(request.output_config),
        ),
    }


def prompt_of(request: CountRequest) -> Json:
    """The fields that make the prompt."""
    choice = request.tool_choice
    thinking = None if request.thinking is None else {"enabled": True, "disabled": False}.get(request.thinking.type)
    return {
        "model": request.model,
        "messages": [*_system(request.system), *_turns(request.messages)],
        **with_set_fields(
            tools=[_tool(number, tool) for number, tool in enumerate(request.tools or ())] or None,
            tool_choice=None if choice is None else _choice(choice),
            parallel_tool_calls=False if choice and choice.disable_parallel_tool_use else None,
            enable_thinking=thinking,
        ),
    }


def _system(system: str | list[TextBlock] | None) -> list[Json]:
    text = system if isinstance(system, str) else "\n".join(block.text for block in system or ())
    return [{"role": "system", "content": text}] if text else []


def _turns(turns: Iterable[AnthropicTurn]) -> Iterator[Json]:
    for number, turn in enumerate(turns):
        place = f"messages[{number}].content"
        if isinstance(turn.content, str):
            yield {"role": turn.role, "content": turn.content}
        elif turn.role == "user":
            yield from _user(place, turn.content)
        else:
            yield _assistant(place, turn.content)


def _user(place: str, blocks: Iterable[Block]) -> Iterator[Json]:
    """Tool results are turns of their own in a chat; what is said between them stays in its order."""
    said: list[Json] = []
    for number, block in enumerate(blocks):
        match block:
            case TextBlock():
                said.append({"type": "text", "text": block.text})
            case ImageBlock():
                said.append(_image(block))
            case ToolResultBlock():
                if said:
                    yield {"role": "user", "content": said}
                    said = []
                yield {"role": "tool", "tool_call_id": block.tool_use_id, "content": _result(block)}
            case _:
                raise _misplaced(f"{place}[{number}]", block, "user")
    if said:
        yield {"role": "user", "content": said}


def _assistant(place: str, blocks: Iterable[Block]) -> Json:
    texts: list[str] = []
    thoughts: list[str] = []
    calls: list[Json] = []
    for number, block in enumerate(blocks):
        match block:
            case TextBlock():
                texts.append(block.text)
            case ThinkingBlock():
                thoughts.append(block.thinking)
            case ToolUseBlock():
                arguments = msgspec.json.encode(block.input).decode()
                calls.append({"id": block.id, "type": "function", "function": _call(block.name, arguments)})
            case RedactedThinkingBlock():
                pass
            case _:
                raise _misplaced(f"{place}[{number}]", block, "assistant")
    turn: Json = {"role": "assistant", "content": "".join(texts) if texts or not calls else None}
    return turn | with_set_fields(reasoning_content="\n".join(thoughts) or None, tool_calls=calls or None)


def _call(name: str, arguments: str) -> Json:
    return {"name": name, "arguments": arguments}


def _misplaced(place: str, block: Block, role: str) -> BadRequest:
    kind = block.__struct_config__.tag
    return BadRequest(f"{place} is a {kind!r} block, which a turn of the {role} cannot hold; move it.", param=place)


def _image(block: ImageBlock) -> Json:
    source = block.source
    url = source.get("url") or f"data:{source.get('media_type', 'image/png')};base64,{source.get('data', '')}"
    return {"type": "image_url", "image_url": {"url": url}}


def _result(block: ToolResultBlock) -> str | list[Json]:
    """A tool's result as a chat holds it. A failed one has no mark of its own there, so its text says it."""
    mark = "Error: " if block.is_error else ""
    if not isinstance(block.content, list):
        return mark + (block.content or "")
    parts = [
        {"type": "text", "text": part.text} if isinstance(part, TextBlock) else _image(part) for part in block.content
    ]
    return [{"type": "text", "text": mark.strip()}, *parts] if mark else parts


def _tool(number: int, tool: AnthropicTool) -> Json:
    if tool.type not in (None, "custom") or tool.input_schema is None:
        raise NotSupported(
            f"tools[{number}] ({tool.name!r}) is of type {tool.type!r}; only tools that the caller runs are supported: "
            "give name, description and input_schema.",
            param=f"tools[{number}].type",
        )
    function = with_set_fields(name=tool.name, description=tool.description, parameters=tool.input_schema)
    return {"type": "function", "function": function}


def _choice(choice: AnthropicToolChoice) -> str | Json:
    if choice.type != "tool":
        return "required" if choice.type == "any" else choice.type
    if not choice.name:
        raise BadRequest("tool_choice of type 'tool' needs the tool's `name`.", param="tool_choice.name")
    return {"type": "function", "function": {"name": choice.name}}


def _format(config: Json | None) -> Json | None:
    """A format asked for goes on to the worker, which honours or refuses it."""
    wanted = (config or {}).get("format")
    if not isinstance(wanted, dict):
        return None
    return {"type": wanted.get("type"), "json_schema": {"name": "answer", "schema": wanted.get("schema")}}
