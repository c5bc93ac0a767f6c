"""The light half: what the host sees, and that seeing it costs nothing."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest

from enginehouse.sdk import Options
from enginehouse_transformers.options import TransformersOptions
from enginehouse_transformers.plugin import enginehouse_engines


def test_the_light_half_imports_nothing_heavy() -> None:
    code = (
        "import sys, enginehouse_transformers.plugin as p; p.enginehouse_engines(); "
        "print(sorted({'torch', 'transformers', 'numpy', 'tokenizers', 'jinja2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == "[]"


def test_the_spec_names_an_engine_that_exists_and_offers_chat() -> None:
    (spec,) = enginehouse_engines()
    module, name = spec.engine.split(":")
    assert hasattr(__import__(module, fromlist=[name]), name)
    assert set(spec.offers) == {"generate", "chat"}
    assert spec.name == "transformers" and issubclass(spec.options, Options)


def test_every_option_is_described_and_has_a_default() -> None:
    schema = msgspec.json.schema(TransformersOptions)["$defs"]["TransformersOptions"]
    assert all(field.get("description") for field in schema["properties"].values())
    assert "required" not in schema or not schema["required"]
    assert TransformersOptions() == TransformersOptions(dtype="auto", max_batch=32)


@pytest.mark.parametrize("wrong", [{"dtype": "int3"}, {"max_batch": 0}, {"threads": -1}, {"batchsize": 4}])
def test_wrong_options_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, TransformersOptions)
