"""Files that are no models: each is refused with its reason."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gguf import GGUFWriter

from enginehouse.sdk import EnginehouseError, LaunchFailed
from enginehouse.sdk.gguf import BrokenGguf


def written(file: Path, architecture: str, **texts: str) -> Path:
    """A GGUF file with one tensor and few words."""
    import numpy as np

    writer = GGUFWriter(file, architecture)
    for key, text in texts.items():
        writer.add_string(key.replace("_", "."), text)
    writer.add_tensor("a.weight", np.zeros((2, 32), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


Break = Callable[[Path, Path], Path]


def cut(stoker: Path, folder: Path) -> Path:
    (file := folder / "cut.gguf").write_bytes(stoker.read_bytes()[:-1000])
    return file


def cut_header(stoker: Path, folder: Path) -> Path:
    (file := folder / "cut.gguf").write_bytes(stoker.read_bytes()[:3000])
    return file


def no_gguf(stoker: Path, folder: Path) -> Path:
    (file := folder / "noise.gguf").write_bytes(random.Random(1).randbytes(10_000))
    return file


def empty(stoker: Path, folder: Path) -> Path:
    (file := folder / "empty.gguf").touch()
    return file


FAULTS: dict[str, tuple[Break, type[EnginehouseError], str]] = {
    "cut": (cut, BrokenGguf, "cut off"),
    "cut header": (cut_header, BrokenGguf, "cut off"),
    "noise": (no_gguf, BrokenGguf, "GGUF"),
    "empty": (empty, BrokenGguf, "cut off"),
    "missing": (lambda stoker, folder: folder / "none.gguf", LaunchFailed, "no file"),
    "a folder": (lambda stoker, folder: folder, LaunchFailed, "no file"),
    "unknown architecture": (lambda s, folder: written(folder / "a.gguf", "nonsense"), LaunchFailed, "nonsense"),
    "nothing in it": (lambda s, folder: written(folder / "a.gguf", "llama"), LaunchFailed, "llama"),
    "an adapter": (lambda s, f: written(f / "a.gguf", "llama", general_type="adapter"), LaunchFailed, "adapter"),
    "a projector": (lambda s, f: written(f / "a.gguf", "clip"), LaunchFailed, "clip"),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_file_that_is_no_model_is_refused_with_the_reason(
    stoker: Path, start: Any, tmp_path: Path, fault: str
) -> None:
    break_it, kind, word = FAULTS[fault]
    with pytest.raises(kind) as raised:
        await start(break_it(stoker, tmp_path))
    assert word in raised.value.message and str(tmp_path) in raised.value.message


async def test_what_llama_cpp_said_is_told(stoker: Path, start: Any, tmp_path: Path) -> None:
    with pytest.raises(LaunchFailed, match="unknown model architecture"):
        await start(written(tmp_path / "a.gguf", "nonsense"))


async def test_a_template_that_is_no_jinja_is_refused(stoker: Path, start: Any) -> None:
    with pytest.raises(LaunchFailed, match="chat template"):
        await start(stoker, context={"chat_template": "{% if %}"})


async def test_a_ceiling_below_the_model_itself_is_refused(stoker: Path, start: Any) -> None:
    """Its worker would leave after each answer."""
    with pytest.raises(LaunchFailed, match=r"as soon as it is loaded, and memory_gib allows 0\.001"):
        await start(stoker, memory_gib=0.001)


async def test_signals_are_given_back(stoker: Path, start: Any) -> None:
    """The library takes SIGTERM for itself while it loads; the runner needs it to drain."""
    import asyncio
    import os
    import signal

    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    try:
        await start(stoker, n_parallel=1)
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(10):
            assert await told.wait()
    finally:
        asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)
