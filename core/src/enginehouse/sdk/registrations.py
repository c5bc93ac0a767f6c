"""Registrations: what a user writes down to make a model of their own known. The base of every type's schema."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from .families import ModelFamily, Variant, VirtualEnvironment

HUBS = {"huggingface": "hf", "modelscope": "modelscope"}
"""Names of hubs on the wire, and the schemes of their sources; another name is a scheme itself."""


class Problem(NamedTuple):
    """What is wrong with one field. field: a path such as "model_specs[0].quantization"."""

    field: str
    message: str


class Weights(msgspec.Struct, frozen=True, kw_only=True):
    """Where a set of weights comes from, as registrations write it: a URI, else a repository of a hub."""

    model_id: str | None = None
    model_uri: str | None = None
    model_revision: str | None = None
    model_hub: str = "huggingface"

    def source(self) -> str | None:
        """As a source reads it, `scheme:reference`; None when nothing is said."""
        if self.model_uri:
            return read_uri(self.model_uri)
        if self.model_id:
            revision = f"@{self.model_revision}" if self.model_revision else ""
            hub = self.model_hub.lower()
            return f"{HUBS.get(hub, hub)}:{self.model_id}{revision}"
        return None


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """What every registration has. A model type's schema derives from it.

    Keys that a schema does not name are kept with the registration. Whether a model is built in, or trusted to
    run code, is never read from one.
    """

    model_name: str
    version: int = 2
    cache_config: dict[str, Any] | None = None
    virtualenv: VirtualEnvironment | None = None

    @classmethod
    def upgrade(cls, document: dict[str, Any]) -> dict[str, Any]:
        """A document of an earlier version as one of this. It was not looked at yet, so it may be wrong anywhere."""
        return document

    def problems(self) -> Iterator[Problem]:
        """What types alone cannot say, one for each field."""
        yield from ()

    def family(self, model_type: str) -> ModelFamily:
        """The family it describes. Called when there are no problems."""
        raise NotImplementedError  # each model type has its own


def read_uri(uri: str) -> str:
    """A URI of the wire as sources spell it: "file:///x" and "/x" are "file:/x", "hf://a/b" is "hf:a/b"."""
    scheme, colon, rest = uri.partition(":")
    if not colon or "/" in scheme:
        return f"file:{uri}"
    return f"{scheme.lower()}:{rest.removeprefix('//')}"


def one_variant(weights: Weights, model_format: str, **more: Any) -> tuple[Variant, ...]:
    """The variants of a model whose type knows neither sizes nor quantizations."""
    return (Variant(format=model_format, size_in_billions="0", sources=(weights.source() or "",), **more),)


def weights_problems(weights: Weights, field: str) -> Iterator[Problem]:
    if weights.source() is None:
        yield Problem(field, "is missing; give model_uri (where the weights lie), or model_id (their name on a hub)")


class OneModel(Registration, frozen=True, kw_only=True):
    """A model of one set of weights, which the document names at its top."""

    model_id: str | None = None
    model_uri: str | None = None
    model_revision: str | None = None
    model_hub: str | None = None
    model_description: str | None = None

    def weights(self) -> Weights:
        return Weights(
            model_id=self.model_id,
            model_uri=self.model_uri,
            model_revision=self.model_revision,
            model_hub=self.model_hub or "huggingface",
        )

    def problems(self) -> Iterator[Problem]:
        yield from weights_problems(self.weights(), "model_uri")

    def facts(self) -> dict[str, Any]:
        return {"model_revision": self.model_revision}

    def words(self) -> tuple[str, ...]:
        return ()

    def spoken(self) -> tuple[str, ...]:
        return ()

    def file_format(self) -> str:
        return "pytorch"

    def family(self, model_type: str) -> ModelFamily:
        return ModelFamily(
            name=self.model_name,
            model_type=model_type,
            variants=one_variant(self.weights(), self.file_format()),
            abilities=self.words(),
            languages=self.spoken(),
            description=self.model_description or "",
            facts=self.facts(),
        )
