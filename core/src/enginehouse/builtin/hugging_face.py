"""The process that downloads from the Hugging Face hub: `python -m enginehouse.builtin.hugging_face FOLDER REFERENCE`.

The library's own download to a folder begins each file again after a break, so its lower half is used: the list of
files with their checksums, its headers and tokens, and its `http_get`, which goes on from a given byte.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

# Content arrives over plain HTTP, which resumes at a byte: its other way (Xet) cannot.
os.environ.setdefault("HF_HUB_DISABLE_XET", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"

from huggingface_hub import HfApi, constants, hf_hub_url
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

from ..sdk import EnginehouseError, HubReference, LaunchFailed, ModelNotFound, NotAllowed, parse_hub_reference
from .downloading import Listing, RemoteFile, Target, fetch_files, name_error, run, say

ATTEMPTS = 5  # without one new byte between them
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 8.0  # seconds between attempts, doubled each time
LONGEST_WISH = 300.0  # a hub that asks for more patience than this is asked again by whoever launches
LIST_SECONDS = 30.0  # the list of files is one answer from the hub's database

CHUNK_BYTES = 64 * 2**10  # the library collects 10 MB before it passes them on: a slow line would look dead

T = TypeVar("T")


def fetch(folder: Path, text: str) -> None:
    """Brings `text` (org/name[@revision][#pattern,...]) into `folder`. Raises EnginehouseError."""
    reference = parse_hub_reference(text)
    listing = _patiently(lambda: _list(reference), reference, lambda: 0)

    def download(file: RemoteFile, target: Target) -> None:
        _patiently(lambda: _get(reference, listing.commit, target), reference, lambda: target.held)

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
    http_get(
        hf_hub_url(reference.repository, target.file.name, revision=commit),
        cast("object", target),  # type: ignore[arg-type]
        resume_size=target.held,
        headers=build_hf_headers(),
        expected_size=target.file.size,
        displayed_filename=target.file.name,
    )


def _patiently(work: Callable[[], T], reference: HubReference, done: Callable[[], int]) -> T:
    """What `work` returns; again after what may pass. Raises EnginehouseError for the rest."""
    attempt, before = 0, done()
    while True:
        try:
            return work()
        except EnginehouseError:
            raise
        except Exception as error:
            attempt, before = (attempt + 1, before) if done() == before else (1, done())
            pause = _pause(error, attempt)
            if pause is None:
                raise _explain(error, reference) from error
            say("waiting", seconds=pause, why=name_error(error))
            time.sleep(pause)


def _pause(error: Exception, attempt: int) -> float | None:
    """Seconds until the next attempt; None when another would end the same or the hub wants too much patience."""
    status = _status(error)
    passing = status is None or status in (408, 429) or status >= 500
    if not passing or attempt >= ATTEMPTS or isinstance(error, ValueError):
        return None
    pause = min(FIRST_PAUSE * 2 ** (attempt - 1), LONGEST_PAUSE)
    if status in (429, 503) and isinstance(error, HfHubHTTPError):
        wish = str(error.response.headers.get("Retry-After", ""))
        pause = float(wish) if wish.isdigit() else pause
    return pause if pause <= LONGEST_WISH else None


def _status(error: Exception) -> int | None:
    return error.response.status_code if isinstance(error, HfHubHTTPError) else None


def _explain(error: Exception, reference: HubReference) -> EnginehouseError:
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
            f"{reference} could not be downloaded: {name_error(error)}. Is the hub within reach? HF_ENDPOINT names "
            "another, ENGINEHOUSE_OFFLINE=1 uses only what is here. What came is kept."
        )
    return LaunchFailed(f"Hugging Face failed at {reference}: {name_error(error)}. What came is kept; launch again.")


if __name__ == "__main__":
    constants.DOWNLOAD_CHUNK_SIZE = CHUNK_BYTES
    run(fetch, sys.argv[1:])
