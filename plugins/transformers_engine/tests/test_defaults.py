"""What a request that names no sampling gets: what the model's authors wrote down."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from enginehouse.sdk import Sampling

OPENAI = Sampling()


@pytest.mark.parametrize(
    ("written", "default"),
    [
        (None, OPENAI),
        ({"max_new_tokens": 5}, OPENAI),
        ({"do_sample": True}, OPENAI),
        ({"do_sample": False}, Sampling(temperature=0.0)),
        ({"do_sample": False, "repetition_penalty": 1.05}, Sampling(temperature=0.0, repetition_penalty=1.05)),
        ({"do_sample": True, "temperature": 0.6, "top_k": 20}, Sampling(temperature=0.6, top_k=20)),
        ({"temperature": 0.7, "top_p": 0.8, "min_p": 0.1}, Sampling(temperature=0.7, top_p=0.8, min_p=0.1)),
    ],
)
def test_the_models_own_configuration_gives_the_defaults(
    model_folder: Callable[[str], Path],
    start: Callable[..., Any],
    tmp_path: Path,
    written: dict[str, Any] | None,
    default: Sampling,
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(model_folder("llama"), folder)
    file = folder / "generation_config.json"
    file.unlink(missing_ok=True)
    if written is not None:
        file.write_text(json.dumps(written))
    assert start(folder).default_sampling == default
