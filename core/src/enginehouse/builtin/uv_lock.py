"""Between uv's locks and ours.

uv writes PEP 751's pylock.toml, whose files have URLs. We keep names, versions and hashes alone: the same lock is
installed from PyPI, from a mirror and from a folder on a machine without any network, and holds no password.
"""

from __future__ import annotations

import platform
import sysconfig
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from packaging.requirements import Requirement

from ..sdk import LaunchFailed, Lock, LockedPackage


def read_pylock(text: str, accelerator: str) -> Lock:
    """Our lock of uv's. Raises LaunchFailed for what cannot be pinned by a hash."""
    packages = sorted(_package(one) for one in tomllib.loads(text).get("packages", ()))
    return Lock(
        python=platform.python_version(),
        platform=sysconfig.get_platform(),
        accelerator=accelerator,
        packages=tuple(packages),
    )


def pins(package: LockedPackage, asked: Iterable[str] = ()) -> str:
    """A line of a requirements file that nothing but this package satisfies. asked: the requirements of the need, whose
    URLs may hold the password that the lock's does not."""
    which = f"{package.name}=={package.version}"
    if package.url:
        urls = (one.url for one in map(Requirement, asked) if one.url)
        which = f"{package.name} @ {next((url for url in urls if _open(url) == package.url), package.url)}"
    return " ".join((which, *(f"--hash={one}" for one in package.hashes)))


def _package(entry: dict[str, Any]) -> LockedPackage:
    """A wheel is taken where there is one, so the source's hash is kept only where there is none."""
    name = str(entry["name"])
    archive = entry.get("archive")
    files = entry.get("wheels") or ([entry["sdist"]] if "sdist" in entry else [archive] if archive else [])
    hashes = {f"{kind}:{digest}" for file in files for kind, digest in file.get("hashes", {}).items()}
    if not hashes:
        raise LaunchFailed(
            f"{name} cannot be locked: there is no file with a hash (a repository or a folder has none). Ask for it "
            "from an index or as the URL of a wheel."
        )
    sizes = [int(file["size"]) for file in files if "size" in file]
    return LockedPackage(
        name=name,
        version=str(entry.get("version") or _version_of(archive)),
        hashes=tuple(sorted(hashes)),
        url=_url(archive) if archive else None,
        built=not (entry.get("wheels") or (archive and str(_url(archive)).endswith(".whl"))),
        size_bytes=max(sizes, default=None),
    )


def _version_of(archive: dict[str, Any] | None) -> str:
    """The version in a wheel's name (PEP 427); of source that a URL names nothing is known before it is built."""
    file = _url(archive).rpartition("/")[2] if archive else ""
    return unquote(file).split("-")[1] if file.endswith(".whl") else ""


def _open(url: str) -> str:
    """Without user, password and fragment."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment=""))


def _url(archive: dict[str, Any]) -> str:
    return _open(str(archive["url"])) if "url" in archive else Path(archive["path"]).absolute().as_uri()
