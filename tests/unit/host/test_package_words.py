import pytest

from enginehouse.host.package_words import (
    Surroundings,
    Unanswerable,
    Wish,
    check_words,
    read_words,
    split_marker,
)
from enginehouse.sdk import BadRequest

ENGINES = {"vllm": ("vllm>=0.11", "gone; sys_platform == 'plan9'"), "llama_cpp": ("xllamacpp",)}


def around(engine: str = "vllm", cuda: str | None = None) -> Surroundings:
    return Surroundings(
        engine=engine,
        versions={"numpy": "2.3.1", "torch": "2.13.0+cpu", "typing-extensions": "4.1"},
        requirements=lambda name: ENGINES.get(name.lower().replace(".", "_")),
        cuda_version=cuda,
    )


def read(*words: str, engine: str = "vllm", cuda: str | None = None) -> list[str]:
    found = read_words(words, around(engine, cuda), "launch", "field")
    return [one.requirement if isinstance(one, Wish) else one.reason for one in found]


@pytest.mark.parametrize(
    ("word", "read_as"),
    [
        ("numpy", ["numpy"]),
        ("  ", []),
        ("Typing_Extensions >= 4 , < 5", ["Typing_Extensions<5,>=4"]),
        ("#system_numpy#", ["numpy==2.3.1"]),
        ("#system_Typing_Extensions#", ["typing-extensions==4.1"]),
        ("#system_torch#", ["torch==2.13.0+cpu"]),
        ("#system_pandas#", ["#system_pandas# is left out: the server has no pandas."]),
        ("#vllm_dependencies#", ["vllm>=0.11"]),
        ("#llama_cpp_dependencies#", ["xllamacpp"]),
        ("#llama.cpp_dependencies#", ["xllamacpp"]),
        ("#sglang_dependencies#", ["#sglang_dependencies# is left out: no installed plugin brings an engine sglang."]),
        ('x==1 ; #engine# == "vllm"', ["x==1"]),
        ('x==1 ; #ENGINE# == "VLLM"', ["x==1"]),
        ('x==1;#model_engine#=="vllm"', ["x==1"]),
        ("x==1 ; #engine# == 'transformers'", []),
        ('x==1 ; #engine# != "transformers"', ["x==1"]),
        ('x==1 ; #engine# in "sglang, vllm"', ["x==1"]),
        ('x==1 ; #engine# not in "sglang,vllm"', []),
        ('#vllm_dependencies# ; #engine# == "vllm"', ["vllm>=0.11"]),
        ('#vllm_dependencies# ; #engine# == "transformers"', []),
        ('#system_numpy# ; #engine# == "vllm" and python_version >= "3"', ["numpy==2.3.1"]),
        ('x ; #engine# == "vllm" and sys_platform == "plan9"', []),
        ('x ; (#engine# == "no" or platform_machine != "pdp11")', ["x"]),
        ('x ; cuda_version >= "12.8"', []),
        ("x ; python_version < '3'", []),
        ("x @ https://host/x-1.whl", ["x@ https://host/x-1.whl"]),
        ("x @ https://host/x-1.whl ; python_version < '3'", []),
        (
            "https://host/a%2Bb/some_pkg-1.0-py3-none-any.whl",
            ["some_pkg@ https://host/a%2Bb/some_pkg-1.0-py3-none-any.whl"],
        ),
    ],
)
def test_words(word: str, read_as: list[str]) -> None:
    said = read(word)
    assert [text.replace(" @ ", "@ ") for text in said] == read_as


@pytest.mark.parametrize(
    ("marker", "version", "holds"),
    [
        ('cuda_version >= "12.8"', "12.8", True),
        ('cuda_version >= "12.8"', "12.10", True),
        ('cuda_version < "13"', "12.8", True),
        ('cuda_version == "13.0"', "12.8", False),
        ('cuda_version > "12" and cuda_version < "13"', "12.4", True),
        ('cuda_version >= "12" or #engine# == "vllm"', None, True),
        ('cuda_version != "12"', None, False),
    ],
)
def test_cuda_versions(marker: str, version: str | None, holds: bool) -> None:
    assert read(f"x ; {marker}", cuda=version) == (["x"] if holds else [])


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("--index-url=https://user:word@host", "is an option of pip"),
        ("-r requirements.txt", "is an option of pip"),
        ("-e .", "is an option of pip"),
        ("numpy>>2", "is no package as pip names them"),
        ("numpy==", "is no package as pip names them"),
        ("two words", "is no package as pip names them"),
        ("https://host/archive.tar.gz", "does not say which package it is"),
        ("git+https://host/repository", "does not say which package it is"),
        ("/wheels/x-1-py3-none-any.whl", "does not say which package it is"),
        ("./x", "does not say which package it is"),
        ("#other#", "is no placeholder"),
        ("#system_#", "is no placeholder"),
        ('x ; #engine# ~~ "vllm"', "marker"),
        ("x ; nothing", "marker"),
        ('x ; cuda_version >= "12', "marker"),
        ('x ; cuda_version >= "twelve"', "marker"),
    ],
)
def test_words_that_cannot_be_read(word: str, said: str) -> None:
    with pytest.raises(BadRequest, match=said) as caught:
        check_words([word], "virtual_env_packages")
    assert caught.value.param == "virtual_env_packages"
    assert "word@" not in caught.value.message


def test_what_could_be_read_somewhere_is_no_mistake() -> None:
    check_words(["#system_pandas#", "#sglang_dependencies#", 'x ; cuda_version >= "12"', ""], "f")


def test_who_asks_is_kept() -> None:
    [wish] = read_words(["Some_Package>1"], around(), "model m", "f")
    assert wish == Wish(name="some-package", requirement="Some_Package>1", by="model m")
    assert not isinstance(wish, Unanswerable) and not wish.is_reference


def test_a_semicolon_in_a_url_begins_no_marker() -> None:
    assert split_marker("x @ https://h/p;a=b/x.whl ; m") == ("x @ https://h/p;a=b/x.whl", "m")
    assert split_marker("x>1;m") == ("x>1", "m")
