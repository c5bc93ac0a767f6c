import pickle

import msgspec
import pytest

from enginehouse.sdk import (
    BadRequest,
    ChatRequest,
    EngineSpec,
    InvalidSpec,
    ModelFamily,
    NotReady,
    Options,
    Variant,
    size_in_billions,
)
from enginehouse.sdk.errors import headers_of, to_wire


def test_an_error_body_serves_every_client() -> None:
    body = to_wire(BadRequest("Too odd.", param="n"))
    assert body["detail"] == body["error"]["message"] == "Too odd."
    assert body["error"]["param"] == "n" and body["error"]["type"] == "invalid_request_error"
    assert headers_of(NotReady("Soon.", retry_after=5)) == {"Retry-After": "5"}


def test_errors_survive_a_process_boundary() -> None:
    error = pickle.loads(pickle.dumps(NotReady("Soon.", param="model", retry_after=5)))
    assert (type(error), error.message, error.param, error.retry_after) == (NotReady, "Soon.", "model", 5)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "two words"},
        {"engine": ""},
        {"command": "a:b"},
        {"engine": "nocolon"},
        {"tasks": ()},
        {"formats": ()},
        {"devices": ()},
        {"options": dict},
    ],
)
def test_an_impossible_engine_is_refused(wrong: dict[str, object]) -> None:
    right = {"name": "e", "tasks": ("generate",), "formats": ("pytorch",), "engine": "a:B"}
    assert EngineSpec(**right).offers == ("generate", "chat")  # type: ignore[arg-type]
    with pytest.raises(InvalidSpec, match="Engine"):
        EngineSpec(**{**right, **wrong})  # type: ignore[arg-type]


def test_a_family_needs_a_variant() -> None:
    with pytest.raises(InvalidSpec):
        ModelFamily(name="m", model_type="LLM", variants=(), abilities=())


@pytest.mark.parametrize(("text", "size"), [("0_5", 0.5), ("0.5", 0.5), (7, 7), (7.0, 7), ("7", 7), ("0_002", 0.002)])
def test_sizes(text: object, size: float) -> None:
    assert size_in_billions(text) == size


@pytest.mark.parametrize("text", ["", "big", 0, -1, "nan", "inf", True, None])
def test_sizes_that_are_none(text: object) -> None:
    with pytest.raises(BadRequest, match="model_size_in_billions"):
        size_in_billions(text)


def test_options_refuse_what_they_do_not_know() -> None:
    class Some(Options, frozen=True, kw_only=True):
        a: int = 1

    assert msgspec.convert({"a": "2"}, Some, strict=False).a == 2
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"b": 2}, Some)


def test_null_means_unset_everywhere_in_a_chat_body() -> None:
    names = set(ChatRequest.__struct_fields__) - {"model", "messages"}
    body = {"model": "m", "messages": [], **dict.fromkeys(names)}
    assert msgspec.convert(body, ChatRequest).temperature is None


def test_variants_are_values() -> None:
    one = Variant(format="pytorch", size_in_billions="1", sources=("file:/x",))
    assert one == msgspec.json.decode(msgspec.json.encode(one), type=Variant)
