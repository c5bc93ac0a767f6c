"""The API's description: the framework's, and the routes of tasks, whose schemas are the contract's own structs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from msgspec.inspect import is_struct_type

from ..host.contributions import Contributions
from ..host.keys import NewKey
from ..host.launch_request import LaunchRequest
from ..sdk import AUXILIARY, TASKS, Task, is_open
from ..sdk.open_structs import REST
from .anthropic_requests import CountRequest, MessagesRequest
from .permissions import all_routes, declared
from .responses_requests import ResponsesRequest

TAGS = [
    {"name": "inference", "description": "Tasks that models answer. Requests are relayed to the model's worker."},
    {"name": "anthropic", "description": "Anthropic's API, translated from the worker's chat stream."},
    {"name": "responses", "description": "OpenAI's Responses, translated from the worker's chat stream."},
    {"name": "models", "description": "Launching, listing, describing and ending models."},
    {"name": "keys", "description": "Who may use the server, what for, and how much."},
    {"name": "server", "description": "The server itself."},
]
_KEYS: list[dict[str, list[str]]] = [{}, {"key": []}, {"x-api-key": []}]
_REF = "#/components/schemas/{name}"
_STATUSES = {
    400: "The request is wrong; `param` names the field.",
    404: "There is no such model; the message names those that run.",
    413: "The body is too large.",
    429: "The model's queue is full.",
    503: "The model is loading (with Retry-After), or its worker died.",
}


def build_openapi(app: FastAPI, contributions: Contributions) -> dict[str, Any]:
    """The whole document, made once for the plugins that are loaded."""
    tasks = (*TASKS.values(), *AUXILIARY.values(), *contributions.own_tasks)
    if app.openapi_schema and app.openapi_schema["x-tasks"] == [task.name for task in tasks]:
        return app.openapi_schema
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes, tags=TAGS
    )
    document["paths"].update({task.route: {"post": _operation(task)} for task in tasks})
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(_components(tasks))
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    _state_permissions(app, document)
    for operations in document["paths"].values():
        for operation in operations.values():
            _state_common_errors(operation)
    document["x-tasks"] = [task.name for task in tasks]
    app.openapi_schema = document
    return document


def _state_permissions(app: FastAPI, document: dict[str, Any]) -> None:
    """What each operation needs; who sends a key, and how. A server that is open asks for none."""
    document["components"]["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer"},
        "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    }
    for route in all_routes(app.routes):
        permission = declared(route)
        for method in route.methods or ():
            operation = document["paths"].get(route.path_format, {}).get(method.lower())
            if operation is not None:
                operation["x-permission"] = permission
                operation["security"] = [] if permission == "public" else _KEYS


def _state_common_errors(operation: dict[str, Any]) -> None:
    """What may go wrong with any operation of its kind; said once, here, unless the route says it itself."""
    found = {}
    if operation.get("parameters"):
        found["422"] = "A parameter is not what is declared here."
    if operation.get("security"):
        found["401"] = "A key is asked for, and there is none, or none that is valid."
        found["403"] = "The key may not do this, or the server's settings forbid it."
    if operation.get("requestBody"):
        found["400"] = "The body is not as described here; `param` names the field."
        found["413"] = "The body is too large."
    responses = operation["responses"]
    responses.pop("422", None)  # the framework's own shape, which it does not have here
    shape = "AnthropicError" if "anthropic" in operation.get("tags", ()) else "Error"
    for status, text in found.items():
        responses.setdefault(status, _error(text, shape))


def _error(text: str, shape: str = "Error") -> dict[str, Any]:
    schema = {"$ref": _REF.format(name=shape)}
    return {"description": text, "content": {"application/json": {"schema": schema}}}


def _structs(tasks: Iterable[Task]) -> list[type[msgspec.Struct]]:
    found: list[Any] = [LaunchRequest, NewKey, MessagesRequest, CountRequest, ResponsesRequest]
    for task in tasks:
        found += (task.request, task.answer, task.chunk)
    return [struct for struct in dict.fromkeys(found) if is_struct_type(struct)]


def _components(tasks: Iterable[Task]) -> dict[str, Any]:
    structs = _structs(tasks)
    _, components = msgspec.json.schema_components(structs, ref_template=_REF)
    for struct in filter(is_open, structs):
        components[struct.__name__]["properties"].pop(REST)
        components[struct.__name__]["additionalProperties"] = True
    launch = components[LaunchRequest.__name__]
    launch["properties"].pop("options", None)
    launch["properties"] = {name: _or_null(schema) for name, schema in launch["properties"].items()}
    launch["additionalProperties"] = True  # whatever else is sent goes to the engine
    return components


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Of a launch every field that has a default may be null, which is that default: clients send them all."""
    if "default" not in schema or schema["default"] is None:
        return schema
    rest = {name: value for name, value in schema.items() if name != "default"}
    return {"anyOf": [rest, {"type": "null"}], "default": schema["default"]}


def _operation(task: Task) -> dict[str, Any]:
    taken = {"application/json": {"schema": _ref(task.request)}}
    if task.takes_forms:
        taken["multipart/form-data"] = {"schema": _ref(task.request)}
    content = {"application/json": {"schema": _schema(task.answer)}}
    if task.chunk is not None:
        content["text/event-stream"] = {"schema": _ref(task.chunk)}
    streams = "; with `stream`, events of it as they are made" if task.chunk is not None else ""
    answered = {"description": f"The answer{streams}.", "content": content}
    errors = {str(status): _error(text) for status, text in _STATUSES.items()}
    return {
        "operationId": task.name,
        "x-permission": "use",
        "security": _KEYS,
        "tags": ["inference"],
        "summary": task.summary,
        "requestBody": {"required": True, "content": taken},
        "responses": {"200": answered, **errors},
    }


def _schema(kind: Any) -> dict[str, Any]:
    """A struct's reference, or the schema of what is no struct."""
    return _ref(kind) if is_struct_type(kind) else msgspec.json.schema(kind)


def _ref(struct: type[msgspec.Struct]) -> dict[str, str]:
    return {"$ref": _REF.format(name=struct.__name__)}
