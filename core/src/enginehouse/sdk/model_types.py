"""Model types: what kinds of model exist, and what is said about them on the wire."""

from __future__ import annotations

import msgspec

from .registrations import Registration


class ModelType(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of model.

    name: as on the wire ("LLM", "embedding", ...).
    tasks: what models of this type can be asked to do; each is a name in `enginehouse.sdk.tasks`.
    abilities: the closed set of words a family of this type may claim.
    reports: names of the facts that `GET /v1/models/{uid}` answers for this type, in order.
    registration: schema of models that users register; None when they cannot.
    """

    name: str
    tasks: tuple[str, ...]
    abilities: tuple[str, ...]
    reports: tuple[str, ...] = ()
    registration: type[Registration] | None = None
