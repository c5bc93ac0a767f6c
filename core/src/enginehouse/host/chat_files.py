"""The chat template of a folder of weights, and where its answers end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from ..sdk import BadRequest
from .model_json import MOST_BYTES, read_as, read_object


class Stops(NamedTuple):
    """Tokens that end an answer; texts: those whose text is known."""

    ids: tuple[int, ...]
    texts: tuple[str, ...]


class _Token(msgspec.Struct):
    id: int
    content: str


class _Tokenizer(msgspec.Struct):
    """The only part of a tokenizer.json that matters here; the vocabulary is passed over."""

    added_tokens: list[_Token] = []


def read_template(folder: Path) -> str | None:
    """chat_template.jinja, else tokenizer_config.json's, else chat_template.json's. Raises BadRequest."""
    own = folder / "chat_template.jinja"
    if own.is_file():
        try:
            if own.stat().st_size > MOST_BYTES:
                raise BadRequest(f"{own} is larger than any template.", param="model_path")
            return own.read_text("utf-8")
        except (OSError, UnicodeError) as error:
            raise BadRequest(f"{own} cannot be read: {error}.", param="model_path") from error
    for name in ("tokenizer_config.json", "chat_template.json"):
        found = _template_in(read_object(folder / name)) if (folder / name).is_file() else None
        if found:
            return found
    return None


def read_stops(folder: Path, config: Mapping[str, Any], inner: Mapping[str, Any]) -> Stops:
    """From generation_config.json, else config.json; the texts from the tokenizer's files. Raises BadRequest."""
    generation = folder / "generation_config.json"
    kept = read_object(generation) if generation.is_file() else {}
    given = next((one["eos_token_id"] for one in (kept, config, inner) if one.get("eos_token_id") is not None), ())
    listed: list[Any] = given if isinstance(given, list) else [given]
    ids: tuple[int, ...] = tuple(dict.fromkeys(one for one in listed if _is_id(one)))
    texts = _texts(folder)
    named = [texts[one] for one in ids if one in texts]
    return Stops(ids, tuple(dict.fromkeys((*named, *_own_end(folder)))))


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _template_in(settings: Mapping[str, Any]) -> str | None:
    given = settings.get("chat_template")
    if isinstance(given, list):  # several templates with names
        named = {one.get("name"): one.get("template") for one in given if isinstance(one, Mapping)}
        given = named.get("default") or next(iter(named.values()), None)
    return given if isinstance(given, str) and given else None


def _texts(folder: Path) -> dict[int, str]:
    """Special tokens by id."""
    tokenizer = folder / "tokenizer.json"
    if tokenizer.is_file():
        return {token.id: token.content for token in read_as(tokenizer, _Tokenizer).added_tokens}
    settings = folder / "tokenizer_config.json"
    decoder = read_object(settings).get("added_tokens_decoder") if settings.is_file() else None
    return dict(_decoded(decoder.items())) if isinstance(decoder, Mapping) else {}


def _decoded(entries: Iterable[tuple[str, Any]]) -> Iterable[tuple[int, str]]:
    for text, token in entries:
        if text.isdecimal() and isinstance(token, Mapping) and isinstance(token.get("content"), str):
            yield int(text), token["content"]


def _own_end(folder: Path) -> tuple[str, ...]:
    """The tokenizer's end-of-text token, which is the text or an object that holds it."""
    settings = folder / "tokenizer_config.json"
    end = read_object(settings).get("eos_token") if settings.is_file() else None
    text = end.get("content") if isinstance(end, Mapping) else end
    return (text,) if isinstance(text, str) and text else ()
