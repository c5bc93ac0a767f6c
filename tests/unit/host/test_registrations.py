"""Registering models: every documented template, every wrong field, names, persistence."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from enginehouse.host.contributions import Contributions
from enginehouse.host.plugins import load_plugins
from enginehouse.host.registrations import InvalidRegistration, NameTaken, Registrations
from enginehouse.host.settings import Settings
from enginehouse.sdk import BadRequest, ModelNotFound, ModelType, Registration

NO_ENVIRONMENT = {
    "packages": [],
    "inherit_pip_config": True,
    "index_url": None,
    "extra_index_url": None,
    "find_links": None,
    "trusted_host": None,
    "no_build_isolation": None,
}
PLACE = {"model_id": None, "model_hub": "huggingface", "model_uri": "URI", "model_revision": None}
COMMON = {"version": 2, "cache_config": None, "virtualenv": NO_ENVIRONMENT, "is_builtin": False}
DOCUMENTS: dict[str, dict[str, Any]] = {
    "LLM": {
        **COMMON,
        "context_length": 32768,
        "model_name": "custom-qwen-2.5",
        "model_lang": ["en", "zh"],
        "model_ability": ["generate"],
        "model_description": "A model of my own.",
        "model_family": "my-custom-qwen-2.5",
        "model_specs": [
            {
                **PLACE,
                "model_format": "pytorch",
                "model_size_in_billions": "0_5",
                "quantization": "none",
                "activated_size_in_billions": None,
            }
        ],
        "chat_template": None,
        "stop_token_ids": None,
        "stop": None,
        "reasoning_start_tag": None,
        "reasoning_end_tag": None,
    },
    "embedding": {
        **COMMON,
        "model_name": "my-bge-large-zh-v1.5",
        "dimensions": 1024,
        "max_tokens": 512,
        "language": ["zh"],
        "model_specs": [{**PLACE, "model_format": "pytorch", "quantization": "none"}],
    },
    "rerank": {
        **COMMON,
        "model_name": "my-bge-reranker-base",
        "model_specs": [{**PLACE, "model_format": "pytorch", "quantization": "none"}],
        "language": ["en", "zh"],
        "type": "unknown",
        "max_tokens": 512,
    },
    "image": {
        **COMMON,
        **PLACE,
        "model_name": "my-qwen-image",
        "model_family": "stable_diffusion",
        "model_ability": None,
        "controlnet": [],
        "default_model_config": {},
        "default_generate_config": {},
        "gguf_model_id": None,
        "gguf_quantizations": None,
        "gguf_model_file_name_template": None,
        "lightning_model_id": None,
        "lightning_versions": None,
        "lightning_model_file_name_template": None,
    },
    "audio": {
        **COMMON,
        **PLACE,
        "model_name": "my-ChatTTS",
        "model_family": "ChatTTS",
        "multilingual": False,
        "language": None,
        "model_ability": ["text2audio"],
        "default_model_config": None,
        "default_transcription_config": None,
        "engine": None,
    },
    "video": {
        **COMMON,
        **PLACE,
        "model_name": "my-video",
        "model_family": "CogVideoX",
        "model_ability": ["text2video"],
    },
    "flexible": {
        **COMMON,
        **PLACE,
        "model_name": "my-flexible-model",
        "model_description": "Does what its launcher does.",
        "launcher": "xinference.model.flexible.launchers.transformers",
        "launcher_args": "{}",
    },
}
TYPES = list(DOCUMENTS)


@pytest.fixture(scope="module")
def census(tmp_path_factory):
    return load_plugins(Settings(home=tmp_path_factory.mktemp("plugins")))


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    (tmp_path / "weights").mkdir()
    return tmp_path / "weights"


@pytest.fixture
def make(tmp_path: Path, census):
    """Registries on one home, each as after a restart; what they registered is forgotten after the test."""
    made: list[Registrations] = []

    def make() -> Registrations:
        forget(made)
        made.append(Registrations(census.contributions, tmp_path / "home"))
        made[-1].load()
        return made[-1]

    yield make
    forget(made)


def forget(registries: list[Registrations]) -> None:
    for registry in registries:
        for kind in TYPES:
            for family, document in registry.all(kind):
                if document is not None:
                    registry._contributions.withdraw(family)
        registry._models.clear()


def document(kind: str, weights: Path) -> dict[str, Any]:
    text = json.dumps(DOCUMENTS[kind]).replace('"URI"', json.dumps(f"file://{weights}"))
    return dict(json.loads(text))


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("as_text", [True, False])
async def test_every_documented_template_is_accepted_and_given_back(make, weights, kind, as_text) -> None:
    registry, sent = make(), document(kind, weights)
    family = await registry.register(kind, json.dumps(sent) if as_text else sent, False)
    assert family.variants[0].sources == (f"file:{weights}",)
    _, kept = registry.find(kind, sent["model_name"].upper())
    assert {key: value for key, value in kept.items() if key in sent} == {k: v for k, v in sent.items() if k in kept}
    assert "is_builtin" not in kept
    with pytest.raises(NameTaken, match="conflicts with existing model"):
        await registry.register(kind, {**sent, "model_name": sent["model_name"].upper()}, False)
    assert await registry.unregister(kind, sent["model_name"])
    assert not await registry.unregister(kind, sent["model_name"])
    with pytest.raises(ModelNotFound):
        registry.find(kind, sent["model_name"])


WRONG: dict[str, dict[str, Any]] = {
    "LLM": {
        "context_length": 0,
        "model_lang": "en",
        "model_ability": ["generate", "fly"],
        "model_family": None,
        "chat_template": 5,
        "stop_token_ids": ["a"],
        "stop": "x",
        "architectures": {},
        "tool_parser": [],
        "reasoning_start_tag": 1,
        "cache_config": "x",
        "virtualenv": [],
        "model_description": 7,
    },
    "embedding": {"dimensions": None, "max_tokens": -1, "language": 5, "model_specs": []},
    "rerank": {"language": None, "type": 5, "max_tokens": "many", "model_specs": {}},
    "image": {
        "model_family": "",
        "controlnet": "x",
        "model_ability": [1],
        "default_generate_config": [],
        "model_id": 5,
    },
    "audio": {"model_family": 1, "multilingual": "no", "engine": 1, "language": 5},
    "video": {"model_family": None, "model_ability": "text2video"},
    "flexible": {"launcher": None, "launcher_args": 5, "model_hub": 1},
}


@pytest.mark.parametrize(("kind", "field"), [(kind, field) for kind in TYPES for field in WRONG[kind]])
async def test_each_wrong_field_is_named(make, weights, kind, field) -> None:
    sent = {**document(kind, weights), field: WRONG[kind][field]}
    with pytest.raises(InvalidRegistration) as caught:
        await make().register(kind, sent, False)
    assert f" {field}" in caught.value.message and str(caught.value.param).startswith(field)


@pytest.mark.parametrize("kind", ["LLM", "embedding", "rerank"])
@pytest.mark.parametrize("specs", [5, "x", {"a": 1}, [5], [None], [[]], True, None])
async def test_specs_that_are_none(make, weights, kind, specs) -> None:
    with pytest.raises(InvalidRegistration, match="model_specs"):
        await make().register(kind, {**document(kind, weights), "model_specs": specs}, False)


@pytest.mark.parametrize("kind", TYPES)
async def test_all_wrong_fields_are_named_at_once(make, weights, kind) -> None:
    with pytest.raises(InvalidRegistration) as caught:
        await make().register(kind, {**document(kind, weights), **WRONG[kind]}, False)
    assert all(f" {field}" in caught.value.message for field in WRONG[kind])


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"quantization": None}, "model_specs[1].quantization is missing"),
        ({"model_format": 5}, "model_specs[1].model_format"),
        ({"model_size_in_billions": "big"}, "model_specs[1].model_size_in_billions"),
        ({"model_size_in_billions": True}, "model_specs[1].model_size_in_billions"),
        ({"model_uri": None}, "model_specs[1].model_uri is missing"),
        ({"model_format": "ggufv2", "model_uri": None, "model_id": "a/b"}, "model_specs[1].model_file_name_template"),
        ({"quantization_parts": {"q4": "a"}}, "model_specs[1].quantization_parts"),
    ],
)
async def test_a_wrong_field_of_a_spec_is_named_with_its_place(make, weights, change, field) -> None:
    sent = document("LLM", weights)
    sent["model_specs"].append({**sent["model_specs"][0], **change})
    with pytest.raises(InvalidRegistration) as caught:
        await make().register("LLM", sent, False)
    assert field in caught.value.message and caught.value.message.count("model_specs") == 1


@pytest.mark.parametrize(
    "name", ["", "a b", "a/b", "a?b", "a#b", "a%b", "a&b", "a=b", "a+b", "a\nb", "a\0b", ".", "..", "x" * 201, None, 5]
)
async def test_names_that_will_not_do(make, weights, name) -> None:
    with pytest.raises(InvalidRegistration, match="model_name"):
        await make().register("LLM", {**document("LLM", weights), "model_name": name}, True)


@pytest.mark.parametrize("name", ["qwen2.5_x-7", "模型", "a:b", ".hidden", "x" * 200])
async def test_names_that_will_do_persist(make, weights, name) -> None:
    await make().register("LLM", {**document("LLM", weights), "model_name": name}, True)
    assert make().find("LLM", name)[0].name == name


async def test_a_plugins_model_is_neither_replaced_nor_removed(make, weights) -> None:
    registry = make()
    with pytest.raises(NameTaken):
        await registry.register("LLM", {**document("LLM", weights), "model_name": "stoker"}, False)
    with pytest.raises(BadRequest, match="comes with a plugin"):
        await registry.unregister("LLM", "stoker")
    assert registry.find("LLM", "stoker")[1] is None


@pytest.mark.parametrize("uri", ["/not/there", "file:///not/there", "weights", "file://weights", "s3://bucket/x"])
async def test_weights_must_be_where_they_are_said_to_be(make, weights, uri) -> None:
    sent = document("LLM", weights)
    sent["model_specs"][0]["model_uri"] = uri
    with pytest.raises(InvalidRegistration, match="model_uri"):
        await make().register("LLM", sent, False)


async def test_a_wrong_field_of_the_environment_is_named(make, weights) -> None:
    wrong = {"packages": "numpy", "find_links": 5, "inherit_pip_config": "yes", "more": 1}
    with pytest.raises(InvalidRegistration) as caught:
        await make().register("audio", {**document("audio", weights), "virtualenv": wrong}, False)
    assert caught.value.message.count("virtualenv.") == 3


async def test_places_are_checked_beside_everything_else(make, weights) -> None:
    sent = document("LLM", weights)
    spec = sent["model_specs"][0]
    elsewhere = {**spec, "model_uri": None}
    sent["model_specs"] = [
        spec,
        {**spec, "model_uri": "/not/there"},
        {**elsewhere, "model_id": "no-owner"},
        {**elsewhere, "model_id": "me/m", "model_hub": "nowhere"},
        {**spec, "model_uri": "/a\0b"},
        {**elsewhere, "model_id": "me/m", "model_hub": "ModelScope"},
    ]
    with pytest.raises(InvalidRegistration) as caught:
        await make().register("LLM", {**sent, "model_lang": 5}, False)
    named = (
        "model_lang",
        *(f"model_specs[{n}].model_" + what for n, what in ((1, "uri"), (2, "id"), (3, "hub"), (4, "uri"))),
    )
    assert all(f" {field} " in caught.value.message for field in named)
    assert caught.value.message.count("model_specs[") == 4


@pytest.mark.parametrize("model", ["{not json", "[]", "5", [], None, b"\xff", "", "\udcff"])
@pytest.mark.parametrize("kind", ["LLM", "flexible"])
async def test_what_is_no_object_is_refused(make, model, kind) -> None:
    with pytest.raises(BadRequest):
        await make().register(kind, model, False)


async def test_an_unknown_type_names_the_known_ones(make) -> None:
    with pytest.raises(BadRequest, match="LLM, embedding, rerank, image, audio, video, flexible"):
        await make().register("smell", {}, False)


async def test_version_1_loses_nothing(make, weights) -> None:
    sent = document("LLM", weights)
    template = "llama-2-chat-7b.{quantization}.gguf"
    (weights / "model.gguf").touch()
    old = {"model_format": "ggufv2", "model_size_in_billions": 7, "quantizations": ["q4_0", "q8_0"], "extra": 1}
    old |= {"model_file_name_template": template, "model_uri": f"file://{weights}/model.gguf"}
    plain = {"model_format": "pytorch", "model_size_in_billions": 7, "quantizations": ["none"], "model_id": "me/m"}
    sent |= {"version": 1, "model_specs": [plain, old]}
    before = copy.deepcopy(sent)
    registry = make()
    family = await registry.register("LLM", sent, False)
    assert sent == before
    assert [(v.format, v.quantization, v.files) for v in family.variants] == [
        ("pytorch", "none", ()),
        ("ggufv2", "q4_0", ("llama-2-chat-7b.q4_0.gguf",)),
        ("ggufv2", "q8_0", ("llama-2-chat-7b.q8_0.gguf",)),
    ]
    kept = registry.find("LLM", family.name)[1]
    assert kept["version"] == 2
    assert [spec.get("extra") for spec in kept["model_specs"]] == [None, 1, 1]


@pytest.mark.parametrize("kind", ["embedding", "rerank"])
async def test_version_1_of_a_model_without_specs(make, weights, kind) -> None:
    """Version 1 of embedding models and rerankers names its one set of weights at the top."""
    sent = document(kind, weights)
    place = {"model_id": "org/m", "model_uri": f"file://{weights}", "model_revision": None}
    del sent["model_specs"], sent["version"]
    await make().register(kind, {**sent, **place}, True)
    family, kept = make().find(kind, sent["model_name"])
    assert family.variants[0].sources == (f"file:{weights}",)
    assert kept["version"] == 2 and kept["model_specs"][0]["model_id"] == "org/m" and "model_uri" not in kept


async def test_hubs_revisions_parts_and_projectors_become_sources(make, weights) -> None:
    sent = document("LLM", weights)
    common = {"model_size_in_billions": 7, "model_format": "ggufv2", "model_id": "me/m-GGUF"}
    common |= {"model_file_name_template": "m-{quantization}.gguf"}
    parts = {"quantization_parts": {"q8_0": ["00001-of-00002", "00002-of-00002"]}}
    parts["model_file_name_split_template"] = "m-{quantization}-{part}.gguf"
    sent["model_specs"] = [
        {"model_format": "pytorch", "quantization": "none", "model_size_in_billions": 7, "model_id": "me/m"},
        {**common, "quantization": "q4_0", "model_revision": "abc", "multimodal_projectors": ["p.gguf", "q.gguf"]},
        {**common, **parts, "quantization": "q8_0", "model_hub": "modelscope"},
    ]
    family = await make().register("LLM", sent, False)
    assert [variant.sources[0] for variant in family.variants] == [
        "hf:me/m",
        "hf:me/m-GGUF@abc#m-q4_0.gguf,p.gguf",
        "modelscope:me/m-GGUF#m-q8_0-00001-of-00002.gguf,m-q8_0-00002-of-00002.gguf",
    ]
    assert family.variants[1].projector == "p.gguf"


async def test_extra_keys_are_kept_and_trust_is_not_read(make, weights) -> None:
    sent = {**document("LLM", weights), "is_builtin": True, "colour": {"deep": [1, None]}, "trust_remote_code": True}
    registry = make()
    family = await registry.register("LLM", sent, True)
    kept = make().find("LLM", family.name)[1]
    assert kept["colour"] == {"deep": [1, None]} and "is_builtin" not in kept


async def test_a_known_family_lends_its_chat_part(make, weights) -> None:
    registry = make()
    chat = {**document("LLM", weights), "model_ability": ["chat"]}
    stoker = registry.find("LLM", "stoker")[0]
    named = await registry.register("LLM", {**chat, "model_name": "named", "chat_template": "stoker"}, False)
    assert (named.stop, named.tool_parser, named.chat_template) == (stoker.stop, "hermes", None)
    related = await registry.register("LLM", {**chat, "model_name": "related", "model_family": "stoker"}, False)
    assert related.stop == stoker.stop
    own = {**chat, "model_name": "own", "model_family": "stoker", "chat_template": "{{ messages }}", "stop": ["x"]}
    family = await registry.register("LLM", own, False)
    assert (family.chat_template, family.stop, family.tool_parser) == ("{{ messages }}", ("x",), "hermes")
    assert (await registry.register("LLM", {**chat, "tool_parser": "nobody's"}, False)).tool_parser is None


@pytest.mark.parametrize("template", ["{% if %}", "{{ messages[0 }}", "{% for m in messages %}x"])
async def test_a_template_that_no_engine_could_read_is_refused(make, weights, template) -> None:
    chat = {**document("LLM", weights), "model_ability": ["chat"], "chat_template": f"{template}"}
    with pytest.raises(InvalidRegistration, match="chat_template cannot be read: line 1") as raised:
        await make().register("LLM", chat, False)
    assert raised.value.param == "chat_template"


async def test_only_what_shall_persist_does(make, weights, tmp_path) -> None:
    registry = make()
    await registry.register("LLM", {**document("LLM", weights), "model_name": "kept"}, True)
    await registry.register("LLM", {**document("LLM", weights), "model_name": "lost"}, False)
    file = tmp_path / "home/registrations/LLM/kept.json"
    assert file.exists() and (file.parent.stat().st_mode & 0o777) == 0o700
    registry = make()
    assert registry.find("LLM", "kept")
    with pytest.raises(ModelNotFound):
        registry.find("LLM", "lost")
    await registry.unregister("LLM", "KEPT")
    assert not file.exists() and not list(file.parent.iterdir())


async def test_a_broken_file_is_moved_aside_and_a_foreign_one_left(make, weights, tmp_path) -> None:
    folder = tmp_path / "home/registrations"
    for kind, name, content in (
        ("LLM", "cut", '{"model_name": "c'),
        ("LLM", "wrong", '{"model_name": "wrong"}'),
        ("LLM", "stoker", json.dumps({**document("LLM", weights), "model_name": "stoker"})),
        ("LLM", "gone", json.dumps({**document("LLM", weights / "gone"), "model_name": "gone"})),
        ("LLM", "binary", "\x00"),
        ("smell", "rose", "{}"),
    ):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        (folder / kind / f"{name}.json").write_text(content)
    (folder / "LLM" / "latin.json").write_bytes(b'{"model_name": "\xff"}')
    registry = make()
    left = sorted(str(file.relative_to(folder)) for file in folder.glob("*/*"))
    assert left == [
        "LLM/binary.json.broken",
        "LLM/cut.json.broken",
        "LLM/gone.json",  # its disk may be mounted later
        "LLM/latin.json.broken",
        "LLM/stoker.json",
        "LLM/wrong.json.broken",
        "smell/rose.json",
    ]
    assert registry.find("LLM", "gone") and registry.find("LLM", "stoker")[1] is None


async def test_what_cannot_be_written_is_not_registered(make, weights, tmp_path) -> None:
    registry = make()
    (tmp_path / "home").mkdir()
    (tmp_path / "home/registrations").write_text("in the way")
    with pytest.raises(Exception, match="registrations"):
        await registry.register("LLM", document("LLM", weights), True)
    with pytest.raises(ModelNotFound):
        registry.find("LLM", "custom-qwen-2.5")


class Brittle(Registration, frozen=True, kw_only=True):
    """A schema whose plugin has a fault."""

    @classmethod
    def upgrade(cls, document: dict[str, Any]) -> dict[str, Any]:
        raise RuntimeError("not written yet")


def test_a_fault_of_a_plugins_schema_does_not_keep_the_server_down(tmp_path: Path) -> None:
    contributions = Contributions()
    contributions.add(
        {"enginehouse_model_types": [ModelType(name="odd", tasks=(), abilities=(), registration=Brittle)]}
    )
    file = tmp_path / "registrations/odd/one.json"
    file.parent.mkdir(parents=True)
    file.write_text("{}")
    registry = Registrations(contributions, tmp_path)
    registry.load()
    assert registry.all("odd") == [] and file.read_text() == "{}"  # kept for when that is mended
