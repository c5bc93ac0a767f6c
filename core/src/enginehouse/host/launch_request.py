"""What a caller asks for when launching: the body of `POST /v1/models`, checked."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import msgspec

from ..sdk import BadRequest, size_in_billions
from .model_draft import name_for
from .package_words import check_words
from .replica_config import check_chosen, check_config
from .wrong_fields import find_wrong_field

NotNegative = Annotated[int, msgspec.Meta(ge=0)]
Replicas = Annotated[int, msgspec.Meta(ge=1, le=64)]
_UID = re.compile(r"[^\x00-\x1f/?#]{1,100}")
_REPLICA_SUFFIX = re.compile(r"-rep\d+$")


class LaunchRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Every field of `Client.launch_model`; whatever else was sent is in `options`, for the engine.

    model_name: may be left out beside model_path, whose last part it is then.
    request_limits: requests at once for each replica; queue_length: how many more wait for a turn.
    on_demand: declared now, loaded by the first request. keep_alive: seconds without a request after which it is
    unloaded, until the next one; null: never.
    environment: "system", "uv" or "path:" and an interpreter, where enable_virtual_env does not say enough.
    Fields that only later features use are kept and refused by planning when they are set.
    """

    model_name: str
    model_type: str = "LLM"
    model_engine: str | None = None
    model_uid: str | None = None
    model_size_in_billions: int | float | str | None = None
    model_format: str | None = None
    quantization: str | None = None
    replica: Replicas = 1
    n_worker: Annotated[int, msgspec.Meta(ge=1)] = 1
    n_gpu: int | str | None = "auto"
    peft_model_config: dict[str, Any] | None = None
    request_limits: NotNegative | None = None
    queue_length: NotNegative | None = None
    on_demand: bool = False
    keep_alive: Annotated[float, msgspec.Meta(ge=0)] | None = None
    worker_ip: str | list[str] | None = None
    gpu_idx: int | list[int] | None = None
    replica_config: list[dict[str, Any]] | None = None
    model_path: str | None = None
    download_hub: str | None = None
    enable_thinking: bool | None = None
    reasoning_content: bool | None = None
    enable_virtual_env: bool | None = None
    virtual_env_packages: list[str] | None = None
    virtual_env_find_links: list[str] | None = None
    environment: str | None = None
    envs: dict[str, str] | None = None
    trust_remote_code: bool = False
    options: dict[str, Any] = {}

    @property
    def may_unload(self) -> bool:
        """Whether it may be declared and not in memory, so that requests wait for it."""
        return self.on_demand or self.keep_alive is not None


_FIELDS = frozenset(LaunchRequest.__struct_fields__) - {"options"}
_DEFAULTED = (
    "model_type",
    "replica",
    "n_worker",
    "trust_remote_code",
    "on_demand",
)  # null means the default, as clients send it


def parse_launch(body: object) -> LaunchRequest:
    """Checks a launch body. Raises BadRequest that names the field and what it may be."""
    if not isinstance(body, dict):
        raise BadRequest("The body of a launch must be a JSON object with at least `model_name`.")
    known = {key: value for key, value in body.items() if key in _FIELDS}
    for key in _DEFAULTED:
        if known.get(key, 0) is None:
            del known[key]
    if isinstance(known.get("replica"), str) and known["replica"].isdigit():
        known["replica"] = int(known["replica"])
    if not known.get("model_name") and isinstance(known.get("model_path"), str) and known["model_path"]:
        known["model_name"] = name_for(Path(known["model_path"]))
    if not known.get("model_name"):
        raise BadRequest("Say which model to launch: `model_name` is missing.", param="model_name")
    options = {key: value for key, value in body.items() if key not in _FIELDS and value is not None}
    options.pop("wait_ready", None)
    try:
        request = msgspec.convert({**known, "options": options}, LaunchRequest)
    except msgspec.ValidationError as error:
        wrong = find_wrong_field(error, LaunchRequest)
        raise BadRequest(f"This launch cannot be read: {wrong}.", param=wrong.path or None) from error
    check_uid(request.model_uid)
    if request.model_size_in_billions is not None:
        size_in_billions(request.model_size_in_billions)
    _check_devices(request)
    check_words(request.virtual_env_packages or (), "virtual_env_packages")
    return request


def _check_devices(request: LaunchRequest) -> None:
    check_chosen(request.gpu_idx, request.replica)
    others = {
        "gpu_idx": request.gpu_idx,
        "worker_ip": request.worker_ip,
        "n_gpu": None if request.n_gpu == "auto" else request.n_gpu,
        "n_worker": request.n_worker if request.n_worker > 1 else None,
    }
    check_config(request.replica_config, request.replica, others)


def check_uid(uid: str | None) -> None:
    """Raises BadRequest unless `uid` is None or 1 to 100 characters without '/', '?', '#', not ending in -rep0."""
    if uid is None:
        return
    if not _UID.fullmatch(uid) or uid != uid.strip() or _REPLICA_SUFFIX.search(uid):
        raise BadRequest(
            f"model_uid {uid!r} will not do: 1 to 100 characters, no '/', '?', '#', no space at either end, "
            "and not ending in '-rep' and a number.",
            param="model_uid",
        )
