"""The source `hf` against a hub of our own that speaks the real one's protocol, faults included."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from enginehouse.builtin.hub import fetch_hugging_face
from enginehouse.sdk import Cancelled, FetchProgress, LaunchFailed, ModelNotFound, NotAllowed, read_manifest

BAD_TOKEN = "Invalid credentials in Authorization header"
WEIGHTS = os.urandom(300_000)
FILES = {"config.json": b'{"a": 1}', "model.safetensors": WEIGHTS, "sub/notes.txt": b"words"}


@pytest.fixture(autouse=True)
def repository(hub: Any) -> None:
    hub.put("org/tiny", FILES)


def gets(hub: Any, part: str) -> list[dict[str, Any]]:
    return [one for one in hub.requests() if part in one["path"] and one["method"] == "GET"]


def test_a_repository_is_fetched_whole_and_then_never_again(hub: Any, fetch: Any) -> None:
    place = fetch("org/tiny")
    assert {name: (place / name).read_bytes() for name in FILES} == FILES
    assert {one.file for one in fetch.reports} >= set(FILES)
    assert max(one.done_bytes for one in fetch.reports) == len(WEIGHTS)
    before = len(hub.requests())
    assert fetch("org/tiny") == place
    assert len(hub.requests()) == before
    assert not list(place.glob(".partial")) and not list(place.glob(".download.log"))


def test_sums_are_right_from_the_first_report(fetch: Any) -> None:
    fetch("org/tiny")
    first = [one for one in fetch.reports if one.file][: len(FILES)]
    assert {one.file: one.total_bytes for one in first} == {name: len(data) for name, data in FILES.items()}


def test_a_cut_connection_is_taken_up_where_it_broke(hub: Any, fetch: Any) -> None:
    hub.order(cut={"model.safetensors": [140_000]})
    place = fetch("org/tiny")
    assert (place / "model.safetensors").read_bytes() == WEIGHTS
    ranges = [one["range"] for one in gets(hub, "/lfs/")]
    assert ranges[0] is None and len(ranges) == 2
    assert ranges[1] is not None and int(ranges[1].removeprefix("bytes=").rstrip("-")) >= 64 * 2**10


def test_a_cancelled_fetch_leaves_what_came(hub: Any, fetch: Any) -> None:
    hub.order(pace={"model.safetensors": 0.05})

    def report(progress: FetchProgress) -> None:
        if progress.file == "model.safetensors" and progress.done_bytes >= 65_536:
            raise Cancelled("not wanted")

    with pytest.raises(Cancelled):
        fetch_hugging_face("org/tiny", fetch.folder, report)
    kept = sum(file.stat().st_size for file in (fetch.folder / ".partial").iterdir())
    assert kept >= 65_536
    hub.order()
    assert (fetch("org/tiny") / "model.safetensors").read_bytes() == WEIGHTS
    assert [one["range"] for one in gets(hub, "/lfs/")] == [f"bytes={kept}-"]


def test_a_partial_file_is_begun_again_where_the_hub_knows_no_ranges(hub: Any, fetch: Any) -> None:
    hub.order(cut={"model.safetensors": [140_000]}, deaf_to_ranges=True)
    assert (fetch("org/tiny") / "model.safetensors").read_bytes() == WEIGHTS


@pytest.mark.parametrize("spoilt", ["model.safetensors", "config.json"])
def test_a_wrong_checksum_is_told_and_nothing_of_it_kept(hub: Any, fetch: Any, spoilt: str) -> None:
    hub.order(corrupt=[spoilt])
    with pytest.raises(LaunchFailed, match=rf"{spoilt} came with a checksum other than the hub's"):
        fetch("org/tiny")
    assert not (fetch.folder / spoilt).exists()
    hub.order()
    assert (fetch("org/tiny") / "model.safetensors").read_bytes() == WEIGHTS


def test_a_spoilt_partial_file_is_fetched_once_more(hub: Any, fetch: Any) -> None:
    hub.order(stall={"model.safetensors": 140_000})
    with pytest.raises(LaunchFailed):
        short_silence(fetch)
    partial = next(file for file in (fetch.folder / ".partial").iterdir() if file.stat().st_size > 1000)
    partial.write_bytes(b"\0" * partial.stat().st_size)
    hub.order()
    assert (fetch("org/tiny") / "model.safetensors").read_bytes() == WEIGHTS
    assert len(gets(hub, "/lfs/")) == 2


def short_silence(fetch: Any) -> None:
    os.environ["ENGINEHOUSE_DOWNLOAD_SILENCE_SECONDS"] = "2.5"
    try:
        fetch("org/tiny")
    finally:
        del os.environ["ENGINEHOUSE_DOWNLOAD_SILENCE_SECONDS"]


def test_a_line_that_went_dead_is_given_up(hub: Any, fetch: Any) -> None:
    hub.order(stall={"model.safetensors": 140_000})
    began = time.monotonic()
    with pytest.raises(LaunchFailed, match=r"Nothing came for 2\.5 s .* model\.safetensors\. .* kept"):
        short_silence(fetch)
    assert time.monotonic() - began < 9


def test_a_slow_line_is_not_dead(hub: Any, fetch: Any) -> None:
    hub.order(pace={"model.safetensors": 0.06})  # longer in all than the silence that would end it
    short_silence(fetch)
    seen = [one.done_bytes for one in fetch.reports if one.file == "model.safetensors"]
    assert seen == sorted(seen) and len(set(seen)) >= 4


@pytest.mark.parametrize(
    ("reference", "fault", "kind", "words"),
    [
        ("org/nothing", {}, ModelNotFound, "no org/nothing on Hugging Face, or it is private"),
        ("org/tiny@v9", {}, ModelNotFound, "no revision 'v9'"),
        ("org/tiny", {"gated": True}, NotAllowed, "accepted its terms.*HF_TOKEN"),
        ("org/tiny", {"answers": [[401, {"X-Error-Message": BAD_TOKEN}]]}, NotAllowed, "refuses the token"),
        ("org/tiny", {"answers": [[429, {"Retry-After": "100000"}]]}, LaunchFailed, "too many requests"),
    ],
)  # fmt: skip
def test_refusals_say_what_to_do(
    hub: Any, fetch: Any, reference: str, fault: dict[str, Any], kind: type[Exception], words: str
) -> None:
    hub.order(**fault)
    with pytest.raises(kind, match=words):
        fetch(reference)
    assert (read_manifest(fetch.folder) is not None) == fetch.folder.exists()  # nothing stays of what was refused


def test_too_many_requests_are_waited_out_as_long_as_the_hub_says(hub: Any, fetch: Any) -> None:
    hub.order(answers=[[429, {"Retry-After": "1"}]])
    began = time.monotonic()
    fetch("org/tiny")
    assert time.monotonic() - began >= 1


def test_a_hub_that_fails_is_asked_again_and_then_given_up(hub: Any, fetch: Any) -> None:
    hub.order(answers=[[500, {}], [503, {}]])
    fetch("org/tiny")
    hub.order(answers=[[502, {}]] * 20)
    fetch.folder = fetch.folder.with_name("other")
    with pytest.raises(LaunchFailed, match=r"Hugging Face failed at org/tiny: .*502"):
        fetch("org/tiny")
    assert 2 < len(hub.requests()) < 10


def test_a_token_is_for_the_hub_alone(hub: Any, fetch: Any, variables: pytest.MonkeyPatch) -> None:
    variables.setenv("HF_TOKEN", "hf_secret")
    hub.order(gated=True)
    fetch("org/tiny")
    assert {one["authorization"] for one in gets(hub, "/resolve/")} == {"Bearer hf_secret"}
    assert {one["authorization"] for one in gets(hub, "/lfs/")} == {None}


def test_a_revision_is_pinned_by_its_commit(hub: Any, fetch: Any) -> None:
    fetch("org/tiny")
    first = read_manifest(fetch.folder)
    assert first is not None and first.complete and len(first.commit) == 40
    other = fetch.folder.with_name("pinned")
    fetch.folder = other
    fetch(f"org/tiny@{first.commit}")
    manifest = read_manifest(other)
    assert manifest is not None and manifest.commit == first.commit


def test_patterns_choose_files(hub: Any, fetch: Any) -> None:
    hub.put("org/many", {"m-Q4_K_M.gguf": b"four", "m-Q8_0.gguf": b"eight", "README.md": b"read"})
    assert fetch("org/many#*Q4_K_M.gguf") == fetch.folder / "m-Q4_K_M.gguf"
    assert not (fetch.folder / "m-Q8_0.gguf").exists()
    manifest = read_manifest(fetch.folder)
    assert manifest is not None and set(manifest.listing) == {"m-Q4_K_M.gguf", "m-Q8_0.gguf", "README.md"}


def test_offline_only_what_is_here(hub: Any, fetch: Any, variables: pytest.MonkeyPatch) -> None:
    fetch("org/tiny")
    hub.order()
    variables.setenv("HF_HUB_OFFLINE", "1")
    fetch("org/tiny")
    fetch.folder = fetch.folder.with_name("other")
    with pytest.raises(LaunchFailed, match=r"hf:org/tiny is not on this machine, and HF_HUB_OFFLINE forbids"):
        fetch("org/tiny")
    variables.delenv("HF_HUB_OFFLINE")
    variables.setenv("ENGINEHOUSE_OFFLINE", "1")
    with pytest.raises(LaunchFailed, match="ENGINEHOUSE_OFFLINE forbids"):
        fetch("org/tiny")
    assert hub.requests() == []


def test_a_file_that_was_damaged_since_is_fetched_again(hub: Any, fetch: Any) -> None:
    place = fetch("org/tiny")
    (place / "model.safetensors").write_bytes(b"short")
    hub.order()
    assert (fetch("org/tiny") / "model.safetensors").read_bytes() == WEIGHTS
    assert not gets(hub, "config.json")


def test_a_hub_out_of_reach_is_told(fetch: Any, variables: pytest.MonkeyPatch, unused_port: int) -> None:
    variables.setenv("HF_ENDPOINT", f"http://127.0.0.1:{unused_port}")
    with pytest.raises(LaunchFailed, match="Is the hub within reach"):
        fetch("org/tiny")


def test_the_server_never_imports_the_hub_library(fetch: Any) -> None:
    import subprocess
    import sys

    code = (
        "import sys; from pathlib import Path; from enginehouse.builtin.hub import fetch_hugging_face as f;"
        f"f('org/tiny', Path({str(fetch.folder)!r}), lambda p: None);"
        "sys.exit('huggingface_hub' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_the_child_ends_with_its_server(hub: Any, fetch: Any, wait: Any, running: Any) -> None:
    import subprocess
    import sys

    hub.order(pace={"model.safetensors": 0.5})
    code = (
        "from pathlib import Path; from enginehouse.builtin.hub import fetch_hugging_face as f;"
        f"f('org/tiny', Path({str(fetch.folder)!r}), lambda p: None)"
    )
    server = subprocess.Popen([sys.executable, "-c", code])
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children")
    wait(lambda: gets(hub, "/lfs/"), 30, "the download")
    child = int(wait(lambda: children_of(server.pid) or children.read_text().split(), 10)[0])
    server.kill()
    server.wait(10)
    assert wait(lambda: not running(child), 10, "the child's end")


def children_of(pid: int) -> list[str]:
    found: list[str] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += (task / "children").read_text().split()
    return found


def test_cancel_is_heard_while_nothing_comes(hub: Any, fetch: Any) -> None:
    hub.order(stall={"model.safetensors": 10_000})
    unwanted = threading.Event()
    threading.Timer(2.5, unwanted.set).start()

    def report(progress: FetchProgress) -> None:
        if unwanted.is_set():
            raise Cancelled("not wanted")

    began = time.monotonic()
    with pytest.raises(Cancelled):
        fetch_hugging_face("org/tiny", fetch.folder, report)
    assert time.monotonic() - began < 6
