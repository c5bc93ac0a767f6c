"""Files and variables of pip, against what pip itself makes of them where pip is installed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from enginehouse.host.pip_configuration import configuration_files, read_pip_configuration
from enginehouse.sdk import PackageIndexes


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, str]:
    """Variables that lead to files of the machine and the user below the test's folder."""
    return {"HOME": str(tmp_path / "home"), "XDG_CONFIG_DIRS": str(tmp_path / "machine")}


def write(folder: str, place: str, text: str) -> Path:
    file = Path(folder) / place
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


@pytest.fixture(autouse=True)
def only_these_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The interpreter's own pip.conf is another machine's business."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "python"))


def read(environment: dict[str, str]) -> PackageIndexes:
    return read_pip_configuration(environment, etc=Path(environment["HOME"]) / "etc")


def of_user(folders: dict[str, str], text: str) -> None:
    write(folders["HOME"], ".config/pip/pip.conf", text)


def test_nothing_said_is_nothing(folders: dict[str, str]) -> None:
    assert read({**folders, "PIP_CONFIG_FILE": os.devnull}) == PackageIndexes()


def test_every_option(folders: dict[str, str]) -> None:
    of_user(
        folders,
        "[global]\nindex-url = https://a/simple\nextra_index_url =\n  https://b\n  https://c\nfind-links = /w /v\n"
        "trusted-host = a b\ncert = /ca.pem\nno-index = yes\ntimeout = 3\n",
    )
    assert read(folders) == PackageIndexes(
        index_url="https://a/simple",
        extra_index_url=("https://b", "https://c"),
        find_links=("/w", "/v"),
        trusted_host=("a", "b"),
        certificate="/ca.pem",
        no_index=True,
    )


def test_later_words_count(folders: dict[str, str]) -> None:
    write(folders["XDG_CONFIG_DIRS"], "pip/pip.conf", "[global]\nindex-url = https://machine\ncert = /machine\n")
    assert read(folders).index_url == "https://machine"
    of_user(folders, "[global]\nindex-url = https://user\n")
    assert (read(folders).index_url, read(folders).certificate) == ("https://user", "/machine")
    write(sys.prefix, "pip.conf", "[global]\nindex-url = https://python\n")
    assert read(folders).index_url == "https://python"
    own = write(folders["HOME"], "own.conf", "[global]\nindex-url = https://own\n")
    named = {**folders, "PIP_CONFIG_FILE": str(own)}
    assert (read(named).index_url, read(named).certificate) == ("https://own", "/machine")
    assert read({**named, "PIP_INDEX_URL": "https://variable"}).index_url == "https://variable"
    assert read({**named, "PIP_INDEX_URL": ""}).index_url == "https://own"


def test_the_section_of_the_command_counts_more_than_a_later_file(folders: dict[str, str]) -> None:
    write(folders["XDG_CONFIG_DIRS"], "pip/pip.conf", "[install]\nindex-url = https://install\nfind-links =\n")
    of_user(folders, "[global]\nindex-url = https://global\nfind-links = /w\n[list]\nindex-url = https://list\n")
    assert (read(folders).index_url, read(folders).find_links) == ("https://install", ("/w",))


def test_a_file_of_ones_own_takes_the_place_of_the_users(folders: dict[str, str]) -> None:
    of_user(folders, "[global]\nindex-url = https://user\n")
    own = write(folders["HOME"], "own.conf", "[global]\n")
    assert read({**folders, "PIP_CONFIG_FILE": str(own)}).index_url is None
    assert read({**folders, "PIP_CONFIG_FILE": str(own) + ".gone"}).index_url == "https://user"
    assert list(configuration_files({**folders, "PIP_CONFIG_FILE": os.devnull})) == []


@pytest.mark.parametrize("text", ["no section", "[global]\nindex-url = \xff", "[global\n"])
def test_a_file_that_cannot_be_read_is_left_out(folders: dict[str, str], text: str) -> None:
    write(folders["XDG_CONFIG_DIRS"], "pip/pip.conf", "[global]\nindex-url = https://machine\n")
    write(folders["HOME"], ".config/pip/pip.conf", "").write_bytes(text.encode("latin-1"))
    assert read(folders).index_url == "https://machine"


def test_pip_itself_says_the_same(folders: dict[str, str], tmp_path: Path) -> None:
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False).returncode:
        pytest.skip("pip is not installed here")
    write(folders["XDG_CONFIG_DIRS"], "pip/pip.conf", "[global]\nindex-url = https://machine\nfind-links = /m\n")
    of_user(folders, "[global]\nindex_url = https://user\n[install]\ntrusted-host = a\n")
    variables = {**folders, "PIP_EXTRA_INDEX_URL": "https://x https://y"}
    code = (
        "import json, sys; from pip._internal.cli.main_parser import parse_command;"
        "from pip._internal.commands import create_command;"
        "options, _ = create_command('install').parser.parse_args([]);"
        "print(json.dumps([options.index_url, options.extra_index_urls, options.find_links, options.trusted_hosts]))"
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "XDG_"))}
    run = subprocess.run(
        [sys.executable, "-c", code], env={**kept, **variables}, capture_output=True, text=True, timeout=60, check=True
    )
    ours = read_pip_configuration(variables)
    pips = json.loads(run.stdout)
    assert [ours.index_url, [*ours.extra_index_url], [*ours.find_links], [*ours.trusted_host]] == pips
