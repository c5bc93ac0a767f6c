"""uv as a process: which one, with which indexes, what it says, and how it ends with us."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import uv

from ..sdk import LaunchFailed, PackageIndexes
from ..sdk.credentials import hide_credentials

TOLD_LINES = 20  # of what uv said, in an error: its reasons come in a tree
TOLD_CHARACTERS = 4000
DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of Linux's <sys/prctl.h>
PROGRESS = (
    "Using Python",
    "Using CPython",
    "Resolved ",
    "Downloading ",
    "Downloaded ",
    "Building ",
    "Built ",
    "Prepared ",
)

_AWAY = {
    *("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "UV_PYTHON", "UV_SYSTEM_PYTHON", "UV_PROJECT"),
    *("UV_INDEX_URL", "UV_TORCH_BACKEND"),
}


class UvRun(NamedTuple):
    """arguments: uv's; what: begins the error's sentence; variables: added to this process's."""

    arguments: tuple[str, ...]
    what: str
    variables: dict[str, str]


def run_uv(run: UvRun, tell: Callable[[str], None] = lambda line: None) -> None:
    """Runs uv to its end. `tell` is given each line that it says. Raises LaunchFailed with uv's words.

    It has no time limit of its own: whoever started this process ends its whole group.
    """
    process = subprocess.Popen(
        [_binary(), *run.arguments],
        env={**_inherited(), **run.variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        preexec_fn=_end_with_parent if sys.platform == "linux" else None,
    )
    assert process.stderr is not None
    words = []
    with process:
        for raw in process.stderr:
            line = raw.decode(errors="replace").rstrip()
            words.append(line)
            tell(line)
    if process.returncode:
        raise LaunchFailed(f"{run.what}. {_said(words, process.returncode)}")


def uv_cache() -> Path | None:
    """Where uv keeps what it downloads; None when somebody has said where. Source: uv's reference, "Caching"."""
    if os.environ.get("UV_CACHE_DIR"):
        return None
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "uv"


def index_variables(indexes: PackageIndexes) -> dict[str, str]:
    """Indexes as uv's variables, not arguments: URLs hold passwords, and everybody may list a process's arguments.

    What the server's own UV_ variables say stays where the need says nothing, and is added to where there are many.
    """
    links = (*map(_as_url, indexes.find_links), *_split(os.environ.get("UV_FIND_LINKS"), ","))
    hosts = (*indexes.trusted_host, *_split(os.environ.get("UV_INSECURE_HOST"), " "))
    extra = (*indexes.extra_index_url, *_split(os.environ.get("UV_INDEX"), " "))
    own = os.environ.get
    wanted = {
        "UV_DEFAULT_INDEX": indexes.index_url or own("UV_DEFAULT_INDEX") or own("UV_INDEX_URL"),
        "UV_INDEX": " ".join(extra),
        "UV_FIND_LINKS": ",".join(links),
        "UV_INSECURE_HOST": " ".join(hosts),
        "UV_INDEX_STRATEGY": os.environ.get("UV_INDEX_STRATEGY") or indexes.index_strategy,
        "SSL_CERT_FILE": indexes.certificate,
        # With it uv asks PyTorch's index although it shall ask none.
        "UV_TORCH_BACKEND": None if indexes.no_index else indexes.torch_backend or own("UV_TORCH_BACKEND"),
    }
    return {name: value for name, value in wanted.items() if value}


def _split(text: str | None, separator: str) -> list[str]:
    return [part.strip() for part in (text or "").split(separator) if part.strip()]


def _as_url(place: str) -> str:
    """A folder as a URL: in it a comma, which separates several, is no comma."""
    return place if "://" in place else Path(place).absolute().as_uri()


def _binary() -> str:
    try:
        return uv.find_uv_bin()
    except FileNotFoundError as error:
        raise LaunchFailed(
            f"Environments are made by uv, whose program is not there ({error}): {sys.executable} -m pip install uv"
        ) from error


def _inherited() -> dict[str, str]:
    """This process's variables, but for those that would lead uv to another interpreter or environment, and those that
    `index_variables` sets."""
    kept = {name: value for name, value in os.environ.items() if name not in _AWAY}
    offline = os.environ.get("ENGINEHOUSE_OFFLINE", "").lower() in {"1", "true", "yes", "on"}
    return {**kept, **({"UV_OFFLINE": "1"} if offline else {}), "NO_COLOR": "1", "UV_PYTHON_DOWNLOADS": "never"}


def _said(words: list[str], status: int) -> str:
    told = [line for line in words if line.strip() and not line.strip().startswith(PROGRESS)]
    text = hide_credentials("\n".join(told[-TOLD_LINES:]))[-TOLD_CHARACTERS:]
    return f"uv says: {text}" if text else f"uv ended with status {status}, without a word."


def _end_with_parent() -> None:
    """In the forked child: whatever ends this process ends uv too, even SIGKILL."""
    with contextlib.suppress(OSError, AttributeError):  # a C library without it goes without
        _LIBC.prctl(DEATH_SIGNAL, int(signal.SIGKILL), 0, 0, 0)


_LIBC = ctypes.CDLL(None)  # loaded before any fork
