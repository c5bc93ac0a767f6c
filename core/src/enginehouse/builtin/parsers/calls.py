"""From what a model writes to a ToolCallPart: JSON read leniently, typed text made what the tool's schema says."""

from __future__ import annotations

import ast
import json
import warnings
from collections.abc import Iterator, Mapping
from typing import Any, Never

from ...sdk import ToolCallPart

Schemas = Mapping[str, Mapping[str, Any]]
"""Of each tool, the schema of each parameter."""


class NotACall(ValueError):
    """The text is no call after all."""


def schemas_of(tools: tuple[dict[str, Any], ...]) -> Schemas:
    """From the request's tools; whatever is not of OpenAI's shape is left out."""
    found: dict[str, Mapping[str, Any]] = {}
    for tool in tools:
        function = tool.get("function")
        if isinstance(function, dict) and isinstance(function.get("name"), str):
            found[function["name"]] = _properties(function.get("parameters"))
    return found


def _properties(parameters: object) -> dict[str, Any]:
    properties = parameters.get("properties") if isinstance(parameters, dict) else None
    return properties if isinstance(properties, dict) else {}


def read_json(text: str) -> Any:
    """A JSON text; line breaks within strings are forgiven. Raises NotACall."""
    try:
        return _DECODER.decode(text.strip())
    except (ValueError, RecursionError) as error:
        raise NotACall("no JSON") from error


def json_values(text: str) -> Iterator[Any]:
    """JSON texts one after another, whatever white space between. Raises NotACall."""
    text, at = text.strip(), 0
    while at < len(text):
        try:
            value, at = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            raise NotACall("no JSON") from error
        yield value
        while at < len(text) and text[at].isspace():
            at += 1


def write_json(value: object) -> str:
    """Compact JSON. Raises NotACall for what JSON cannot say."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        if text.isascii() or text.encode(errors="ignore").decode() == text:
            return text
        return json.dumps(value, allow_nan=False, separators=(",", ":"))  # half a surrogate pair: only escaped
    except (TypeError, ValueError, RecursionError) as error:
        raise NotACall("no JSON") from error


def call(name: object, arguments: object) -> ToolCallPart:
    """A call. arguments: an object, nothing at all, or text that holds an object. Raises NotACall."""
    if not isinstance(name, str) or not name.strip() or not _is_utf8(name):
        raise NotACall("no name")
    if isinstance(arguments, str) and isinstance(read_json(arguments), dict) and _is_utf8(arguments):
        return ToolCallPart(name.strip(), arguments)
    if arguments is None:
        arguments = {}
    if not isinstance(arguments, dict):
        raise NotACall("arguments are no object")
    return ToolCallPart(name.strip(), write_json(arguments))


def call_of(value: object) -> ToolCallPart:
    """A call from an object with `name` and `arguments` (or `parameters`). Raises NotACall."""
    if not isinstance(value, dict):
        raise NotACall("no object")
    inner = value.get("function")
    if "name" not in value and isinstance(inner, dict):
        value = inner
    return call(value.get("name"), value.get("arguments", value.get("parameters")))


def calls_of(value: object) -> list[ToolCallPart]:
    """Calls from an object or from a list of them, all or none. Raises NotACall."""
    calls = [call_of(each) for each in (value if isinstance(value, list) else [value])]
    if not calls:
        raise NotACall("an empty list")
    return calls


def typed(text: str, schema: object) -> Any:
    """A value that was written as bare text, as its schema wants it; the text itself where that does not fit."""
    if not isinstance(schema, dict):
        return text
    types = _types(schema)
    if "null" in types and text.strip() in ("null", "None"):
        return None
    if "string" in types:
        return text
    value = _literal(text)
    if not types:
        return value
    return value if any(_is_a(value, kind) for kind in types) else text


def _types(schema: dict[str, Any], depth: int = 0) -> set[str]:
    given = schema.get("type")
    types = {given} if isinstance(given, str) else {each for each in given or () if isinstance(each, str)}
    if not types and isinstance(schema.get("enum"), list):
        types = {kind for value in schema["enum"] for kind in _KINDS if _is_a(value, kind)}
    for word in ("anyOf", "oneOf"):
        options = schema.get(word)
        if isinstance(options, list) and depth < _NESTED:
            types |= {kind for option in options if isinstance(option, dict) for kind in _types(option, depth + 1)}
    return types


def _literal(text: str) -> Any:
    """The value of a JSON text, or else of a Python literal; else the text."""
    try:
        value = read_json(text)
    except NotACall:
        try:
            value = python_value(python_tree(text))
        except NotACall:
            return text
    try:
        write_json(value)
    except NotACall:
        return text
    return value


def python_tree(text: str) -> ast.expr:
    """A Python expression, read and never run. Raises NotACall."""
    if len(text) > _LONG_LITERAL:
        raise NotACall("too long")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # about what the model wrote, not about this program
            return ast.parse(text.strip(), mode="eval").body
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise NotACall("no Python") from error


def python_value(tree: ast.expr) -> Any:
    """The value of a literal; JSON's words for true, false and null are understood too. Raises NotACall."""
    try:
        return ast.literal_eval(_Words().visit(tree))
    except (ValueError, TypeError, MemoryError, RecursionError) as error:
        raise NotACall("no literal") from error


class _Words(ast.NodeTransformer):
    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.Constant(_JSON_WORDS[node.id]) if node.id in _JSON_WORDS else node


def _is_a(value: object, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if isinstance(value, float) and kind == "integer":
        return value.is_integer()
    return isinstance(value, _KINDS.get(kind, ()))


def _is_utf8(text: str) -> bool:
    return text.encode(errors="ignore").decode() == text


def _refuse(word: str) -> Never:
    raise ValueError(f"{word} is no JSON")


_DECODER = json.JSONDecoder(strict=False, parse_constant=_refuse)
_KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list, tuple),
    "null": (type(None),),
}
_JSON_WORDS = {"true": True, "false": False, "null": None}
_NESTED = 4  # alternatives within alternatives that are looked at
_LONG_LITERAL = 100_000  # characters; Python's own reader takes hundreds of bytes for each
