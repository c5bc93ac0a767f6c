"""Images out of messages, marks into them."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from enginehouse.runner.pictures import PICTURES, take_pictures
from enginehouse.sdk import BadRequest, Message, NotSupported

PNG = b64encode(b"bytes").decode()
URL = f"data:image/png;base64,{PNG}"


def taken(*parts: dict[str, Any]) -> tuple[str, tuple[bytes, ...]]:
    (message,), pictures = take_pictures((Message(role="user", content=list(parts)),), "<mark>")
    return str(message.content), pictures


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": URL}},
        {"type": "image_url", "image_url": URL},
        {"type": "image", "image": URL},
        {"type": "image", "image": PNG},
        {"type": "input_image", "image_url": URL},
    ],
    ids=str,
)
def test_an_image_becomes_a_mark_where_it_stood(part: dict[str, Any]) -> None:
    text = {"type": "text", "text": "a"}
    assert taken(text, part, {"type": "text", "text": "b"}) == ("a\n<mark>\nb", (b"bytes",))


def test_pictures_of_several_messages_keep_their_order() -> None:
    def says(raw: bytes) -> Message:
        return Message(role="user", content=[{"type": "image", "image": b64encode(raw).decode()}])

    plain, pictures = take_pictures((says(b"1"), Message(role="assistant", content="x"), says(b"2")), "*")
    assert pictures == (b"1", b"2") and [message.content for message in plain] == ["*", "x", "*"]


@pytest.mark.parametrize(
    ("part", "kind", "word"),
    [
        ({"type": "image_url", "image_url": {"url": "http://10.0.0.1/a.png"}}, NotSupported, "nothing is fetched"),
        ({"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}, NotSupported, "nothing is fetched"),
        ({"type": "image_url", "image_url": {}}, BadRequest, "has no image"),
        ({"type": "image", "image": 5}, BadRequest, "has no image"),
        ({"type": "image", "image": "data:image/png,x"}, BadRequest, "base64"),
        ({"type": "image", "image": "ä"}, BadRequest, "base64"),
        ({"type": "video_url", "video_url": {"url": URL}}, NotSupported, "video_url"),
        ({"type": "input_audio", "input_audio": {"data": PNG}}, NotSupported, "input_audio"),
    ],
    ids=str,
)
def test_what_is_no_image_is_refused_and_named(part: dict[str, Any], kind: Any, word: str) -> None:
    with pytest.raises(kind, match=word) as raised:
        taken({"type": "text", "text": "a"}, part)
    assert raised.value.param == "messages[0].content[1]"


def test_too_many_are_refused() -> None:
    with pytest.raises(BadRequest, match=str(PICTURES)):
        taken(*[{"type": "image", "image": PNG}] * (PICTURES + 1))
