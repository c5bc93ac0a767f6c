"""Shapes of administrative answers, for the API's description. The answers themselves are plain values: these
models document them and are never run on the way out."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class Open(BaseModel):
    """More fields may come: what a model type reports differs by type."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())


class Model(Open):
    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    model_uid: str
    model_type: str
    model_engine: str
    engine_reason: str
    tasks: list[str]
    replica: int
    address: str | None
    accelerators: list[str]
    status: Literal["CREATING", "LOADING", "READY", "RESTARTING", "ERROR", "TERMINATING", "UNLOADED", "ASLEEP"]
    progress: float
    stage: str
    error: str | None
    on_demand: bool
    keep_alive: float | None


class ModelList(Open):
    object: Literal["list"]
    data: list[Model]


class Launched(Open):
    model_uid: str


class Replica(Open):
    replica_id: int
    replica_model_uid: str
    replica_uid: str | None
    worker_address: str | None
    model_address: str | None
    accelerators: list[str]
    gpu_idx: list[int]
    status: str
    created_ts: int | None
    error_message: str | None
    pid: int | None
    restarts: int


class AddedReplica(Open):
    replica_id: int
    replica_model_uid: str
    worker_address: str | None


class ReplicaLogs(Open):
    replica_id: int
    lines: list[str]


class RemainingReplicas(Open):
    remaining_replicas: int


class Instance(Open):
    model_name: str
    model_uid: str
    model_version: str | None
    model_type: str
    model_ability: list[str]
    replica: int
    status: str
    instance_created_ts: int
    n_worker: int
    replica_statuses: list[Replica]


class Families(BaseModel):
    """Names of language models by ability."""

    chat: list[str]
    generate: list[str]
    tools: list[str]
    vision: list[str]
    reasoning: list[str]
    audio: list[str]
    omni: list[str]
    hybrid: list[str]


class VllmFamilies(BaseModel):
    """Names of language models by ability."""

    chat: list[str]
    generate: list[str]


class TypeToUpdate(Open):
    model_type: str


class TypeUpdate(Open):
    model_type: str
    message: str
    updated: bool


class CatalogueUpdate(Open):
    data: TypeUpdate


class ModelVersion(Open):
    """A variant of a model. model_file_location: its path by machine, when it lies there."""

    model_version: str
    model_file_location: dict[str, str] | None
    cache_status: bool
    model_format: str
    model_size_in_billions: int | str
    quantization: str


class VersionToLaunch(Open):
    """As a launch, but for the model, which `model_version` names; other fields are the engine's options."""

    model_version: str
    model_type: str = "LLM"
    model_engine: str | None = None
    model_uid: str | None = None
    replica: int | None = 1
    n_gpu: int | str | None = "auto"
    replica_config: list[dict[str, Any]] | None = None


class RequestProgress(Open):
    """progress: 0 to 1; 0 while the engine says nothing about it."""

    progress: float


class Prompt(Open):
    chat_template: str | None
    stop_token_ids: list[int]
    stop: list[str]


class Progress(Open):
    progress: float
    stage: str
    status: str | None
    error: str | None
    download_files: list[dict[str, Any]]
    replicas: list[dict[str, Any]]


class Event(Open):
    event_type: Literal["INFO", "WARNING", "ERROR"]
    event_ts: float
    event_content: str


class NewRegistration(Open):
    """A model of one's own. model: the registration, as an object or as its JSON text."""

    model: dict[str, Any] | str
    persist: bool | None = False
    worker_ip: str | None = None


class Registered(Open):
    model_name: str
    is_builtin: bool


class ToInspect(Open):
    """Weights to look at. model_path: absolute, on the server's machine; or a hub's id."""

    model_path: str
    model_family: str | None = None


class Drafted(Open):
    """A registration, whole."""

    version: int
    model_name: str
    model_family: str
    context_length: int | None
    model_lang: list[str]
    model_ability: list[str]
    model_specs: list[dict[str, Any]]
    chat_template: str | None


class PluginCertificate(Open):
    """What `enginehouse certify` found. level: null unless the certificate is valid; reason: why it is not."""

    standing: Literal["valid", "altered", "other version", "changed", "unreadable"]
    level: Literal["bronze", "silver", "gold"] | None
    made_at: str | None
    passed: int
    failed: list[str]
    place: str
    reason: str | None


class Plugin(Open):
    name: str
    state: Literal["loaded", "blocked", "incompatible", "quarantined"]
    distribution: str | None
    version: str | None
    contributes: dict[str, list[str]]
    import_seconds: float | None
    reason: str | None
    traceback: str | None
    folder: str | None
    asks: dict[str, str]
    rivals: list[str]
    certificate: PluginCertificate | None = None


class PluginDetails(Plugin):
    requires: list[str]
    used_by: list[str]
    source: str | None
    digest: str | None
    installed_ts: float | None
    adds: list[str]


class ExaminedPlugin(Open):
    name: str
    contributes: dict[str, list[str]]
    asks: dict[str, str]
    requirements: dict[str, list[str]]
    certificate: PluginCertificate | None


class PluginExamination(Open):
    """What installing would bring. upgrades: models whose workers would be replaced."""

    digest: str
    distribution: str
    version: str
    source: str
    plugins: list[ExaminedPlugin]
    requires: list[str]
    adds: list[str]
    size_bytes: int
    replaces: str | None
    upgrades: list[str]


class PluginRemoved(Open):
    """ended: uids of models that were ended."""

    ended: list[str]


class Plugins(BaseModel):
    """All installed plugins."""

    plugins: list[Plugin]


class Key(Open):
    key_id: str
    name: str
    role: Literal["user", "admin"]
    models: list[str]
    requests_per_minute: int | None
    tokens_per_day: int | None
    created_ts: float
    expires_ts: float | None
    revoked_ts: float | None
    hint: str
    state: Literal["valid", "expired", "revoked"]
    tokens_today: int


class MadeKey(Key):
    key: str


class KeyList(Open):
    keys: list[Key]


class Login(Open):
    access_token: str
    refresh_token: str
    token_type: Literal["bearer"]
    expires_in: int


class Auth(Open):
    auth: bool


class Version(Open):
    version: str


class Alive(Open):
    status: Literal["ok"]


class Done(Open):
    status: Literal["ok"]


class Welcome(Open):
    name: str
    version: str
    links: dict[str, str]


class CachedModel(Open):
    """Downloaded weights. bytes: on the disk; used_by: uids of the models declared with them."""

    model_name: str
    model_version: str
    model_size_in_billions: str | None
    model_format: str | None
    quantization: str | None
    uri: str
    revision: str | None
    path: str
    real_path: str
    actor_ip_address: str
    bytes: int
    complete: bool
    used_by: list[str]


class CachedModels(BaseModel):
    """All downloaded weights."""

    list: list[CachedModel]


class CachedFiles(Open):
    model_version: str
    worker_ip: str
    paths: list[str]
    bytes: int


class CacheRemoved(Open):
    result: bool
    bytes: int


class ErrorObject(Open):
    message: str
    type: str
    param: str | None
    code: str | None


class Error(Open):
    error: ErrorObject
    detail: str
