"""Settings of a server, from the environment and the command line."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, get_args, get_origin, get_type_hints

import msgspec

from ..sdk import BadRequest
from .wrong_fields import WrongField, find_wrong_field

DEFAULT_PORT = 9997
_ROOTS = "virtual_env_find_links_allowed_roots"
_OF_BOTH = ("model_src", "enable_virtual_env", _ROOTS)  # Xinference's variables of these names are read, too


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about a server that is decided before it starts.

    home: state, logs, workers; ENGINEHOUSE_HOME. database: SQLAlchemy URL; ENGINEHOUSE_DATABASE.
    cluster: where new workers are started, of those that plugins bring; ENGINEHOUSE_CLUSTER.
    lease_seconds: workers live so long without a server; ENGINEHOUSE_LEASE_SECONDS.
    drain_seconds: running requests get so long to end when a worker is stopped; ENGINEHOUSE_DRAIN_SECONDS.
    retire_seconds: requests on a replica that is scaled away get so long to end; ENGINEHOUSE_RETIRE_SECONDS.
    queue_length: requests beyond `request_limits` that wait for a turn, for launches that do not say;
        queue_seconds: each so long at most. ENGINEHOUSE_QUEUE_LENGTH, ENGINEHOUSE_QUEUE_SECONDS.
    worker_requests: requests at once that a worker takes, those included that wait in its engine for a batch; it
        refuses more, whatever `request_limits` says. ENGINEHOUSE_WORKER_REQUESTS.
    demand_seconds: a request waits so long for its model to be loaded; ENGINEHOUSE_DEMAND_SECONDS.
    memory_bytes: most of the machine's memory that models may take together, 0 for all that is free;
        memory_reserve_bytes: left free for everything else. ENGINEHOUSE_MEMORY_BYTES, ..._MEMORY_RESERVE_BYTES.
    responses_kept, responses_seconds: responses of `/v1/responses` that are kept for each key, and how long; 0 keeps
        none. ENGINEHOUSE_RESPONSES_KEPT, ENGINEHOUSE_RESPONSES_SECONDS.
    launch_seconds: a worker gets so long to load; ENGINEHOUSE_LAUNCH_SECONDS.
    environment_seconds: an environment gets so long to be resolved and built; ENGINEHOUSE_ENVIRONMENT_SECONDS.
    environment_reserve_bytes: left free on the disk where it is built; ENGINEHOUSE_ENVIRONMENT_RESERVE_BYTES.
    restart_limit: failures in a row before a deployment is given up; restart_seconds: first back-off, doubled
        each time up to a minute.
    body_bytes: largest request body; ENGINEHOUSE_BODY_BYTES.
    plugin_seconds: a plugin gets so long to be imported, and each of its hooks to answer.
    completions_done: end /v1/completions streams with [DONE] too; ENGINEHOUSE_COMPLETIONS_DONE.
    trust_remote_code: whether a launch may run code from a model's files; ENGINEHOUSE_TRUST_REMOTE_CODE.
    require_key: every request needs a key, on loopback too; ENGINEHOUSE_REQUIRE_KEY.
    insecure: no request needs a key, on any address; ENGINEHOUSE_INSECURE. Without either, keys are asked for
        on every address but loopback.
    model_src: the hub taken where a model is on several: auto (the family's order), huggingface or modelscope;
        ENGINEHOUSE_MODEL_SRC, else XINFERENCE_MODEL_SRC.
    enable_virtual_env: whether launches that do not say get an environment of their own; unset: when the server's
        own lacks something. ENGINEHOUSE_ENABLE_VIRTUAL_ENV, else XINFERENCE_ENABLE_VIRTUAL_ENV.
    virtual_env_find_links_allowed_roots: where folders of wheels that a launch names may lie;
        ENGINEHOUSE_VIRTUAL_ENV_FIND_LINKS_ALLOWED_ROOTS, else XINFERENCE_..., separated as in PATH, or by commas.
    package_urls: whether launches and registrations may name packages by URL or path; ENGINEHOUSE_PACKAGE_URLS.
    blocked: names of plugins never to import; ENGINEHOUSE_BLOCKED_PLUGINS (comma separated), beside those in
        the home's blocked_plugins.txt.
    """

    home: Path
    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = DEFAULT_PORT
    database: str = ""
    cluster: str = "local"
    lease_seconds: float = 600.0
    drain_seconds: float = 30.0
    retire_seconds: float = 600.0
    queue_length: Annotated[int, msgspec.Meta(ge=0)] = 0
    queue_seconds: float = 60.0
    worker_requests: Annotated[int, msgspec.Meta(ge=1)] = 1024
    demand_seconds: float = 300.0
    memory_bytes: Annotated[int, msgspec.Meta(ge=0)] = 0
    memory_reserve_bytes: Annotated[int, msgspec.Meta(ge=0)] = 256 * 2**20
    responses_kept: Annotated[int, msgspec.Meta(ge=0)] = 1000
    responses_seconds: Annotated[float, msgspec.Meta(ge=0)] = 30 * 24 * 3600.0
    launch_seconds: float = 3600.0
    environment_seconds: Annotated[float, msgspec.Meta(gt=0)] = 3600.0
    environment_reserve_bytes: Annotated[int, msgspec.Meta(ge=0)] = 1 * 2**30
    restart_limit: int = 5
    restart_seconds: float = 1.0
    body_bytes: int = 64 * 2**20
    plugin_seconds: float = 10.0
    completions_done: bool = False
    trust_remote_code: bool = False
    require_key: bool = False
    insecure: bool = False
    model_src: Literal["auto", "huggingface", "modelscope"] = "auto"
    enable_virtual_env: bool | None = None
    virtual_env_find_links_allowed_roots: tuple[Path, ...] = ()
    package_urls: bool = False
    blocked: tuple[str, ...] = ()

    @property
    def workers_folder(self) -> Path:
        return self.home / "workers"

    @property
    def database_url(self) -> str:
        return self.database or f"sqlite:///{self.home / 'enginehouse.db'}"


