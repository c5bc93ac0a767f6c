"""What the doctor looks at: each function here checks one thing of this machine and says what to do about it."""

from __future__ import annotations

import os
import resource
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from ..host.plugins import PluginCensus, PluginRecord
    from ..sdk import EngineSpec

OLDEST_PYTHON = (3, 11)
FEW_FILES = 4096  # a server holds two sockets for each request that is being answered
LITTLE_DISK_BYTES = 5 * 10**9  # a small model's weights
NO_DISK_BYTES = 100 * 10**6  # not even the state and the logs are safe
KNOCK_SECONDS = 2.0  # a port on this machine answers at once or not at all
NVIDIA_SMI_SECONDS = 10.0  # a healthy driver takes one second; a broken one never ends
MEGABYTE = 10**6
UNAUTHORIZED = 401


class Finding(NamedTuple):
    """One thing that was looked at. advice: what to do, when it is not ok."""

    check: str
    state: Literal["ok", "warning", "broken"]
    detail: str
    advice: str = ""


def check_python(version: tuple[int, ...] = tuple(sys.version_info[:3])) -> Finding:
    detail = f"{'.'.join(map(str, version))} at {sys.executable}"
    if version >= OLDEST_PYTHON:
        return Finding("python", "ok", detail)
    return Finding("python", "broken", detail, f"Use Python {'.'.join(map(str, OLDEST_PYTHON))} or newer.")


def check_home(home: Path) -> Finding:
    """Whether the home (or, while there is none, the folder that it will be made in) can be written, and is private."""
    if not home.exists():
        return _check_parent(home)
    if not home.is_dir() or not os.access(home, os.W_OK | os.X_OK):
        return Finding("home", "broken", f"{home} cannot be written", "Fix its owner, or set ENGINEHOUSE_HOME.")
    others = stat.S_IMODE(home.stat().st_mode) & (stat.S_IRWXG | stat.S_IRWXO)
    if others:
        return Finding("home", "warning", f"{home} is open to other users", f"chmod 700 {home}")
    return Finding("home", "ok", str(home))


def _check_parent(home: Path) -> Finding:
    parent = next(folder for folder in home.parents if folder.exists())
    if os.access(parent, os.W_OK | os.X_OK):
        return Finding("home", "ok", f"{home}, made when a server starts")
    return Finding("home", "broken", f"{home} cannot be made in {parent}", "Set ENGINEHOUSE_HOME to another folder.")


def check_disk(home: Path) -> Finding:
    folder = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(folder).free
    detail = f"{free / 10**9:.1f} GB free in {folder}"
    if free < NO_DISK_BYTES:
        return Finding("disk", "broken", detail, "Make room, or set ENGINEHOUSE_HOME to another disk.")
    if free < LITTLE_DISK_BYTES:
        return Finding("disk", "warning", detail, "Enough for the miniature models, not for the weights of others.")
    return Finding("disk", "ok", detail)


def check_files(soft: int | None = None) -> Finding:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0] if soft is None else soft
    if limit == resource.RLIM_INFINITY or limit >= FEW_FILES:
        return Finding("open files", "ok", "no limit" if limit == resource.RLIM_INFINITY else f"{limit} allowed")
    advice = f"`ulimit -n {FEW_FILES}` before `enginehouse serve`, for many requests at once."
    return Finding("open files", "warning", f"only {limit} allowed", advice)


def check_sockets(workers_folder: Path) -> Finding:
    """Whether workers' sockets fit into their folders: a system allows about a hundred bytes for the path."""
    from ..host.home import SOCKET_PATH_BYTES

    longest = len(os.fsencode(workers_folder / ("0" * 32) / "keeper.sock"))
    detail = f"up to {longest} bytes of path, {SOCKET_PATH_BYTES} allowed"
    if longest <= SOCKET_PATH_BYTES:
        return Finding("sockets", "ok", detail)
    return Finding(
        "sockets", "warning", f"{detail}: they go to the temporary folder", "Use a shorter ENGINEHOUSE_HOME."
    )


def check_address(host: str, port: int) -> Finding:
    """Whether a server could listen there now, or one already does."""
    where = f"{host}:{port}"
    if _answers(host, port):
        return _check_listener(where)
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError as error:
            return Finding(
                "address", "broken", f"{where}: {error.strerror or error}", "Choose another --host or --port."
            )
    return Finding("address", "ok", f"{where} is free: `enginehouse serve` can listen there")


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), KNOCK_SECONDS).close()
    except OSError:
        return False
    return True


def _check_listener(where: str) -> Finding:
    from ..client import Client, ClientError

    try:
        with Client(f"http://{where}") as client:
            running = len(client.list_models())
    except ClientError as error:
        if error.status == UNAUTHORIZED:
            return Finding("address", "ok", f"a server answers at {where}, which asks for a key: `enginehouse login`")
        detail = f"something listens at {where}, but it does not answer as a server does ({error.detail})"
        return Finding("address", "broken", detail, "Stop it, or choose another --port.")
    return Finding("address", "ok", f"a server answers at {where}, with {running} models running")


