"""The provisioner `uv`: every package resolved with its hashes, then installed from uv's cache by hard links."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from ..sdk import EnvironmentNeed, LaunchFailed, Lock, LockedPackage, Report, Step
from .uv_command import UvRun, index_variables, run_uv, uv_cache
from .uv_lock import pins, read_pylock

CACHE_FOLDER = "uv-cache"


def resolve(need: EnvironmentNeed, report: Report) -> Lock:
    """Asks the indexes. For this interpreter's version and platform; which index has an accelerator's wheels is the
    need's to say. Raises LaunchFailed with uv's words."""
    with TemporaryDirectory(prefix="resolve-") as scratch:
        folder = Path(scratch)
        locked = folder / "pylock.toml"
        arguments = [
            *("pip", "compile", "--format", "pylock.toml", "--generate-hashes", "--no-header", "--no-annotate"),
            *("--python", sys.executable, "--output-file", str(locked), *_common(need)),
            *_listed(folder, "--overrides", need.overrides),
            *_listed(folder, "--excludes", need.exclusions),
            str(_written(folder, "requirements.in", need.requirements)),
        ]
        report(Step(phase="resolve"))
        what = f"What engine {need.engine} needs cannot be resolved"
        run_uv(UvRun(tuple(arguments), what, index_variables(need.indexes)))
        return read_pylock(locked.read_text("utf-8"), need.accelerator)


def build(lock: Lock, need: EnvironmentNeed, folder: Path, report: Report) -> None:
    """A relocatable virtual environment with exactly the lock's packages. Raises LaunchFailed with uv's words."""
    variables = {**index_variables(need.indexes), **_cache(folder)}
    what = f"The environment of engine {need.engine} cannot be made"
    venv = ("venv", "--relocatable", "--no-project", "--no-config", "--python", sys.executable, str(folder))
    run_uv(UvRun(venv, what, variables))
    # Without isolation a package is built with what is installed, so all that need no building come first.
    ready = [package for package in lock.packages if not package.built]
    if need.indexes.no_build_isolation and len(ready) < len(lock.packages):
        _sync(ready, lock, need, folder, report, UvRun((), what, variables))
    _sync(lock.packages, lock, need, folder, report, UvRun((), what, variables))


def _sync(
    packages: Iterable[LockedPackage], lock: Lock, need: EnvironmentNeed, folder: Path, report: Report, run: UvRun
) -> None:
    with TemporaryDirectory(prefix="install-") as scratch:
        pinned = _written(Path(scratch), "requirements.txt", (pins(package, need.requirements) for package in packages))
        arguments = (
            *("pip", "sync", "--require-hashes", "--allow-empty-requirements", *_common(need)),
            *("--python", str(folder / "bin" / "python"), str(pinned)),
        )
        teller = _teller(len(lock.packages), report)
        if not _from_cache(run._replace(arguments=(*arguments, "--offline")), folder, teller):
            run_uv(run._replace(arguments=arguments), teller)


def _from_cache(run: UvRun, folder: Path, tell: Callable[[str], None]) -> bool:
    """Installs what uv has already, and asks no index whether its pages are still so: the lock's hashes say which files
    are right. Whether that was all of it; if not, nothing was installed. Raises LaunchFailed when it broke midway."""
    before = _sites(folder)
    try:
        run_uv(run, tell)
    except LaunchFailed:
        if _sites(folder) != before:
            raise
        return False
    return True


def _sites(folder: Path) -> set[Path]:
    return set(folder.glob("lib/python*/site-packages/*"))


def _teller(total: int, report: Report) -> Callable[[str], None]:
    """What of uv's words is progress. uv names the packages that are large or must be built; the rest it counts."""
    done = 0

    def tell(line: str) -> None:
        nonlocal done
        first, _, rest = line.strip().partition(" ")
        package = rest.split(" ")[0].partition("==")[0]
        if first in ("Downloaded", "Built"):
            done += 1
        if phase := {"Downloading": "download", "Building": "build"}.get(first):
            report(Step(phase=phase, package=package, done=done, total=total))
        elif first in ("Prepared", "Installed"):
            report(Step(phase="install", done=total, total=total))

    report(Step(phase="download", total=total))
    return tell


def _common(need: EnvironmentNeed) -> tuple[str, ...]:
    flags = {"--no-index": need.indexes.no_index, "--no-build-isolation": need.indexes.no_build_isolation}
    return ("--no-config", "--no-sources", *(flag for flag, wanted in flags.items() if wanted))


def _listed(folder: Path, flag: str, lines: Iterable[str]) -> tuple[str, ...]:
    lines = tuple(lines)
    return (flag, str(_written(folder, f"{flag.strip('-')}.txt", lines))) if lines else ()


def _written(folder: Path, name: str, lines: Iterable[str]) -> Path:
    file = folder / name
    file.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return file


def _cache(folder: Path) -> dict[str, str]:
    """uv's own cache, which others on this machine fill too; another where no hard link leads from there to here."""
    cache = uv_cache()
    if cache is None or _device(cache) == _device(folder):
        return {}
    return {"UV_CACHE_DIR": str(folder.parents[1] / CACHE_FOLDER)}


def _device(place: Path) -> int:
    """The file system of a place, or of what will hold it."""
    return next(parent.stat().st_dev for parent in (place, *place.parents) if parent.exists())
