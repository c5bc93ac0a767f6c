"""The messages of a chat request, checked and put into the one form that engines see."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import msgspec

from ..sdk import BadRequest, ChatRequest, Message, NotSupported, Tool

_PART_ABILITIES = {
    "image_url": "vision",
    "image": "vision",
    "input_image": "vision",
    "video_url": "vision",
    "video": "vision",
    "input_audio": "audio",
    "audio_url": "audio",
    "audio": "audio",
}
_encode = msgspec.json.Encoder().encode


def conversation_of(messages: Iterable[Message], abilities: Collection[str]) -> tuple[Message, ...]:
    """The messages as engines see them: `developer` is `system`, plain text is a str, arguments are JSON text.

    Raises BadRequest that names the message and the part.
    """
    checked = tuple(_message(index, message, abilities) for index, message in enumerate(messages))
    if not checked:
        raise BadRequest("`messages` is empty; give at least one message.", param="messages")
    return checked


def _message(index: int, message: Message, abilities: Collection[str]) -> Message:
    place = f"messages[{index}]"
    if message.role == "developer":
        message.role = "system"
    if isinstance(message.content, list):
        message.content = _parts(place, message.content, abilities)
    if message.content is None and message.role in ("system", "user"):
        raise BadRequest(f"{place} has no content; a {message.role} message needs one.", param=f"{place}.content")
    for call in message.tool_calls or ():
        if isinstance(call.function.arguments, dict):
            call.function.arguments = _encode(call.function.arguments).decode()
    return message


def _parts(place: str, parts: list[dict[str, Any]], abilities: Collection[str]) -> str | list[dict[str, Any]]:
    for number, part in enumerate(parts):
        _check_part(f"{place}.content[{number}]", part, abilities)
    if all(part["type"] == "text" for part in parts):
        return "\n".join(part["text"] for part in parts)
    return parts


def _check_part(place: str, part: dict[str, Any], abilities: Collection[str]) -> None:
    kind = part.get("type")
    if kind == "text":
        if not isinstance(part.get("text"), str):
            raise BadRequest(f"{place} has no `text`; a text part needs one.", param=f"{place}.text")
        return
    ability = _PART_ABILITIES.get(str(kind))
    if ability is None:
        raise BadRequest(
            f"{place} is of type {kind!r}; known are text, {', '.join(sorted(_PART_ABILITIES))}.", param=f"{place}.type"
        )
    if ability not in abilities and "omni" not in abilities:
        raise NotSupported(
            f"{place} is of type {kind!r}, but this model has no ability {ability!r}; send text, or use another model.",
            param=place,
        )


def tools_of(request: ChatRequest, abilities: Collection[str]) -> tuple[Tool, ...]:
    """The tools that the model is shown. Raises NotSupported for a model that knows none."""
    if not request.tools or request.tool_choice == "none":
        return ()
    if "tools" not in abilities:
        raise NotSupported(
            "This model does not have the ability 'tools'; leave `tools` out, or use a model that has it.",
            param="tools",
        )
    return tuple(request.tools)


def template_options_of(request: ChatRequest, enable_thinking: bool | None) -> dict[str, Any]:
    """What the chat template is given; for thinking the request's own kwargs win, then its field, then the order."""
    given = _template_kwargs(request.chat_template_kwargs)
    if request.reasoning_effort is not None:
        given.setdefault("reasoning_effort", request.reasoning_effort)
    field = enable_thinking if request.enable_thinking is None else request.enable_thinking
    thinking = given.get("enable_thinking", given.get("thinking", field))
    if thinking is None:
        return given
    return {"enable_thinking": thinking, "thinking": thinking, **given}


def _template_kwargs(given: dict[str, Any] | str | None) -> dict[str, Any]:
    try:
        kwargs = msgspec.json.decode(given) if isinstance(given, str) else given
        return dict(msgspec.convert(kwargs or {}, dict[str, Any]))
    except msgspec.DecodeError as error:
        raise BadRequest(
            f"chat_template_kwargs must be a JSON object, or its text: {error}.", param="chat_template_kwargs"
        ) from error


def characters_of(messages: Iterable[Message]) -> int:
    """Characters of text in a conversation."""
    return sum(len(message.content) for message in messages if isinstance(message.content, str))
