"""Files of models."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from enginehouse.cli.models_file import body_of, read_models, write_yaml

FULL = """
models:
  - model_name: stoker
    model_uid: a
    model_size_in_billions: 0_5
    n_gpu: null
    replica: 2
    quantization: none
    options: {tokens: 3}
  - {model_name: org/name, echo: true}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "models.yaml"


def faults_of(file: Path, text: str) -> str:
    file.write_text(text)
    with pytest.raises(click.UsageError) as caught:
        read_models(file)
    return caught.value.message


def test_a_file_is_read_and_written_as_it_was(file: Path) -> None:
    file.write_text(FULL)
    models = read_models(file)
    assert list(models) == ["a", "name"]
    assert models["a"] == {
        "model_uid": "a",
        "model_name": "stoker",
        "model_size_in_billions": "0_5",
        "n_gpu": None,
        "replica": 2,
        "quantization": "none",
        "options": {"tokens": 3},
    }
    assert models["name"] == {"model_uid": "name", "model_name": "org/name", "options": {"echo": True}}
    file.write_text(write_yaml(list(models.values())))
    assert read_models(file) == models


def test_options_of_the_engine_go_beside_the_fields() -> None:
    assert body_of({"model_name": "a", "options": {"tokens": 3}}) == {"model_name": "a", "tokens": 3}


def test_json_is_read_too(file: Path) -> None:
    file.write_text('{"models": [{"model_name": "stoker", "trust_remote_code": false}]}')
    assert read_models(file) == {"stoker": {"model_uid": "stoker", "model_name": "stoker"}}


def test_a_path_beside_the_file_is_named_from_the_root(file: Path) -> None:
    (file.parent / "weights").mkdir()
    file.write_text("models: [{model_path: weights}, {model_path: /nowhere/else}]")
    models = read_models(file)
    assert models["weights"]["model_path"] == str(file.parent / "weights")
    assert models["else"]["model_path"] == "/nowhere/else"


def test_every_fault_is_told_with_its_place(file: Path) -> None:
    text = "models: [{model_name: a, replica: 0}, {model_uid: b}, {model_name: c}, {model_name: c}, 7]"
    lines = faults_of(file, text).splitlines()
    assert [line.partition(f"{file}: ")[2].partition(":")[0] for line in lines] == [
        "models[0]",
        "models[1]",
        "models[3]",
        "models[4]",
    ]
    assert "replica: Expected" in lines[0] and "model_name" in lines[1] and "is taken" in lines[2]


@pytest.mark.parametrize("text", ["", "7", "models: 7", "model: []", "models: []\nmodel: []"])
def test_a_file_of_something_else_is_refused(file: Path, text: str) -> None:
    assert "one key is expected" in faults_of(file, text)


def test_what_cannot_be_read_is_refused(file: Path) -> None:
    assert "no YAML" in faults_of(file, "models: [")
    assert "no YAML" in faults_of(file, "models: !!python/object/apply:os.getcwd []")
    file.unlink()
    with pytest.raises(click.UsageError, match="cannot be read"):
        read_models(file)