def home_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """The home: ENGINEHOUSE_HOME, else XINFERENCE_HOME, else ~/.enginehouse."""
    given = environment.get("ENGINEHOUSE_HOME") or environment.get("XINFERENCE_HOME")
    return Path(given or Path.home() / ".enginehouse").expanduser().absolute()


def settings_from(environment: Mapping[str, str] = os.environ, **given: object) -> Settings:
    """Settings from ENGINEHOUSE_* variables; `given` (None left out) wins. Raises BadRequest naming the variable."""
    home = home_folder(environment)
    read: dict[str, object] = {
        name: environment[variable]
        for name in Settings.__struct_fields__
        if name != "home" and environment.get(variable := f"ENGINEHOUSE_{name.upper()}")
    }
    for name in _OF_BOTH:
        if wish := environment.get(f"ENGINEHOUSE_{name.upper()}") or environment.get(f"XINFERENCE_{name.upper()}"):
            read[name] = wish.lower() if name == "model_src" else wish
    roots = str(read.get(_ROOTS) or Path.home() / "wheels")
    read[_ROOTS] = [root for root in re.split(f"[,{os.pathsep}]", roots) if root.strip()]
    blocked = environment.get("ENGINEHOUSE_BLOCKED_PLUGINS", "").split(",")
    read["blocked"] = [name.strip() for name in blocked if name.strip()]
    values = {"home": str(home), **read, **{key: value for key, value in given.items() if value is not None}}
    try:
        return msgspec.convert(values, Settings, strict=False, dec_hook=_path)
    except msgspec.ValidationError as error:
        raise _wrong_setting(find_wrong_field(error, Settings)) from error


def _wrong_setting(wrong: WrongField) -> BadRequest:
    name = wrong.path.partition("[")[0]
    kind = get_type_hints(Settings).get(name)
    words = f" It may be {', '.join(get_args(kind))}." if get_origin(kind) is Literal else ""
    return BadRequest(
        f"The setting {name} (ENGINEHOUSE_{name.upper()}) is wrong: {wrong.expected}.{words} "
        "See `enginehouse serve --help`.",
        param=name,
    )


def _path(kind: type, value: object) -> object:
    return Path(str(value)) if issubclass(kind, Path) else value
