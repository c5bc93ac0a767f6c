"""Keys that `enginehouse login` keeps: a file in the home that only this user can read, by the server's address."""

from __future__ import annotations

import json
import os
from pathlib import Path

FILE = "logins.json"


def stored_key(endpoint: str | None) -> str | None:
    """The key kept for a server, if there is one. A file that makes no sense holds none."""
    from ..client.connection import server_address

    return _read().get(server_address(endpoint))


def keep_key(endpoint: str | None, key: str) -> Path:
    """Keeps a key in place of a former one; the file it is in. Raises OSError."""
    from ..client.connection import server_address

    return _write({**_read(), server_address(endpoint): key})


def forget_key(endpoint: str | None) -> bool:
    """Whether there was one. Raises OSError."""
    from ..client.connection import server_address

    kept = _read()
    known = kept.pop(server_address(endpoint), None) is not None
    if known:
        _write(kept)
    return known


def _file() -> Path:
    from ..host.settings import home_folder

    return home_folder() / FILE


def _read() -> dict[str, str]:
    try:
        kept = json.loads(_file().read_bytes())
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


def _write(kept: dict[str, str]) -> Path:
    """Written beside and moved into place, so that nobody reads half of it."""
    file = _file()
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = file.with_name(f".{FILE}.{os.getpid()}")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as stream:
        json.dump(kept, stream, indent=2)
    beside.replace(file)
    return file
