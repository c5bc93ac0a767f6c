"""Calls about environments. What takes long answers with a work at once; `get_environment_work` says how far it is."""

from __future__ import annotations

from typing import Any

from ..call import DISK_SECONDS, UNBOUNDED, Call, Json, as_object, path_of
from .models import launch_model

_ENVIRONMENTS = "/v1/environments"


def list_environments() -> Call[list[Json]]:
    """Environments that were made: {"digest", "engine", "packages", "size_bytes", "models", "in_use", ...}."""
    return Call(
        action="list the environments",
        method="GET",
        path=_ENVIRONMENTS,
        read_seconds=DISK_SECONDS,
        decode=lambda answer: list(answer["environments"]),
    )


def get_environment(digest: str) -> Call[Json]:
    """An environment with its lock, by its digest or the beginning of it."""
    return Call(
        action="get the environment",
        method="GET",
        path=path_of("v1", "environments", digest),
        read_seconds=DISK_SECONDS,
        decode=as_object,
    )


def lock_environment(model_name: str, upgrade: bool = False, **kwargs: Any) -> Call[Json]:
    """Resolves what `launch_model` with these arguments would need; a work, whose result has `lock` and `digest`.

    upgrade: asks the indexes again although a lock is known.
    """
    return _begin("lock the environment", "lock", {"launch": _launch(model_name, kwargs), "upgrade": upgrade})


def build_environment(model_name: str, **kwargs: Any) -> Call[Json]:
    """Makes what `launch_model` with these arguments would run in; a work, whose result is the environment."""
    return _begin("build the environment", "build", _launch(model_name, kwargs))


def collect_environments(keep_days: float = 0.0, dry_run: bool = False) -> Call[Json]:
    """Removes environments that nobody uses, or used for so many days: {"environments", "freed_bytes", ...}."""
    return Call(
        action="remove environments that nobody uses",
        method="POST",
        path=f"{_ENVIRONMENTS}/gc",
        body={"keep_days": keep_days, "dry_run": dry_run},
        read_seconds=UNBOUNDED,
        decode=as_object,
    )


def export_environment(digest: str) -> Call[Json]:
    """The lock of an environment, for `import_environment` of another server."""
    return Call(
        action="export the environment",
        method="GET",
        path=path_of("v1", "environments", digest, "export"),
        decode=as_object,
    )


def import_environment(exported: Json) -> Call[Json]:
    """Makes the environment of a lock that was exported; a work."""
    return _begin("import the environment", "import", exported)


def verify_environment(digest: str) -> Call[Json]:
    """Compares each file with what was installed; a work, whose result has `differences`."""
    return Call(
        action="verify the environment",
        method="POST",
        path=path_of("v1", "environments", digest, "verify"),
        decode=as_object,
    )


def create_bundle(path: str, model_name: str, **kwargs: Any) -> Call[Json]:
    """Packs all that `launch_model` with these arguments needs into one file of the server's machine; a work."""
    return _begin("create the bundle", "bundles", {"launch": _launch(model_name, kwargs), "path": path})


def load_bundle(path: str) -> Call[Json]:
    """Makes the environment of a bundle on the server's machine, from it alone; a work."""
    return _begin("load the bundle", "bundles/load", {"path": path})


def get_environment_work(work_id: str) -> Call[Json]:
    """How far a work is: {"state", "stage", "progress", "result", "error", ...}."""
    return Call(
        action="get the work",
        method="GET",
        path=path_of("v1", "environments", "works", work_id),
        decode=as_object,
    )


def cancel_environment_work(work_id: str) -> Call[Json]:
    """Ends a work; what it made so far is taken away."""
    return Call(
        action="cancel the work",
        method="DELETE",
        path=path_of("v1", "environments", "works", work_id),
        decode=as_object,
    )


def _begin(action: str, act: str, body: Json) -> Call[Json]:
    return Call(
        action=action,
        method="POST",
        path=f"{_ENVIRONMENTS}/{act}",
        body=body,
        read_seconds=DISK_SECONDS,
        decode=as_object,
    )


def _launch(model_name: str, arguments: Json) -> Json:
    return dict(launch_model(model_name, **arguments).body or {})
