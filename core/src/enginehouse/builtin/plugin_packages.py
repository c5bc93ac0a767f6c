"""`python -m enginehouse.builtin.plugin_packages ORDER OUTCOME`: a plugin's packages, fetched into a folder.

A process of its own: it builds what comes as source, which runs foreign code, and it ends when the host says so. The
server's environment is only read: what is there in a version that suits is used from there, what is there in another
is a clash and refused, what is missing is installed beside the plugin.
"""

from __future__ import annotations

import hashlib
import importlib.util
import shlex
import sys
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ..sdk import BadRequest, EnginehouseError, PackageIndexes
from ..sdk.plugin_packages import PackageFound, PackageOrder, PackageOutcome
from .uv_command import UvRun, index_variables, run_uv

GROUPS = ("enginehouse", "enginehouse.launchers")
CORE = "enginehouse-core"
UNSIGNED = ("INSTALLER", "REQUESTED", "RECORD", "direct_url.json", "uv_cache.json", "uv_build.json")
NO_MODULES = ("bin", "__pycache__")  # what `--target` makes beside modules


def main(arguments: list[str]) -> int:
    """Writes an outcome, whatever it is; 0 also when there is nothing to install."""
    order = msgspec.json.decode(Path(arguments[0]).read_bytes(), type=PackageOrder)
    try:
        outcome = PackageOutcome(found=fetch(order))
    except EnginehouseError as error:
        outcome = PackageOutcome(code=error.code, message=error.message)
    Path(arguments[1]).write_bytes(msgspec.json.encode(outcome))
    return 0


def fetch(order: PackageOrder) -> PackageFound:
    """Raises BadRequest for what may not be installed here, LaunchFailed with uv's words."""
    folder = Path(order.folder)
    _install(order, [order.source], f"The plugin {order.source!r} cannot be fetched")
    plugin = next(iter(metadata.distributions(path=[str(folder)])))
    name, version = plugin.metadata["Name"], plugin.version
    if not any(entry.group in GROUPS for entry in plugin.entry_points):
        raise BadRequest(
            f"{name} {version} is no plugin: it has no entry point in the group {GROUPS[0]!r} (or, for launchers, "
            f"{GROUPS[1]!r}). See the tutorials on engines and launchers."
        )
    requires = tuple(plugin.requires or ())
    modules = tuple(sorted(_modules(folder)))
    have = _installed_here()
    _refuse_twin(order.source, name, have)
    _refuse_shadows(name, modules)
    lacking = _lacking(f"{name} {version}", requires, have)
    added = _resolved(order, name, lacking, have) if lacking else []
    if added:
        _install(order, added, f"What {name} needs cannot be installed")
    digest, size = _sum_up(folder)
    return PackageFound(
        distribution=name,
        version=version,
        requires=requires,
        added=tuple(added),
        modules=modules,
        digest=digest,
        size_bytes=size,
    )


def _install(order: PackageOrder, what: Iterable[str], failure: str) -> None:
    fresh = ("--refresh",) if Path(order.source).is_dir() else ()  # uv sees a tree's change by its metadata alone
    arguments = (
        *("pip", "install", "--no-deps", "--no-config", "--no-progress", "--python", sys.executable),
        *("--target", order.folder, *_flags(order.indexes), *fresh, "--", *what),
    )
    run_uv(UvRun(arguments, failure, index_variables(order.indexes)))


def _flags(indexes: PackageIndexes) -> tuple[str, ...]:
    wanted = {"--no-index": indexes.no_index, "--no-build-isolation": indexes.no_build_isolation}
    return tuple(flag for flag, value in wanted.items() if value)


def _installed_here() -> dict[str, str]:
    """Versions in the server's environment, by normalized name."""
    return {canonicalize_name(one.metadata["Name"]): one.version for one in metadata.distributions()}


def _refuse_twin(source: str, name: str, have: dict[str, str]) -> None:
    version = have.get(canonicalize_name(name))
    if version is not None:
        raise BadRequest(
            f"{name} {version} is installed in the server's own environment, which a running server leaves as it is. "
            f"To change it there: `{sys.executable} -m pip install --upgrade {shlex.quote(source)}`, restart the "
            "server (its models run on), and `enginehouse renew MODEL` for each model that runs its code. To have it "
            f"upgraded while the server runs from now on: `{sys.executable} -m pip uninstall {name}`, restart, and "
            f"`enginehouse plugins install {shlex.quote(source)}`."
        )


def _lacking(who: str, requires: Iterable[str], have: dict[str, str]) -> list[str]:
    """Base requirements that the server's environment does not have at all. Raises BadRequest for those that it has in
    another version."""
    lacking = []
    for requirement in map(Requirement, requires):
        if requirement.name == CORE or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue  # whether it fits this core is found out with the plugin's hooks
        version = have.get(canonicalize_name(requirement.name))
        if version is None:
            lacking.append(str(requirement))
        elif not requirement.specifier.contains(version, prereleases=True):
            raise BadRequest(
                f"{who} needs {requirement.name}{requirement.specifier}, and this server has {requirement.name} "
                f"{version}: its light half runs in the server's process, where there is one version of each. "
                "Take another version of the plugin, or move what it needs into its engine's requirements."
            )
    return lacking


def _resolved(order: PackageOrder, name: str, lacking: list[str], have: dict[str, str]) -> list[str]:
    """All that the lacking ones come to and is not here, as "name==version"."""
    with TemporaryDirectory(prefix="plugin-") as scratch:
        wanted, limits, pinned = (Path(scratch) / each for each in ("wanted.in", "limits.txt", "pinned.txt"))
        wanted.write_text("\n".join(lacking), "utf-8")
        known = {**order.beside, **have}
        limits.write_text("".join(f"{each}=={version}\n" for each, version in known.items()), "utf-8")
        arguments = (
            *("pip", "compile", "--no-config", "--no-header", "--no-annotate", "--python", sys.executable),
            *("--constraints", str(limits), "--output-file", str(pinned), *_flags(order.indexes), str(wanted)),
        )
        failure = f"What {name} needs does not go with the versions that this server has"
        run_uv(UvRun(arguments, failure, index_variables(order.indexes)))
        lines = (line.strip() for line in pinned.read_text("utf-8").splitlines())
        return [line for line in lines if line and canonicalize_name(Requirement(line).name) not in have]


def _modules(folder: Path) -> Iterator[str]:
    for place in folder.iterdir():
        if place.is_dir() and place.suffix not in (".dist-info", ".data") and place.name not in NO_MODULES:
            yield place.name
        elif place.suffix in (".py", ".so"):
            yield place.name.partition(".")[0]


def _refuse_shadows(name: str, modules: Iterable[str]) -> None:
    """A module that the server has already would be imported from there, and the plugin would break strangely."""
    for module in modules:
        if importlib.util.find_spec(module) is not None:
            raise BadRequest(
                f"{name} brings a module {module!r}, and this server's environment has one of that name. It has to be "
                "renamed in the plugin."
            )


def _sum_up(folder: Path) -> tuple[str, int]:
    """A digest of every file's name and content, and the bytes they take."""
    digest, size = hashlib.sha256(), 0
    for file in sorted(folder.rglob("*")):
        if (
            not file.is_file()
            or file.suffix == ".pyc"
            or (file.parent.suffix == ".dist-info" and file.name in UNSIGNED)
        ):
            continue
        content = file.read_bytes()
        size += len(content)
        for part in (file.relative_to(folder).as_posix().encode(), hashlib.sha256(content).digest()):
            digest.update(part)
    return digest.hexdigest(), size


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
