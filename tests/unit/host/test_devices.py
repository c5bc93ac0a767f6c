from importlib import metadata
from pathlib import Path

import pytest

from enginehouse.host.devices import driver_cuda_version, installed_packages


def test_all_installed_packages_by_canonical_name() -> None:
    found = installed_packages()
    assert found["msgspec"] == metadata.version("msgspec")
    assert "enginehouse-core" in found and found is installed_packages()


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("| NVIDIA-SMI 570.1   Driver Version: 570.1   CUDA Version: 12.8  |", "12.8"),
        ("CUDA Version        : 13.0", "13.0"),
        ("No devices were found", None),
    ],
)
def test_the_drivers_cuda(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, version: str | None) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\necho '{said}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert driver_cuda_version() == version


def test_no_driver_no_cuda(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert driver_cuda_version() is None
