"""Answers that must have a form, on engines that say they honour it; refusals on those that do not."""

from __future__ import annotations

import json
import re
from typing import Any

from .chat import chats
from .check import Unclear, check
from .speaking import Said
from .stage import Facts, Stage, constrains

QUESTION = "Tell me about the capital of France."
LONG = 160  # tokens of an answer that has a form
CORPUS: dict[str, dict[str, Any]] = {
    "an enumeration": {"type": "object", "properties": {"city": {"enum": ["Paris", "Rome"]}}, "required": ["city"]},
    "a number in bounds": {
        "type": "object",
        "properties": {"people": {"type": "integer", "minimum": 1, "maximum": 99}},
        "required": ["people"],
    },
    "a boolean and a null": {
        "type": "object",
        "properties": {"large": {"type": "boolean"}, "none": {"type": "null"}},
        "required": ["large", "none"],
    },
    "a list of words": {
        "type": "array",
        "items": {"enum": ["a", "b"]},
        "minItems": 1,
        "maxItems": 3,
    },
    "an object in an object": {
        "type": "object",
        "properties": {
            "at": {"type": "object", "properties": {"x": {"enum": [1, 2]}}, "required": ["x"]},
        },
        "required": ["at"],
    },
}
KINDS: dict[str, type[Any] | tuple[type[Any], ...]] = {
    "object": dict, "array": list, "integer": int, "boolean": bool, "null": type(None), "string": str,
}  # fmt: skip


def _lacks_json(facts: Facts) -> bool:
    return chats(facts) and "json_schema" not in facts.constraints


def _format(schema: object) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}}


def problem(value: Any, schema: dict[str, Any]) -> str:
    """What is wrong with a value, of the few words of JSON schema that the corpus has; empty when nothing is."""
    if "enum" in schema:
        return "" if value in schema["enum"] else f"{value!r} is none of {schema['enum']}"
    kind = schema["type"]
    if not isinstance(value, KINDS[kind]) or (kind == "integer" and isinstance(value, bool)):
        return f"{value!r} is no {kind}"
    if kind == "integer":
        fits = schema.get("minimum", value) <= value <= schema.get("maximum", value)
        return "" if fits else f"{value} is out of bounds"
    if kind == "array":
        fits = schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value))
        return next(filter(None, (problem(one, schema["items"]) for one in value)), "" if fits else "its length")
    if kind == "object":
        missing = [name for name in schema.get("required", ()) if name not in value]
        inner = (problem(value[name], part) for name, part in schema["properties"].items() if name in value)
        return f"no {missing}" if missing else next(filter(None, inner), "")
    return ""


def _finished(said: Said) -> Said:
    if said.ok().choice["finish_reason"] == "length":
        raise Unclear("the model did not come to the end of its answer")
    return said


@check("silver", "A response_format that the engine cannot honour is refused with not_supported.", _lacks_json)
def json_is_refused(stage: Stage) -> None:
    stage.worker.chat(QUESTION, response_format={"type": "json_object"}).refused(code="not_supported")


@check("silver", "Answers of json_object are one JSON object.", constrains("json_schema"))
def json_objects(stage: Stage) -> None:
    said = _finished(stage.worker.chat(QUESTION, response_format={"type": "json_object"}, max_tokens=LONG))
    said.must(isinstance(json.loads(said.content), dict), "a JSON object")


@check("silver", "Answers of json_schema fit the schema, for all of the corpus.", constrains("json_schema"))
def json_schemas(stage: Stage) -> None:
    whole = 0
    for name, schema in CORPUS.items():
        said = stage.worker.chat(QUESTION, response_format=_format(schema), max_tokens=LONG).ok()
        if said.choice["finish_reason"] == "length":
            continue
        whole += 1
        wrong = problem(json.loads(said.content), schema)
        said.must(not wrong, f"{name}; but {wrong}")
    if not whole:
        raise Unclear("the model came to the end of none of its answers")


@check("silver", "Streamed JSON is that of the answer in one piece.", constrains("json_schema"))
def json_is_streamed(stage: Stage) -> None:
    wanted = stage.worker.chat(QUESTION, response_format=_format(CORPUS["an enumeration"]), max_tokens=LONG).ok()
    said = stage.worker.chat(
        QUESTION, response_format=_format(CORPUS["an enumeration"]), max_tokens=LONG, stream=True
    ).ok()
    said.must(said.streamed() == wanted.content, f"{wanted.content!r}")


@check("gold", "JSON that max_tokens cuts says length, and is the beginning of what fits.", constrains("json_schema"))
def json_can_be_cut(stage: Stage) -> None:
    said = stage.worker.chat(QUESTION, response_format=_format(CORPUS["an enumeration"]), max_tokens=2).ok()
    said.must(said.choice["finish_reason"] == "length", "finish_reason length")


@check("gold", "Sampled JSON fits the schema, too.", constrains("json_schema"))
def json_is_sampled(stage: Stage) -> None:
    schema = CORPUS["a boolean and a null"]
    for seed in (1, 2, 3):
        body = {"response_format": _format(schema), "max_tokens": LONG, "temperature": 1.5, "seed": seed}
        said = _finished(stage.worker.chat(QUESTION, **body))
        said.must(not problem(json.loads(said.content), schema), "JSON that fits the schema")


@check("silver", "A schema that is none is refused with 400.", constrains("json_schema"))
def wrong_schemas_are_refused(stage: Stage) -> None:
    stage.worker.chat(QUESTION, response_format=_format({"type": "no such type"}), max_tokens=4).refused()
    stage.worker.chat(QUESTION, response_format={"type": "json_schema"}, max_tokens=4).refused()


@check("silver", "Two constraints at once are refused with 400.", constrains("json_schema", "choice"))
def two_constraints_are_refused(stage: Stage) -> None:
    stage.worker.chat(QUESTION, guided_choice=["a"], guided_json={"type": "object"}).refused()


@check("silver", "guided_choice gives one of the choices.", constrains("choice"))
def choices(stage: Stage) -> None:
    said = _finished(stage.worker.chat(QUESTION, guided_choice=["yes", "no", "perhaps so"], max_tokens=LONG))
    said.must(said.content in ("yes", "no", "perhaps so"), "one of the choices")


@check("silver", "guided_regex gives a text that matches whole.", constrains("regex"))
def expressions(stage: Stage) -> None:
    pattern = "(Paris|Rome)-[0-9]{2}"
    said = _finished(stage.worker.chat(QUESTION, guided_regex=pattern, max_tokens=LONG))
    said.must(re.fullmatch(pattern, said.content), f"a match of {pattern}")


@check("gold", "guided_grammar gives a text of the grammar.", constrains("grammar"))
def grammars(stage: Stage) -> None:
    said = _finished(stage.worker.chat(QUESTION, guided_grammar='root ::= "red" | "green"', max_tokens=LONG))
    said.must(said.content in ("red", "green"), "red or green")


@check("silver", "An expression that is none is refused with 400.", constrains("regex"))
def wrong_expressions_are_refused(stage: Stage) -> None:
    stage.worker.chat(QUESTION, guided_regex="([a-z", max_tokens=4).refused()
