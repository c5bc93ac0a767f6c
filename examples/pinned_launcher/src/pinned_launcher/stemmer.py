"""The heavy half: imported only in the worker of a model, with the library of that environment."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import snowballstemmer

from enginehouse_flexible import FlexibleModel, FlexibleModelSpec


class Stemmer(FlexibleModel):
    def load(self) -> None:
        self._stemmer = snowballstemmer.stemmer(self._config.get("language", "english"))

    def infer(self, words: list[str]) -> dict[str, Any]:
        """Stems, and the version of the library that made them."""
        return {"stems": self._stemmer.stemWords(words), "version": version("snowballstemmer")}


def launcher(model_uid: str, model_spec: FlexibleModelSpec, **config: Any) -> Stemmer:
    return Stemmer(model_uid, model_spec.model_uri, model_spec, config=config)
