"""Outlooks of made-up launches on made-up machines."""

from pathlib import Path

import pytest

from enginehouse.builtin.plugin import enginehouse_sources
from enginehouse.host.contributions import Contributions
from enginehouse.host.devices import Machine
from enginehouse.host.launch_request import LaunchRequest
from enginehouse.host.outlook import Outlook, look_ahead
from enginehouse.host.planning import Knowledge, make_plan
from enginehouse.host.weights import WEIGHTS_FOLDER, folder_of
from enginehouse.host.whereabouts import find_weights
from enginehouse.sdk import (
    Device,
    EngineSpec,
    Manifest,
    MemoryFacts,
    ModelFamily,
    ModelType,
    Options,
    SourceSpec,
    Variant,
    write_manifest,
)

GB = 10**9


class ExampleOptions(Options, frozen=True, kw_only=True):
    max_context: int = 0


def estimate(facts: MemoryFacts, options: ExampleOptions) -> dict[str, int]:
    """A megabyte a token, so that numbers are easy to follow."""
    return {"weights": facts.weight_bytes, "libraries": GB // 10, "kv_cache": (facts.context_length or 0) * 10**6}


def variant(size: str, quantization: str, gigabytes: float) -> Variant:
    return Variant(
        format="pytorch",
        size_in_billions=size,
        quantization=quantization,
        sources=(f"file:/nowhere/{size}",),
        weight_bytes=int(gigabytes * GB),
    )


FAMILY = ModelFamily(
    name="m",
    model_type="LLM",
    variants=(variant("7", "none", 14), variant("7", "Int4", 4), variant("1", "none", 2), variant("70", "none", 140)),
    abilities=("generate",),
    context_length=8192,
)
ENGINE = EngineSpec(
    name="e",
    tasks=("generate",),
    formats=("pytorch",),
    devices=("cuda", "cpu"),
    engine="a:B",
    options=ExampleOptions,
    memory=f"{__name__}:estimate",
)
PICKY = EngineSpec(name="picky", tasks=("generate",), formats=("mlx",), platforms=("plan9",), engine="a:B")


def known(free: float | None = None, *devices: float) -> Knowledge:
    contributions = Contributions()
    contributions.add(
        {
            "enginehouse_model_types": [ModelType(name="LLM", tasks=("generate",), abilities=())],
            "enginehouse_families": [FAMILY],
            "enginehouse_engines": [ENGINE, PICKY],
            "enginehouse_sources": list(enginehouse_sources()),
        }
    )
    gpus = tuple(Device(kind="cuda", index=n, free_bytes=int(size * GB)) for n, size in enumerate(devices))
    machine = Machine(platform="linux", devices=gpus, free_bytes=None if free is None else int(free * GB))
    return Knowledge(contributions, machine, lambda family, variant, able: (able[0], "test"))


def look(knowledge: Knowledge, **fields: object) -> Outlook:
    request = LaunchRequest(model_name="m", model_engine="e", **fields)  # type: ignore[arg-type]
    return look_ahead(make_plan(request, knowledge), knowledge, Path("/nonexistent"))


def test_one_that_fits() -> None:
    made = look(known(100))
    assert (made.fit.fits, made.fit.needed_bytes, made.fit.free_bytes) == (
        True,
        14 * GB + GB // 10 + 8_192_000_000,
        100 * GB,
    )
    assert made.fit.alternatives == ()
    assert made.memory.basis == "the size that the family gives"


def test_reasons_against_every_other_engine() -> None:
    (other,) = look(known(100)).other_engines
    assert (other.name, other.usable) == ("picky", False)
    assert {reason.code for reason in other.reasons} == {"format", "platform"}


def test_what_would_fit_instead() -> None:
    changes = [one.change for one in look(known(30), replica=3).fit.alternatives]
    assert changes == [{"replica": 1}]
    shorter = look(known(17)).fit
    assert shorter.fits is False
    assert shorter.alternatives[0].change == {"max_context": 2048}  # half of 8192 is still too long
    assert shorter.alternatives[0].needed_bytes <= 17 * GB
    assert [one.change.get("quantization") for one in shorter.alternatives[1:]] == ["Int4", "none"]


def test_nothing_would_fit() -> None:
    assert look(known(0.5)).fit.alternatives == ()


def test_without_a_reading_nobody_knows() -> None:
    assert look(known()).fit.fits is None
    assert look(known(100, 0)).fit.fits is None


def test_accelerators_count_each_for_itself() -> None:
    assert look(known(1, 30, 30), replica=2).fit.fits
    shared = look(known(1, 30), replica=2).fit
    assert shared.fits is False  # both on the same one
    assert shared.needed_bytes == 2 * (14 * GB + 8_192_000_000)  # libraries lie in the machine's memory
    assert shared.alternatives[0].change == {"replica": 1}
    assert look(known(1, 15, 15), n_gpu=2).fit.fits  # a replica on two lies on them in equal parts


def test_options_are_all_named_with_their_defaults_marked() -> None:
    (state,) = look(known(100), options={"max_context": 512}).options
    assert (state.name, state.value, state.is_default) == ("max_context", 512, False)
    (state,) = look(known(100)).options
    assert (state.value, state.is_default) == (0, True)


class TestWhereabouts:
    @pytest.fixture
    def contributions(self) -> Contributions:
        contributions = Contributions()
        remote = SourceSpec(scheme="far", fetch="nowhere:at_all")
        broken = SourceSpec(scheme="broken", fetch="nowhere:at_all", local=True)
        contributions.add({"enginehouse_sources": [remote, broken, *local_sources()]})
        return contributions

    def test_a_folder(self, contributions: Contributions, tmp_path: Path) -> None:
        (tmp_path / "a").write_bytes(b"12345")
        found = find_weights(f"file:{tmp_path}", contributions, tmp_path / "home")
        assert (found.path, found.bytes_on_disk, found.bytes_to_download) == (str(tmp_path), 5, 0)

    @pytest.mark.parametrize("source", ["file:/not/there", "broken:x", "unknown:x"])
    def test_what_is_not_there(self, contributions: Contributions, tmp_path: Path, source: str) -> None:
        assert find_weights(source, contributions, tmp_path).path is None
        assert list(tmp_path.iterdir()) == []

    def test_a_download_that_has_not_begun(self, contributions: Contributions, tmp_path: Path) -> None:
        found = find_weights("far:a/b", contributions, tmp_path, 77)
        assert (found.path, found.bytes_on_disk, found.bytes_to_download) == (None, 0, 77)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(("complete", "left"), [(False, 60), (True, 0)])
    def test_a_download(self, contributions: Contributions, tmp_path: Path, complete: bool, left: int) -> None:
        folder = folder_of(tmp_path / WEIGHTS_FOLDER, "far:a/b")
        folder.mkdir(parents=True)
        (folder / "x").write_bytes(b"x" * 40)
        files = {"x": 40} if complete else {"x": 40, "y": 60}
        write_manifest(folder, Manifest(uri="far:a/b", commit="c", files=files, complete=complete))
        found = find_weights("far:a/b", contributions, tmp_path)
        assert (found.bytes_on_disk, found.bytes_to_download) == (40, left)
        assert (found.path is not None) == complete


def local_sources() -> list[SourceSpec]:
    return [source for source in enginehouse_sources() if source.local]
