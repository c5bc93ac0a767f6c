"""Downloaded weights are removed at once or not at all, whatever else happens to them."""

from __future__ import annotations

from pathlib import Path

import pytest

from enginehouse.host.weight_cache import (
    CachedWeights,
    WeightsNotRemoved,
    clear_removed,
    files_of,
    remove_aside,
    set_aside,
)
from enginehouse.sdk import Conflict, ModelNotFound

URI = "hf:a/b"


@pytest.fixture
def weights(tmp_path: Path) -> CachedWeights:
    folder = tmp_path / "weights" / "hf" / "a--b"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "model.safetensors").write_bytes(b"1234")
    return CachedWeights(model_name="b", model_version="b", uri=URI, path=str(folder), bytes=4, complete=True)


def test_what_a_launch_took_into_use_meanwhile_stays(weights: CachedWeights) -> None:
    assert weights.used_by == ()  # when it was listed
    with pytest.raises(Conflict, match="in use by late"):
        set_aside(weights, {"late": URI, "other": "hf:c/d"})
    assert [Path(file).name for file in files_of(weights)] == ["model.safetensors"]


def test_the_second_of_two_that_remove_is_told(weights: CachedWeights) -> None:
    aside = set_aside(weights, {})
    assert files_of(weights) == [] and aside.is_dir()
    with pytest.raises(ModelNotFound, match="gone already"):
        set_aside(weights, {})
    remove_aside(aside)
    assert not aside.exists()
    with pytest.raises(WeightsNotRemoved, match="by hand"):
        remove_aside(aside)


def test_a_removal_that_a_crash_cut_short_is_ended(weights: CachedWeights, tmp_path: Path) -> None:
    aside = set_aside(weights, {})
    clear_removed(tmp_path)
    assert not aside.exists()
