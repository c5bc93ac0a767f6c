"""Settings from the environment and the command line."""

from __future__ import annotations

import pytest

from enginehouse.host.settings import settings_from
from enginehouse.sdk import BadRequest


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("ENGINEHOUSE_LEASE_SECONDS", "abc", "Expected `float`, got `str`"),
        ("ENGINEHOUSE_PORT", "70000", "Expected `int` <= 65535"),
        ("ENGINEHOUSE_MODEL_SRC", "nohub", "It may be auto, huggingface, modelscope"),
    ],
)
def test_a_wrong_setting_is_named_with_its_variable(variable: str, value: str, words: str) -> None:
    with pytest.raises(BadRequest) as caught:
        settings_from({variable: value})
    assert variable in caught.value.message and words in caught.value.message
    assert variable == f"ENGINEHOUSE_{str(caught.value.param).upper()}"
