"""Forms as JSON: fields, files, and what is no form."""

from __future__ import annotations

import json
from base64 import b64decode

import httpx
import pytest

from enginehouse.sdk import BadRequest
from enginehouse.server.forms import boundary_of, form_as_json

FORM = [(b"content-type", b"multipart/form-data; boundary=xyz")]


def read(**parts: object) -> dict[str, object]:
    """A form as a client library writes it."""
    request = httpx.Request("POST", "http://h/", files=parts)
    boundary = boundary_of([(b"content-type", request.headers["content-type"].encode())])
    assert boundary
    return dict(json.loads(form_as_json(request.read(), boundary)))


def test_fields_are_json_where_they_are_some() -> None:
    fields = {"a": (None, "3"), "b": (None, "[1, 2]"), "c": (None, "a text, é"), "d": (None, "true"), "e": (None, "")}
    assert read(**fields) == {"a": 3, "b": [1, 2], "c": "a text, é", "d": True, "e": ""}


def test_names_of_models_are_text() -> None:
    assert read(model=(None, "123"), request_id=(None, "7")) == {"model": "123", "request_id": "7"}


def test_files_are_data_urls_whatever_is_in_them() -> None:
    content = b"\r\n--xyz--\r\n\x00\xff\r\n"
    url = str(read(image=("a b.png", content, "image/png"))["image"])
    head, _, data = url.partition(",")
    assert head == "data:image/png;base64"
    assert b64decode(data) == content


def test_fields_given_several_times_are_lists() -> None:
    body = b'--xyz\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n' * 2 + b"--xyz--\r\n"
    assert json.loads(form_as_json(body, b"xyz")) == {"a": [1, 1]}


def test_a_form_without_parts_is_an_empty_object() -> None:
    assert form_as_json(b"--xyz--\r\n", b"xyz") == b"{}"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "cut off"),
        (b'--xyz\r\nContent-Disposition: form-data; name="a"\r\n\r\nhalf', "cut off"),
        (b"--xyz\r\n\r\nno headers\r\n--xyz--\r\n", "no name"),
        (b"--xyz\r\nnothing at all\r\n--xyz--\r\n", "no headers"),
        (b'--xyz\r\nContent-Disposition: form-data; name="a"\r\n\r\n\xff\r\n--xyz--\r\n', "not UTF-8"),
    ],
)
def test_what_is_no_form_is_refused(body: bytes, said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        form_as_json(body, b"xyz")


@pytest.mark.parametrize(
    ("header", "boundary"),
    [
        (b"multipart/form-data; boundary=xyz", b"xyz"),
        (b'Multipart/Form-Data; charset=utf-8; boundary="x y"', b"x y"),
        (b"multipart/form-data", None),
        (b"application/json", None),
    ],
)
def test_the_boundary_is_in_the_header(header: bytes, boundary: bytes | None) -> None:
    assert boundary_of([(b"accept", b"*/*"), (b"content-type", header)]) == boundary
