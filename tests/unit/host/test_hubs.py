"""From which source weights come, and what a hub's id looks like."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from enginehouse.host.contributions import Contributions
from enginehouse.host.drafts import family_from_draft, family_on_hub
from enginehouse.host.hubs import choose_source, default_uid, hub_reference
from enginehouse.host.settings import settings_from
from enginehouse.host.weights import fetch_weights, folder_of
from enginehouse.sdk import (
    BadRequest,
    FetchProgress,
    LaunchFailed,
    Manifest,
    ModelFamily,
    SourceSpec,
    Variant,
    parse_hub_reference,
)

BOTH = ("hf:org/a", "modelscope:Org/a")


@pytest.mark.parametrize(
    ("sources", "asked", "preferred", "expected"),
    [
        (BOTH, None, "auto", "hf:org/a"),
        (BOTH, "modelscope", "auto", "modelscope:Org/a"),
        (BOTH, "ModelScope", "huggingface", "modelscope:Org/a"),
        (BOTH, "auto", "modelscope", "modelscope:Org/a"),
        (BOTH, None, "modelscope", "modelscope:Org/a"),
        (("hf:org/a",), None, "modelscope", "hf:org/a"),
        (("hf:org/a", "package:p/models"), "modelscope", "auto", "package:p/models"),
        (("file:/a",), "huggingface", "auto", "file:/a"),
    ],
)
def test_the_source_is_the_one_asked_for_then_the_one_preferred(
    sources: tuple[str, ...], asked: str | None, preferred: str, expected: str
) -> None:
    assert choose_source(sources, asked, preferred) == expected


def test_a_hub_that_has_not_the_model_is_refused() -> None:
    with pytest.raises(BadRequest, match=r"'modelscope', but these weights are on: huggingface"):
        choose_source(("hf:org/a",), "modelscope")
    with pytest.raises(BadRequest, match="known are auto, huggingface, modelscope"):
        choose_source(BOTH, "csghub")


@pytest.mark.parametrize(
    ("text", "repository", "revision", "patterns"),
    [
        ("org/a", "org/a", None, ()),
        ("org/a.b-c@v1.0", "org/a.b-c", "v1.0", ()),
        ("org/a@refs/pr/1#*Q4_K_M.gguf, mmproj*", "org/a", "refs/pr/1", ("*Q4_K_M.gguf", "mmproj*")),
    ],
)
def test_references_are_read(text: str, repository: str, revision: str | None, patterns: tuple[str, ...]) -> None:
    reference = parse_hub_reference(text)
    assert (reference.repository, reference.revision, reference.patterns) == (repository, revision, patterns)
    assert parse_hub_reference(str(reference)) == reference


@pytest.mark.parametrize("text", ["a", "a/b/c", "../b", "a/..", "a/b@", "a/b@../x", "/b", "a b/c", "a/b@x y", ""])
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="write org/name"):
        parse_hub_reference(text)


def test_a_model_name_may_be_a_hubs_id() -> None:
    assert hub_reference("stoker", None) is None
    assert hub_reference("org/a", None) == ("hf", parse_hub_reference("org/a"))
    assert hub_reference("org/a", "modelscope") == ("modelscope", parse_hub_reference("org/a"))
    assert hub_reference("hf:org/a@v1", None, "modelscope") == ("hf", parse_hub_reference("org/a@v1"))
    assert default_uid("stoker") == "stoker"
    assert default_uid("modelscope:org/a@v1#*.gguf") == "a"


def test_settings_name_the_hub() -> None:
    assert settings_from({"XINFERENCE_MODEL_SRC": "modelscope", "XINFERENCE_HOME": "/x"}).model_src == "modelscope"
    assert settings_from({"XINFERENCE_HOME": "/x"}).home == Path("/x")
    both = {"ENGINEHOUSE_MODEL_SRC": "huggingface", "XINFERENCE_MODEL_SRC": "modelscope"}
    assert settings_from(both).model_src == "huggingface"
    with pytest.raises(BadRequest):
        settings_from({"ENGINEHOUSE_MODEL_SRC": "csghub"})


def test_a_draft_is_pinned_to_its_commit(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"architectures": ["A"], "max_position_embeddings": 77}')
    listing = {"config.json": 9, "a.safetensors": 3_000_000_000, "b.safetensors": 1_000_000_000}
    manifest = Manifest(uri="hf:org/a#x", commit="c" * 40, files={}, listing=listing)
    family = family_from_draft("org/a", "LLM", tmp_path, manifest, "hf:org/a@main#*.safetensors")
    (variant,) = family.variants
    assert variant.sources == (f"hf:org/a@{'c' * 40}#*.safetensors",)
    assert (variant.weight_bytes, variant.size_in_billions, family.context_length) == (4_000_000_000, "2", 77)
    with pytest.raises(BadRequest, match=r"holds no config\.json"):
        family_from_draft("org/a", "LLM", tmp_path, Manifest(uri="u", commit="c", files={}), "hf:org/a")


def test_a_hubs_id_that_a_family_knows_is_that_family() -> None:
    variants = tuple(
        Variant(format="pytorch", size_in_billions=size, sources=(f"hf:Org/Known-{size}b", f"modelscope:o/{size}"))
        for size in ("1", "7")
    )
    family = ModelFamily(name="known", model_type="LLM", variants=variants, abilities=("chat",), tool_parser="hermes")
    contributions = Contributions()
    contributions.add({"enginehouse_families": [family]})
    found = family_on_hub(contributions, "llm", "hf:org/known-7b")
    assert found is not None and (found.name, found.tool_parser) == ("known", "hermes")
    assert [(one.size_in_billions, one.sources) for one in found.variants] == [("7", ("hf:Org/Known-7b",))]
    assert family_on_hub(contributions, "LLM", "hf:org/known-8b") is None
    assert family_on_hub(contributions, "embedding", "hf:org/known-7b") is None


def test_gguf_files_are_variants() -> None:
    listing = {
        "README.md": 9,
        "Tiny-1.5B-it-Q8_0.gguf": 900,
        "tiny-1.5b-it-q4_k_m.gguf": 500,
        "IQ2_XS/Tiny-IQ2_XS-00001-of-00002.gguf": 200,
        "IQ2_XS/Tiny-IQ2_XS-00002-of-00002.gguf": 100,
        "mmproj-F16.gguf": 50,
    }
    manifest = Manifest(uri="hf:org/a#x", commit="c" * 40, files={}, listing=listing)
    family = family_from_draft("org/Tiny-1.5B-GGUF", "LLM", Path("/"), manifest, "hf:org/Tiny-1.5B-GGUF")
    assert [(one.quantization, one.weight_bytes, one.size_in_billions) for one in family.variants] == [
        ("IQ2_XS", 300, "1_5"),
        ("Q4_K_M", 500, "1_5"),
        ("Q8_0", 900, "1_5"),
    ]
    split = parse_hub_reference(family.variants[0].sources[0].removeprefix("hf:"))
    assert split.revision == "c" * 40
    assert [file for file in listing if split.wants(file)] == [file for file in listing if "-of-" in file]
    chosen = family_from_draft("n", "LLM", Path("/"), manifest, "hf:org/Tiny-1.5B-GGUF@main#*Q8_0.gguf")
    assert [one.quantization for one in chosen.variants] == ["Q8_0"]


def test_folders_of_weights_are_readable_and_apart() -> None:
    one, other = (folder_of(Path("/w"), f"hf:org/a@{revision}") for revision in ("x", "y"))
    assert one != other and one.parent == Path("/w/hf") and one.name.startswith("org--a--x.")


class Slow:
    """A source whose fetches wait until they are let go; resolved by name, as every source is."""

    calls = 0
    go = threading.Event()
    ended = threading.Event()

    @classmethod
    def fetch(cls, reference: str, folder: Path, report: Any) -> Path:
        cls.calls += 1
        try:
            while not cls.go.wait(0.01):
                report(FetchProgress(file="f", done_bytes=cls.calls, total_bytes=10))
        finally:
            cls.ended.set()
        if reference == "bad":
            raise LaunchFailed("It is bad.")
        return folder


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Contributions:
    import sys
    import types

    module = types.ModuleType("a_slow_source")
    module.fetch = Slow.fetch  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "a_slow_source", module)
    Slow.calls = 0
    Slow.go.clear()
    Slow.ended.clear()
    contributions = Contributions()
    contributions.add({"enginehouse_sources": [SourceSpec(scheme="slow", fetch="a_slow_source:fetch")]})
    return contributions


async def test_one_fetch_for_all_who_want_the_same(slow: Contributions, tmp_path: Path) -> None:
    heard: list[set[int]] = [set(), set()]
    waits = [
        asyncio.create_task(fetch_weights("slow:x", slow, tmp_path, lambda one, n=n: heard[n].add(one.done_bytes)))
        for n in (0, 1)
    ]
    async with asyncio.timeout(5):
        while heard != [{1}, {1}]:
            await asyncio.sleep(0.005)
    waits[0].cancel()  # the other still wants it
    await asyncio.gather(waits[0], return_exceptions=True)
    assert not Slow.ended.is_set()
    Slow.go.set()
    assert await waits[1] == folder_of(tmp_path / "weights", "slow:x")
    assert Slow.calls == 1


async def test_a_fetch_that_nobody_wants_ends(slow: Contributions, tmp_path: Path) -> None:
    begun = asyncio.Event()
    wait = asyncio.create_task(fetch_weights("slow:x", slow, tmp_path, lambda one: begun.set()))
    await asyncio.wait_for(begun.wait(), 5)
    wait.cancel()
    with pytest.raises(asyncio.CancelledError):
        await wait
    assert Slow.ended.is_set()


async def test_a_fetch_that_failed_is_begun_again_by_the_next(slow: Contributions, tmp_path: Path) -> None:
    Slow.go.set()
    for _ in range(2):
        with pytest.raises(LaunchFailed, match="bad"):
            await fetch_weights("slow:bad", slow, tmp_path, lambda one: None)
    assert Slow.calls == 2
