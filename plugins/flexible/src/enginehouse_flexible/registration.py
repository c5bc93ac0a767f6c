"""How users register a flexible model, and the family that comes of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec

from enginehouse.sdk import ModelFamily, OneModel, Problem, Variant

from .arguments import read_arguments

NOWHERE = "none:"
"""The source of a model without weights."""


class FlexibleRegistration(OneModel, frozen=True, kw_only=True):
    """Anything a launcher can build. launcher: its name or dotted path; launcher_args: an object, or one as text."""

    launcher: Annotated[str, msgspec.Meta(min_length=1)]
    launcher_args: str | dict[str, Any] | None = None

    def problems(self) -> Iterator[Problem]:
        """A launcher may bring its own weights, so that none need be named."""
        try:
            read_arguments(self.launcher_args)
        except ValueError as error:
            yield Problem("launcher_args", f"is no JSON object: {error}")

    def family(self, model_type: str) -> ModelFamily:
        return msgspec.structs.replace(
            super().family(model_type),
            variants=(Variant(format="pytorch", size_in_billions="0", sources=(self.weights().source() or NOWHERE,)),),
            launcher=self.launcher,
        )

    def facts(self) -> dict[str, Any]:
        return {
            "model_name": self.model_name,
            "model_id": self.model_id,
            "model_hub": self.model_hub,
            "model_revision": self.model_revision,
            "model_description": self.model_description,
            "launcher": self.launcher,
            "launcher_args": self.launcher_args,
        }
