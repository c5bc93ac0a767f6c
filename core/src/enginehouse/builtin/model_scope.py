"""The process that downloads from ModelScope: `python -m enginehouse.builtin.model_scope FOLDER REFERENCE`.

Needs only `modelscope-hub`, the part of the ModelScope library that talks to the hub. A revision there is a branch or a
tag; files are checked against the sha256 in the hub's list.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path

from modelscope_hub import HubApi
from modelscope_hub.errors import AuthenticationError, HubError, NotExistError, PermissionDeniedError

from ..sdk import EnginehouseError, HubReference, LaunchFailed, ModelNotFound, NotAllowed, parse_hub_reference
from .downloading import Listing, RemoteFile, Target, fetch_files, name_error, run
from .patience import Complaint, Manners, patiently

DEFAULT_REVISION = "master"
CHUNK_BYTES = 64 * 2**10


def fetch(folder: Path, text: str) -> None:
    """Brings `text` (org/name[@revision][#pattern,...]) into `folder`. Raises EnginehouseError."""
    reference = parse_hub_reference(text)
    manners = Manners(_read, partial(_explain, reference))
    api = HubApi()
    listing = patiently(lambda: _list(api, reference), manners, lambda: 0)

    def download(file: RemoteFile, target: Target) -> None:
        patiently(lambda: _get(api, reference, target), manners, lambda: target.held)

    fetch_files(f"modelscope:{text}", reference, listing, folder, download)


def _list(api: HubApi, reference: HubReference) -> Listing:
    revision = reference.revision or DEFAULT_REVISION
    found = api.list_repo_files(reference.repository, "model", revision=revision)
    return Listing(revision, tuple(RemoteFile(one.path, one.size, one.sha256) for one in found if not one.is_dir))


def _get(api: HubApi, reference: HubReference, target: Target) -> None:
    revision = reference.revision or DEFAULT_REVISION
    headers = {"Range": f"bytes={target.held}-"} if target.held else {}
    with api.legacy.download_stream(reference.repository, "model", target.file.name, revision, headers) as answer:
        if target.held and answer.status_code != 206:  # the whole file comes
            target.seek(0)
            target.truncate()
        for chunk in answer.iter_content(CHUNK_BYTES):
            target.write(chunk)
    if target.held != target.file.size:
        raise ConnectionError(f"{target.file.name} ended after {target.held:,} of {target.file.size:,} bytes")


def _read(error: Exception) -> Complaint:
    wish = getattr(error, "retry_after", None)
    return Complaint(
        getattr(error, "status_code", None),
        None if wish is None else float(wish),
        final=isinstance(error, HubError) and not error.retryable,
    )


def _explain(reference: HubReference, error: Exception) -> EnginehouseError:
    """What it means to somebody who wanted to launch a model."""
    token = "set MODELSCOPE_API_TOKEN on the server's machine"
    if isinstance(error, NotExistError):
        return ModelNotFound(
            f"There is no {reference.repository} at {reference.revision or DEFAULT_REVISION} on ModelScope, or it is "
            f"private: then {token}."
        )
    if isinstance(error, AuthenticationError | PermissionDeniedError):
        return NotAllowed(f"ModelScope does not give {reference.repository} to whoever asks: {token}.")
    return LaunchFailed(
        f"ModelScope failed at {reference}: {name_error(error)}. What came is kept; launch again. "
        "MODELSCOPE_ENDPOINT names another hub, ENGINEHOUSE_OFFLINE=1 uses only what is here."
    )


if __name__ == "__main__":
    os.environ.setdefault("MODELSCOPE_LOG_LEVEL", "40")
    run(fetch, sys.argv[1:])
