"""What a request says that its answer must look like: one `Constraint`, or none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from ..sdk import BadRequest, ChatRequest, Constraint, NotSupported
from ..sdk.chat import ResponseFormat, SamplingFields
from .hosting import Hosted

_ANY_OBJECT = '{"type":"object"}'
_FORMATS = ("text", "json_object", "json_schema")
_encode = msgspec.json.Encoder().encode


def constraint_of(request: SamplingFields, hosted: Hosted) -> Constraint | None:
    """The request's constraint. Raises BadRequest for two at once, NotSupported for one that the engine has not."""
    found = list(_constraints(request))
    if len(found) > 1:
        names = " and ".join(each.param for each in found)
        raise BadRequest(f"An answer takes one constraint, and here are {names}; leave one.", param=found[1].param)
    constraint = _spaced(found[0] if found else None, request)
    if constraint is not None and constraint.kind not in hosted.constraints:
        raise NotSupported(
            f"{_said(constraint, request)} cannot be honoured by engine {hosted.engine_name}; leave it out and ask for "
            "the form in the prompt, or launch the model with an engine that can.",
            param=constraint.param,
        )
    return constraint


def without_thinking(options: dict[str, Any], request: ChatRequest, constraint: Constraint) -> dict[str, Any]:
    """The template's options for a constrained answer, which has no room for thoughts: all of it must match.

    Raises NotSupported when the request itself asks for thoughts.
    """
    asked = options.get("enable_thinking") and (request.enable_thinking or request.chat_template_kwargs)
    if asked:
        raise NotSupported(
            f"{constraint.param} holds for the whole answer, so the model cannot think first; set enable_thinking to "
            "false, or leave one of them out.",
            param="enable_thinking",
        )
    return {**options, "enable_thinking": False, "thinking": False}


def refused_tools(constraint: Constraint) -> NotSupported:
    return NotSupported(
        f"{constraint.param} holds for the whole answer, so the model could not call a tool; leave `tools` out, set "
        "tool_choice to 'none', or leave the constraint out.",
        param=constraint.param,
    )


def adapter_of(request: SamplingFields, hosted: Hosted) -> str | None:
    """The request's `lora_name`. Raises BadRequest that names what is loaded."""
    name = request.lora_name
    if not name or name in hosted.adapters:
        return name or None
    if not hosted.adapters:
        raise NotSupported(
            f"There is no adapter {name!r}: model {hosted.model_uid!r} was launched without any; leave lora_name out, "
            "or launch it with peft_model_config.",
            param="lora_name",
        )
    loaded = ", ".join(hosted.adapters)
    raise BadRequest(f"There is no adapter {name!r}; loaded are: {loaded}.", param="lora_name")


def _said(constraint: Constraint, request: SamplingFields) -> str:
    if constraint.param == "response_format" and request.response_format:
        return f"response_format {request.response_format.type!r}"
    return constraint.param


def _constraints(request: SamplingFields) -> Iterator[Constraint]:
    if (schema := _format(request.response_format)) is not None:
        yield Constraint(kind="json_schema", text=schema, param="response_format")
    for place, given in (("", request), ("extra_body.", request.extra_body)):
        if given is None:
            continue
        if given.guided_json is not None:
            text = _schema(given.guided_json, place + "guided_json")
            yield Constraint(kind="json_schema", text=text, param=place + "guided_json")
        if given.guided_json_object:
            yield Constraint(kind="json_schema", text=_ANY_OBJECT, param=place + "guided_json_object")
        if given.guided_regex is not None:
            yield _plain("regex", given.guided_regex, place + "guided_regex")
        if given.guided_grammar is not None:
            yield _plain("grammar", given.guided_grammar, place + "guided_grammar")
        if given.guided_choice is not None:
            yield _choice(given.guided_choice, place + "guided_choice")


def _format(given: ResponseFormat | None) -> str | None:
    """The schema that a response_format asks for, as text; None for plain text."""
    if given is None or given.type == "text":
        return None
    if given.type == "json_object":
        return _ANY_OBJECT
    if given.type != "json_schema":
        raise BadRequest(
            f"response_format is of type {given.type!r}; known are {', '.join(_FORMATS)}.", param="response_format"
        )
    if given.json_schema is None:
        raise BadRequest(
            'response_format of type "json_schema" needs `json_schema`, an object with `schema`.',
            param="response_format.json_schema",
        )
    schema = given.json_schema.schema
    return _ANY_OBJECT if schema is None else _encode(schema).decode()


def _schema(given: object, param: str) -> str:
    try:
        schema = msgspec.json.decode(given) if isinstance(given, str) else given
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadRequest(f"{param} is no JSON: {error}. Send a JSON schema.", param=param) from error
    if not isinstance(schema, dict | bool):
        raise BadRequest(f"{param} must hold a JSON schema, which is an object or a boolean.", param=param)
    return _encode(schema).decode()


def _plain(kind: str, text: str, param: str) -> Constraint:
    if not text:
        raise BadRequest(f"{param} is empty; leave it out, or say what the answer must look like.", param=param)
    return Constraint(kind="regex" if kind == "regex" else "grammar", text=text, param=param)


def _choice(texts: list[str], param: str) -> Constraint:
    choices = list(dict.fromkeys(texts))
    if not choices or not all(choices):
        raise BadRequest(f"{param} must hold at least one text, and none that is empty.", param=param)
    return Constraint(kind="choice", text=_encode(choices).decode(), param=param)


def _spaced(constraint: Constraint | None, request: SamplingFields) -> Constraint | None:
    """The constraint with the request's pattern for whitespace, which only JSON has."""
    inner = request.extra_body and request.extra_body.guided_whitespace_pattern
    pattern = request.guided_whitespace_pattern or inner
    if not pattern:
        return constraint
    if constraint is None or constraint.kind != "json_schema":
        raise BadRequest(
            "guided_whitespace_pattern says what may stand between the tokens of JSON, and no JSON was asked for; "
            "leave it out.",
            param="guided_whitespace_pattern",
        )
    return msgspec.structs.replace(constraint, whitespace=pattern)
