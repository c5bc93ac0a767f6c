"""Model types: what kinds of model exist, and what is said about them on the wire."""

from __future__ import annotations

from typing import Any

import msgspec

from .errors import InvalidSpec
from .registrations import Registration
from .tasks import Task


class TaskExample(msgspec.Struct, frozen=True, kw_only=True):
    """What a model can be asked, of one task. All are bodies of the task's route, without `model`.

    right: are answered, quickly and each time the same. wrong: are refused with 400.
    lasting: takes a second or more to be answered, as a stream where the task has one; None where nothing does.
    """

    task: str
    right: tuple[dict[str, Any], ...]
    wrong: tuple[dict[str, Any], ...] = ()
    lasting: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if not self.right:
            raise InvalidSpec(f"TaskExample {self.task!r}: `right` holds no request.")


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """A small model of a type that brings its own tasks, and what to ask it: what the conformance kit tries engines
    with, which knows no request for a task that a plugin brings.

    launch: fields of `POST /v1/models`, `model_name` among them. registration: what is registered before, for a type
        whose models users register; None where a family has it.
    tasks: what it can be asked.
    """

    launch: dict[str, Any]
    tasks: tuple[TaskExample, ...]
    registration: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if not self.launch.get("model_name") or not self.tasks:
            raise InvalidSpec("An Example says how its model is launched (`launch`, with `model_name`), and `tasks`.")


class ModelType(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of model.

    name: as on the wire ("LLM", "embedding", ...).
    tasks: what models of this type can be asked to do; each is a name in `enginehouse.sdk.tasks`.
    own_tasks: the same, for tasks that this type brings: the gateway serves their routes, and an engine that
        declares one has a method of its name, from the request's struct to what goes out as JSON.
    abilities: the closed set of words a family of this type may claim.
    reports: names of the facts that `GET /v1/models/{uid}` answers for this type, in order.
    registration: schema of models that users register; None when they cannot.
    examples: models of this type, and requests for its own tasks; `enginehouse certify` tries engines with them.
    names_engines: whether `GET /v1/engines/{name}` tells which engines can run a model of this type.
    """

    name: str
    tasks: tuple[str, ...] = ()
    own_tasks: tuple[Task, ...] = ()
    abilities: tuple[str, ...] = ()
    reports: tuple[str, ...] = ()
    registration: type[Registration] | None = None
    examples: tuple[Example, ...] = ()
    names_engines: bool = True

    def __post_init__(self) -> None:
        asked = {one.task for example in self.examples for one in example.tasks}
        strange = asked - {task.name for task in self.own_tasks} if asked else asked
        if strange:
            raise InvalidSpec(f"ModelType {self.name!r}: an example is of {sorted(strange)}, which is no own task.")
