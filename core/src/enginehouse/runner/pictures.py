"""Images in a conversation: taken out, and a mark put in their place, for engines that read them beside the prompt."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

import msgspec

from ..sdk import BadRequest, Message, NotSupported

PICTURES = 64  # of one request: each takes hundreds of tokens
_KINDS = ("image_url", "image", "input_image")


def take_pictures(messages: tuple[Message, ...], mark: str) -> tuple[tuple[Message, ...], tuple[bytes, ...]]:
    """The messages as text with a mark for each image, and the images' files, in order.

    Raises NotSupported for links (nothing is fetched) and for parts that are no image, BadRequest for no base64.
    """
    pictures: list[bytes] = []
    plain = tuple(_message(f"messages[{place}]", message, mark, pictures) for place, message in enumerate(messages))
    if len(pictures) > PICTURES:
        raise BadRequest(f"The messages hold {len(pictures)} images; send {PICTURES} at most.", param="messages")
    return plain, tuple(pictures)


def _message(place: str, message: Message, mark: str, pictures: list[bytes]) -> Message:
    if not isinstance(message.content, list):
        return message
    texts = []
    for number, part in enumerate(message.content):
        if part["type"] == "text":
            texts.append(str(part["text"]))
        else:
            pictures.append(_picture(f"{place}.content[{number}]", part))
            texts.append(mark)
    return msgspec.structs.replace(message, content="\n".join(texts))


def _picture(place: str, part: dict[str, Any]) -> bytes:
    kind = part["type"]
    if kind not in _KINDS:
        raise NotSupported(f"{place} is of type {kind!r}; this model reads text and images.", param=place)
    given = next((part[key] for key in ("image_url", "image") if key in part), None)
    text = given.get("url") if isinstance(given, dict) else given
    if not isinstance(text, str) or not text:
        raise BadRequest(f"{place} has no image; give it as a data: URL in `image_url`.", param=place)
    if "://" in text[:16]:
        raise NotSupported(f"{place} is a link, and nothing is fetched; send a data: URL.", param=place)
    head, comma, rest = text.partition(",")
    if text.startswith("data:") and not (comma and head.endswith(";base64")):
        raise BadRequest(f"{place} is a data: URL without base64; encode the image so.", param=place)
    try:
        return b64decode(rest if comma else text, validate=True)
    except ValueError as error:  # letters that are not ASCII, or no base64
        raise BadRequest(f"{place} is no base64: {error}.", param=place) from error
