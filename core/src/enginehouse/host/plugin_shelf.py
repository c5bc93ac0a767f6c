"""Plugins installed into the home: each version a folder of its own, a list that says which are in use.

    plugins/installed.json                     which distributions are installed, and in which version
    plugins/<distribution>/<version>-<digest>/ what was installed, as `pip install --target` lays it out
    plugins/.examined/<digest>/                what was looked at and may be installed within the hour

A folder is never changed, only made or removed; the list is replaced whole. So an installation cut off in the middle
leaves the former one in use. The folders stand at the end of `sys.path`: no plugin can take the place of the server's
libraries.
"""

from __future__ import annotations

import importlib
import logging
import shutil
import sys
from collections.abc import Collection
from pathlib import Path
from types import ModuleType

import msgspec
from packaging.utils import canonicalize_name

from .home import write_whole
from .plugin_loading import Met, PluginRecord

EXAMINED = ".examined"
DIGEST_SHOWN = 12  # characters of a digest in a folder's name: enough to tell builds of one version apart

logger = logging.getLogger(__name__)
_mounted: set[str] = set()  # folders that this process has on its `sys.path`


class Shelved(msgspec.Struct, frozen=True, kw_only=True):
    """A distribution that is installed in the home. digest: of its files; source: what it was installed from.

    modules: names of its own; adds: packages that came along, "name==version".
    """

    distribution: str
    version: str
    digest: str
    source: str
    installed_ts: float
    modules: tuple[str, ...] = ()
    adds: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        """Its folder, from the shelf's."""
        return f"{canonicalize_name(self.distribution)}/{self.version}-{self.digest[:DIGEST_SHOWN]}"


class Shelf:
    """The home's folder of plugins, and its folders on this process's `sys.path`."""

    def __init__(self, home: Path) -> None:
        self.root = home / "plugins"
        self._list = self.root / "installed.json"

    def installed(self) -> tuple[Shelved, ...]:
        """What is installed; nothing where the list cannot be read, which the log then says."""
        try:
            return msgspec.json.decode(self._list.read_bytes(), type=tuple[Shelved, ...])
        except FileNotFoundError:
            return ()
        except (OSError, msgspec.DecodeError, msgspec.ValidationError) as error:
            logger.error("the list of plugins %s cannot be read, so none of them is loaded: %s", self._list, error)
            return ()

    def find(self, distribution: str) -> Shelved | None:
        """The installed distribution of that name, however it is spelled."""
        wanted = canonicalize_name(distribution)
        return next((one for one in self.installed() if canonicalize_name(one.distribution) == wanted), None)

    def site(self, shelved: Shelved) -> Path:
        return self.root / shelved.folder

    def sites(self) -> list[Path]:
        """The folders of all that is installed."""
        return [self.site(shelved) for shelved in self.installed()]

    def open(self) -> None:
        """Puts all that is installed on this process's `sys.path`."""
        for site in self.sites():
            mount(site)

    def place(self, one: Met | PluginRecord) -> Met | PluginRecord:
        """The same with its folder where it is of this shelf, and without where it is of the server's environment."""
        if isinstance(one, Met):
            placed = self.place(one.record)
            assert isinstance(placed, PluginRecord)
            return one._replace(record=placed)
        if one.folder and Path(one.folder).is_relative_to(self.root):
            return one
        twin = self.find(one.distribution) if one.distribution else None
        reason = one.reason
        if twin is not None:
            reason = (
                f"The server's own environment has this distribution, so version {twin.version} installed in the "
                f"home is not used. Remove one: pip uninstall {one.distribution}, or `enginehouse plugins remove "
                f"{one.name}`."
            )
        return msgspec.structs.replace(one, folder=None, reason=reason)

    def keep(self, shelved: Shelved) -> None:
        """From now on this version of the distribution is the installed one. Raises OSError; then nothing changed."""
        self._write([*self._others(shelved.distribution), shelved])

    def drop(self, distribution: str) -> None:
        """From now on the distribution is not installed. Raises OSError; then nothing changed."""
        self._write(self._others(distribution))

    def sweep(self, in_use: Collection[str]) -> None:
        """Removes folders that nobody refers to: neither the list nor `in_use`, paths of those that workers have."""
        kept = {self.site(one) for one in self.installed()} | {Path(path) for path in in_use}
        for parent in list(self.root.iterdir()) if self.root.is_dir() else ():
            if not parent.is_dir() or parent.name == EXAMINED:
                continue
            for folder in parent.iterdir():
                if folder not in kept:
                    shutil.rmtree(folder, ignore_errors=True)
            if not any(parent.iterdir()):
                parent.rmdir()

    def _others(self, distribution: str) -> list[Shelved]:
        name = canonicalize_name(distribution)
        return [one for one in self.installed() if canonicalize_name(one.distribution) != name]

    def _write(self, shelved: list[Shelved]) -> None:
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(self._list, msgspec.json.format(msgspec.json.encode(shelved)))


def mount(site: Path) -> None:
    """Puts a folder behind everything else on `sys.path`."""
    _mounted.add(str(site))
    if str(site) not in sys.path:
        sys.path.append(str(site))
        importlib.invalidate_caches()


def is_mounted(folder: str) -> bool:
    """Whether it is a folder of plugins that were installed into the home."""
    return folder in _mounted


def unmount(site: Path) -> dict[str, ModuleType]:
    """Takes a folder off `sys.path`, and all modules that came from it; these, to be put back by `remount`.

    Code that holds them runs on; whoever imports them by name gets what is on `sys.path` then.
    """
    _mounted.discard(str(site))
    if str(site) in sys.path:
        sys.path.remove(str(site))
    taken = {name: module for name, module in list(sys.modules.items()) if _came_from(module, site)}
    for name in taken:
        sys.modules.pop(name, None)
    importlib.invalidate_caches()
    return taken


def remount(site: Path, modules: dict[str, ModuleType]) -> None:
    """As it was before `unmount`."""
    mount(site)
    sys.modules.update(modules)


def _came_from(module: ModuleType, site: Path) -> bool:
    try:
        places = [getattr(module, "__file__", None), *getattr(module, "__path__", ())]
        return any(isinstance(place, str) and Path(place).is_relative_to(site) for place in places)
    except Exception:  # noqa: BLE001 - sys.modules may hold anything, whatever its attributes do
        return False
