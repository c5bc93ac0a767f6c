"""The process that downloads from the Hugging Face hub: `python -m enginehouse.builtin.hugging_face FOLDER REFERENCE`.

The library's own download to a folder begins each file again after a break, so its lower half is used: the list of
files with their checksums, its headers and tokens, and its `http_get`, which goes on from a given byte.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import cast

# Content arrives over plain HTTP, which resumes at a byte: its other way (Xet) cannot.
os.environ.setdefault("HF_HUB_DISABLE_XET", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"

from huggingface_hub import HfApi, constants, hf_hub_url
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

from ..sdk import EnginehouseError, HubReference, LaunchFailed, ModelNotFound, NotAllowed, parse_hub_reference
from .downloading import Listing, RemoteFile, Target, fetch_files, name_error, run
from .patience import Complaint, Manners, patiently

LARGEST_BYTES = 50 * 10**9  # of one file over plain HTTP, by the rules of the real hub
LIST_SECONDS = 30.0  # the list of files is one answer from the hub's database

CHUNK_BYTES = 64 * 2**10  # the library collects 10 MB before it passes them on: a slow line would look dead


def fetch(folder: Path, text: str) -> None:
    """Brings `text` (org/name[@revision][#pattern,...]) into `folder`. Raises EnginehouseError."""
    reference = parse_hub_reference(text)
    manners = Manners(_read, partial(_explain, reference))
    listing = patiently(lambda: _list(reference), manners, lambda: 0)

    def download(file: RemoteFile, target: Target) -> None:
        patiently(lambda: _get(reference, listing.commit, target), manners, lambda: target.held)

    fetch_files(f"hf:{text}", reference, listing, folder, download)


def _list(reference: HubReference) -> Listing:
    info = HfApi().model_info(
        reference.repository, revision=reference.revision, files_metadata=True, timeout=LIST_SECONDS
    )
    files = tuple(
        RemoteFile(one.rfilename, one.size or 0, one.lfs.sha256 if one.lfs else None, one.blob_id)
        for one in info.siblings or ()
    )
    if not info.sha:
        raise LaunchFailed(f"The hub says no commit of {reference}; is HF_ENDPOINT the address of a hub?")
    return Listing(info.sha, files)


def _get(reference: HubReference, commit: str, target: Target) -> None:
    if target.file.size > LARGEST_BYTES:
        raise LaunchFailed(
            f"{target.file.name} is larger than {LARGEST_BYTES // 10**9} GB, which Hugging Face gives only to its own "
            f"program: run `hf download {reference.repository}` and launch the folder with model_path."
        )
    http_get(
        hf_hub_url(reference.repository, target.file.name, revision=commit),
        cast("object", target),  # type: ignore[arg-type]
        resume_size=target.held,
        headers=build_hf_headers(),
        expected_size=target.file.size,
        displayed_filename=target.file.name,
    )


def _read(error: Exception) -> Complaint:
    status, wish = _status(error), None
    if status in (429, 503) and isinstance(error, HfHubHTTPError):
        said = str(error.response.headers.get("Retry-After", ""))
        wish = float(said) if said.isdigit() else None
    return Complaint(status, wish, final=isinstance(error, ValueError))


def _status(error: Exception) -> int | None:
    return error.response.status_code if isinstance(error, HfHubHTTPError) else None


def _explain(reference: HubReference, error: Exception) -> EnginehouseError:
    """What it means to somebody who wanted to launch a model."""
    token = "set HF_TOKEN (or log in with `hf auth login`) on the server's machine"
    where = f"https://huggingface.co/{reference.repository}"
    if isinstance(error, RevisionNotFoundError):
        return ModelNotFound(f"{reference.repository} has no revision {reference.revision!r} on Hugging Face.")
    if isinstance(error, GatedRepoError) or _status(error) == 403:
        return NotAllowed(f"{reference.repository} is for those who accepted its terms: see {where}, then {token}.")
    if isinstance(error, RepositoryNotFoundError):
        return ModelNotFound(f"There is no {reference.repository} on Hugging Face, or it is private: then {token}.")
    if _status(error) == 401:
        return NotAllowed(f"Hugging Face refuses the token for {reference.repository}: {token}.")
    if _status(error) == 429:
        return LaunchFailed(f"Hugging Face has had too many requests from here (429); launch again later, or {token}.")
    if _status(error) is None:
        return LaunchFailed(
            f"Files of {reference.repository} could not be downloaded: {name_error(error)}. Is the hub within reach? "
            "HF_ENDPOINT names another, ENGINEHOUSE_OFFLINE=1 uses only what is here. What came is kept."
        )
    return LaunchFailed(f"Hugging Face failed at {reference}: {name_error(error)}. What came is kept; launch again.")


if __name__ == "__main__":
    constants.DOWNLOAD_CHUNK_SIZE = CHUNK_BYTES
    run(fetch, sys.argv[1:])
