"""What models give, as JSON; what callers send, as files."""

from __future__ import annotations

import dataclasses
import json
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any, NamedTuple

import numpy
import pytest
import torch
from PIL import Image

from enginehouse.sdk import BadRequest, EngineFailed
from enginehouse_flexible.files import read_bytes
from enginehouse_flexible.values import as_json


class Box(NamedTuple):
    left: int
    right: int


@dataclasses.dataclass
class Found:
    label: str
    score: Any


@pytest.mark.parametrize(
    ("value", "json_value"),
    [
        (numpy.float32(0.5), 0.5),
        (numpy.arange(4).reshape(2, 2), [[0, 1], [2, 3]]),
        (torch.tensor([1.5, 2.0], requires_grad=True), [1.5, 2.0]),
        ([Found("a", numpy.float64(1.0))], [{"label": "a", "score": 1.0}]),
        (Box(1, 2), [1, 2]),
        ({"where": Path("/x/y"), "what": {1}}, {"where": "/x/y", "what": [1]}),
        (float("nan"), None),
        (b"\x00\xff", "AP8="),
        (None, None),
        ({1: "one"}, {"1": "one"}),
    ],
)
def test_values(value: Any, json_value: Any) -> None:
    assert json.loads(bytes(as_json(value))) == json_value


def test_pictures_are_base64() -> None:
    picture = json.loads(bytes(as_json([Image.new("L", (2, 2))])))[0]
    assert picture["url"] is None and b64decode(picture["b64_json"]).startswith(b"\x89PNG")


@pytest.mark.parametrize("value", [object(), {("a", "b"): 1}, [lambda: 1], 2j])
def test_what_is_no_json(value: Any) -> None:
    with pytest.raises(EngineFailed, match="which JSON cannot hold"):
        as_json(value)


def test_files_come_as_base64_or_data_urls() -> None:
    text = b64encode(b"content").decode()
    assert read_bytes(text) == read_bytes(f"data:text/plain;charset=utf-8;base64,{text}") == b"content"
    assert read_bytes(f"data:;base64,{text}") == b"content"
    for wrong in ("no base64", "data:text/plain,plain", 5):
        with pytest.raises(BadRequest):
            read_bytes(wrong)  # type: ignore[arg-type]