def check_gpus() -> Finding:
    """What nvidia-smi says, where there is one."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return Finding("gpus", "ok", "no NVIDIA driver; models run on the CPU")
    query = [command, "--query-gpu=name,memory.total,memory.free", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=NVIDIA_SMI_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding("gpus", "broken", f"nvidia-smi does not answer: {error}", "Reinstall or reload the driver.")
    if done.returncode:
        detail = (done.stderr or done.stdout).strip().splitlines()[:1]
        return Finding("gpus", "broken", "nvidia-smi: " + "".join(detail), "Reinstall or reload the driver.")
    return Finding("gpus", "ok", "; ".join(line.strip() for line in done.stdout.splitlines()) or "none")


def check_plugins(records: Iterable[PluginRecord]) -> Iterator[Finding]:
    for record in records:
        name = f"plugin {record.name}"
        detail = " ".join(filter(None, (record.distribution, record.version, record.state)))
        if record.state == "loaded":
            yield Finding(name, "ok", detail)
        elif record.state == "blocked":
            yield Finding(name, "warning", f"{detail}: {record.reason}", "Take it off the block list to use it.")
        else:
            advice = "`enginehouse plugins --local --verbose` shows where; upgrade or uninstall it."
            yield Finding(name, "broken", f"{detail}: {record.reason}", advice)


def check_engines(census: PluginCensus) -> Iterator[Finding]:
    """Whether each engine's libraries are installed beside the server, from their metadata, importing nothing."""
    if not census.contributions.engines:
        yield Finding("engines", "warning", "none", "Install one: pip install 'enginehouse[transformers]'.")
    for spec in census.contributions.engines:
        found = check_engine(spec)
        if found.state == "warning" and census.contributions.provisioner("uv"):
            more = "Or nothing: a launch makes an environment that has it."
            found = found._replace(state="ok", advice=f"{found.advice}. {more}")
        yield found


def check_environments(home: Path, census: PluginCensus) -> Finding:
    """Which environments were made, and whether any can be."""
    from ..host.environments.shelf import Shelf

    records = list(Shelf(home).records())
    size = sum(record.own_bytes for record in records) / 10**9
    detail = f"{len(records)} made, {size:.1f} GB of their own"
    if census.contributions.provisioner("uv") is None:
        return Finding("environments", "warning", f"{detail}; none can be made", "pip install uv beside the server.")
    return Finding("environments", "ok", detail, "`enginehouse env gc` removes what nobody uses." if records else "")


def check_torch(gpus: bool) -> Finding:
    """Which build of PyTorch environments get that are made. gpus: whether this machine has any."""
    from ..host.pip_configuration import read_pip_configuration
    from ..host.torch_builds import ADVICE, VARIABLE, names_sources

    if said := os.environ.get(VARIABLE):
        return Finding("torch", "ok", f"{VARIABLE} is {said}: from PyTorch's own index, and from nowhere else")
    if gpus or sys.platform != "linux" or names_sources(read_pip_configuration(), os.environ):
        return Finding("torch", "ok", "from where all packages come")
    return Finding("torch", "warning", "environments that are made get CUDA's, gigabytes that a CPU never uses", ADVICE)


def check_engine(spec: EngineSpec) -> Finding:
    missing = [problem for requirement in spec.requirements if (problem := _missing(requirement))]
    name = f"engine {spec.name}"
    if not missing:
        return Finding(name, "ok", ", ".join(spec.requirements) or "needs nothing")
    advice = f"pip install {' '.join(repr(requirement) for requirement, _ in missing)}"
    return Finding(name, "warning", "; ".join(detail for _, detail in missing), advice)


def _missing(requirement: str) -> tuple[str, str] | None:
    """A requirement that is not met here, and what is there instead."""
    from importlib.metadata import PackageNotFoundError, version

    from packaging.requirements import InvalidRequirement, Requirement

    try:
        wanted = Requirement(requirement)
    except InvalidRequirement as error:
        return requirement, f"{requirement!r} is no requirement ({error})"
    if wanted.marker and not wanted.marker.evaluate({"extra": ""}):
        return None
    try:
        installed = version(wanted.name)
    except PackageNotFoundError:
        return requirement, f"{wanted.name} is not installed"
    if wanted.specifier.contains(installed, prereleases=True):
        return None
    return requirement, f"{wanted.name} {installed} is installed, {wanted.specifier} is needed"


def as_json(findings: Iterable[Finding]) -> dict[str, Any]:
    rows = [finding._asdict() for finding in findings]
    return {"ok": all(row["state"] != "broken" for row in rows), "findings": rows}
