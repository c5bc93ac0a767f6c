"""Settings from the environment and the command line."""

from __future__ import annotations

import os
from pathlib import Path

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


def test_what_is_said_of_environments() -> None:
    plain = settings_from({"HOME": "/h"})
    assert (plain.enable_virtual_env, plain.package_urls) == (None, False)
    assert plain.virtual_env_find_links_allowed_roots == (Path.home() / "wheels",)
    theirs = {"XINFERENCE_ENABLE_VIRTUAL_ENV": "1", "XINFERENCE_VIRTUAL_ENV_FIND_LINKS_ALLOWED_ROOTS": "/a,/b"}
    read = settings_from(theirs)
    assert read.enable_virtual_env is True
    assert read.virtual_env_find_links_allowed_roots == (Path("/a"), Path("/b"))
    ours = {
        "ENGINEHOUSE_ENABLE_VIRTUAL_ENV": "0",
        "ENGINEHOUSE_VIRTUAL_ENV_FIND_LINKS_ALLOWED_ROOTS": f"/c{os.pathsep}/d",
        "ENGINEHOUSE_PACKAGE_URLS": "true",
    }
    read = settings_from({**theirs, **ours})
    assert (read.enable_virtual_env, read.package_urls) == (False, True)
    assert read.virtual_env_find_links_allowed_roots == (Path("/c"), Path("/d"))
