"""What pip's configuration says of where packages come from: its files and the variables PIP_*.

pip itself is not asked: it need not be installed beside the server. Source of names, places and precedence:
https://pip.pypa.io/en/stable/topics/configuration/
"""

from __future__ import annotations

import configparser
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..sdk import PackageIndexes

SECTIONS = ("global", "install")  # the command's own section counts more than the one for all
_TRUE = {"1", "true", "yes", "y", "t", "on"}
_OPTIONS = ("index-url", "extra-index-url", "find-links", "trusted-host", "cert", "no-index")
ETC = Path("/etc")
_FILE = "pip.ini" if sys.platform == "win32" else "pip.conf"

logger = logging.getLogger(__name__)


def read_pip_configuration(environment: Mapping[str, str] = os.environ, etc: Path = ETC) -> PackageIndexes:
    """What pip would go by if the user of this process ran `pip install` now. A file that cannot be read is left
    out, and the log says so."""
    said: dict[str, str] = {}
    files = [_read(file) for file in configuration_files(environment, etc)]
    for section in SECTIONS:
        merged = {key: value for file in files for key, value in file.get(section, {}).items()}
        said.update({key: value for key, value in merged.items() if value})
    said.update(_variables(environment))
    return _as_indexes(said)


def configuration_files(environment: Mapping[str, str], etc: Path = ETC) -> Iterator[Path]:
    """The files that pip reads, those that count more later: of the machine, the user, this Python, PIP_CONFIG_FILE."""
    own = environment.get("PIP_CONFIG_FILE")
    if own == os.devnull:
        return
    yield from (folder / _FILE for folder in _machine_folders(environment, etc))
    if not (own and Path(own).exists()):
        yield from _user_files(environment)
    yield Path(sys.prefix) / _FILE
    if own:
        yield Path(own)


def _machine_folders(environment: Mapping[str, str], etc: Path) -> Iterator[Path]:
    if sys.platform == "darwin":
        yield Path("/Library/Application Support/pip")
        return
    folders = environment.get("XDG_CONFIG_DIRS") or "/etc/xdg"
    yield from (Path(folder) / "pip" for folder in folders.split(os.pathsep) if folder)
    yield etc


def _user_files(environment: Mapping[str, str]) -> Iterator[Path]:
    home = Path(environment.get("HOME") or Path.home())
    yield home / ".pip" / _FILE
    of_system = home / "Library" / "Application Support" / "pip"
    if sys.platform == "darwin" and of_system.is_dir():
        yield of_system / _FILE
    else:
        yield Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "pip" / _FILE


def _read(file: Path) -> dict[str, dict[str, str]]:
    """The options of a file by section; nothing when there is no such file."""
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(file.read_text("utf-8"), str(file))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        logger.warning("pip's configuration %s is left out: %s", file, type(error).__name__)  # it may hold credentials
        return {}
    return {name: {_spell(key): value for key, value in parser.items(name)} for name in parser.sections()}


def _variables(environment: Mapping[str, str]) -> dict[str, str]:
    """PIP_INDEX_URL and the like; one that is empty says nothing."""
    named = {option: environment.get(f"PIP_{option.upper().replace('-', '_')}") for option in _OPTIONS}
    return {option: value for option, value in named.items() if value}


def _spell(option: str) -> str:
    return option.lower().replace("_", "-").removeprefix("--")


def _as_indexes(said: Mapping[str, str]) -> PackageIndexes:
    def several(option: str) -> tuple[str, ...]:
        return tuple(said.get(option, "").split())

    return PackageIndexes(
        index_url=said.get("index-url", "").strip() or None,
        extra_index_url=several("extra-index-url"),
        find_links=several("find-links"),
        trusted_host=several("trusted-host"),
        certificate=said.get("cert", "").strip() or None,
        no_index=said.get("no-index", "").strip().lower() in _TRUE,
    )
