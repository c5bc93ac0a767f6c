"""Model types: what kinds of model exist, and what is said about them on the wire."""

from __future__ import annotations

import msgspec

from .registrations import Registration
from .tasks import Task


class ModelType(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of model.

    name: as on the wire ("LLM", "embedding", ...).
    tasks: what models of this type can be asked to do; each is a name in `enginehouse.sdk.tasks`.
    own_tasks: the same, for tasks that this type brings: the gateway serves their routes, and an engine that
        declares one has a method of its name, from the request's struct to what goes out as JSON.
    abilities: the closed set of words a family of this type may claim.
    reports: names of the facts that `GET /v1/models/{uid}` answers for this type, in order.
    registration: schema of models that users register; None when they cannot.
    names_engines: whether `GET /v1/engines/{name}` tells which engines can run a model of this type.
    """

    name: str
    tasks: tuple[str, ...] = ()
    own_tasks: tuple[Task, ...] = ()
    abilities: tuple[str, ...] = ()
    reports: tuple[str, ...] = ()
    registration: type[Registration] | None = None
    names_engines: bool = True
