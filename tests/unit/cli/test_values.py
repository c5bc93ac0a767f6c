from __future__ import annotations

from typing import Any

import pytest

from enginehouse.cli.values import Extra, read_extra, read_indexes, read_literal, read_n_gpu, read_size


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("None", None),
        ("null", None),
        ("true", True),
        ("False", False),
        ("7", 7),
        ("-1", -1),
        ("0.5", 0.5),
        ("1e3", 1000.0),
        ('{"a": [1]}', {"a": [1]}),
        ('"7"', "7"),
        ("0_5", "0_5"),
        ("1_000", "1_000"),
        ("007", "007"),
        ("NaN", "NaN"),
        ("bfloat16", "bfloat16"),
        ("[broken", "[broken"),
        ("", ""),
    ],
)
def test_literals(text: str, value: Any) -> None:
    read = read_literal(text)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        ([], Extra([], {})),
        (["stoker"], Extra(["stoker"], {})),
        (["--max-batch", "4"], Extra([], {"max_batch": 4})),
        (["--max_batch=4", "--eager"], Extra([], {"max_batch": 4, "eager": True})),
        (["--eager", "--offset", "-1"], Extra([], {"eager": True, "offset": -1})),
        (["stoker", "--a", "x=y", "--b="], Extra(["stoker"], {"a": "x=y", "b": ""})),
    ],
)
def test_options_of_the_engine(arguments: list[str], extra: Extra) -> None:
    assert read_extra(arguments) == extra


@pytest.mark.parametrize("arguments", [["-x", "1"], ["--a", "1", "2"], ["--"]])
def test_what_is_no_option_of_the_engine_is_refused(arguments: list[str]) -> None:
    with pytest.raises(ValueError, match="is no option"):
        read_extra(arguments)


def test_numbers_of_gpus() -> None:
    assert [read_n_gpu(text) for text in ("auto", "2", "none", "None")] == ["auto", 2, None, None]
    assert read_indexes("0,1") == [0, 1]
    with pytest.raises(ValueError, match="several"):
        read_n_gpu("several")


def test_sizes() -> None:
    assert [read_size(text) for text in ("7", "0_5", "1.8")] == [7, "0_5", "1.8"]
