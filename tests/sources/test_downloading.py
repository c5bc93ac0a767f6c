"""Which files are wanted, and what is refused before a byte comes."""

from __future__ import annotations

from pathlib import Path

import pytest

from enginehouse.builtin.downloading import Listing, RemoteFile, Target, choose_files, fetch_files
from enginehouse.builtin.patience import Complaint, pause_after
from enginehouse.sdk import BadRequest, LaunchFailed, parse_hub_reference


def names(reference: str, *files: str) -> list[str]:
    return [file.name for file in choose_files(parse_hub_reference(reference), [RemoteFile(one, 1) for one in files])]


def test_weights_that_are_there_twice_come_once() -> None:
    files = ("config.json", "model.safetensors", "pytorch_model.bin", "tf_model.h5", "onnx/model.onnx", "m.gguf")
    assert names("o/n", *files, ".gitattributes") == ["config.json", "model.safetensors"]
    assert names("o/n", "config.json", "pytorch_model.bin") == ["config.json", "pytorch_model.bin"]
    folders = ("unet/w.safetensors", "unet/w.bin", "text_encoder/w.bin")
    assert names("o/n", *folders) == ["unet/w.safetensors", "text_encoder/w.bin"]


def test_several_gguf_files_are_several_models() -> None:
    with pytest.raises(BadRequest, match=r"holds 2 GGUF files; say which, e\.g\. o/n#a-Q4\.gguf"):
        names("o/n", "a-Q4.gguf", "a-Q8.gguf")
    assert names("o/n#*Q8.gguf", "a-Q4.gguf", "a-Q8.gguf") == ["a-Q8.gguf"]
    with pytest.raises(BadRequest, match=r"No file of o/n matches \*Q9\*\. It has a-Q4\.gguf"):
        names("o/n#*Q9*", "a-Q4.gguf")


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "a/../../b", ".enginehouse.json", ".partial/x", "a\\b"])
def test_a_hub_cannot_write_elsewhere(name: str) -> None:
    with pytest.raises(LaunchFailed, match="no name to be trusted"):
        names("o/n", "config.json", name)


def test_room_on_the_disk_is_looked_at_first(tmp_path: Path) -> None:
    def download(file: RemoteFile, target: Target) -> None:
        raise AssertionError("nothing may be fetched")

    listing = Listing("c" * 40, (RemoteFile("model.safetensors", 10**18),))
    with pytest.raises(LaunchFailed, match=r"needs 1,000,000,000,000,000,000 bytes, .* Make room"):
        fetch_files("hf:o/n", parse_hub_reference("o/n"), listing, tmp_path, download)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("complaint", "attempt", "pause"),
    [
        (Complaint(500), 1, 0.5),
        (Complaint(None), 3, 2.0),
        (Complaint(429, wish=7.0), 1, 7.0),
        (Complaint(429, wish=9999.0), 1, None),
        (Complaint(503), 5, None),
        (Complaint(404), 1, None),
        (Complaint(None, final=True), 1, None),
    ],
)
def test_patience_has_an_end(complaint: Complaint, attempt: int, pause: float | None) -> None:
    assert pause_after(complaint, attempt) == pause
