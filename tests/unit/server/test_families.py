"""Which families can do what, and how they are spoken to, as clients ask for it."""

from __future__ import annotations

from typing import Any

DOCUMENT = {
    "version": 2,
    "model_name": "my-own",
    "model_lang": ["en"],
    "model_ability": ["generate"],
    "model_family": "other",
    "model_specs": [
        {"model_format": "pytorch", "model_size_in_billions": 1, "quantization": "none", "model_id": "org/my-own"}
    ],
}


async def test_families_by_ability(gateway: Any) -> None:
    status, families = await gateway.get("/v1/models/families")
    assert status == 200
    assert list(families) == ["chat", "generate", "tools", "vision", "reasoning", "audio", "omni", "hybrid"]
    assert {"qwen3", "stoker"} <= set(families["chat"]) & set(families["tools"]) & set(families["hybrid"])
    assert "qwen2.5-vl-instruct" in families["vision"]
    assert "gpt-2" in families["generate"]
    assert "gpt-2" not in families["chat"]
    assert all(names == sorted(names, key=str.lower) for names in families.values())


async def test_tools_only_where_their_calls_are_understood(gateway: Any) -> None:
    _, families = await gateway.get("/v1/models/families")
    assert {"llama-3.1-instruct", "gpt-oss"} <= set(families["tools"])
    assert "gemma-2-it" in families["chat"]
    assert "gemma-2-it" not in families["tools"]


async def test_prompts(gateway: Any) -> None:
    status, prompts = await gateway.get("/v1/models/prompts")
    assert status == 200
    stoker = prompts["stoker"]
    assert stoker["stop"] == ["<|im_end|>", "<|endoftext|>"]
    assert (stoker["reasoning_start_tag"], stoker["reasoning_end_tag"]) == ("<think>", "</think>")
    assert stoker["tool_parser"] == "hermes"
    assert prompts["phi-4"] == {"chat_template": None, "stop_token_ids": [], "stop": []}
    assert "gpt-2" not in prompts


async def test_models_that_users_registered_are_not_among_them(gateway: Any) -> None:
    await gateway.house.registrations.register("LLM", DOCUMENT, False)
    _, families = await gateway.get("/v1/models/families")
    assert not any("my-own" in names for names in families.values())


async def test_the_catalogue_can_be_planned_for(gateway: Any) -> None:
    async with gateway.session.post("/v1/models", json={"model_name": "qwen-3"}) as response:
        answer = await response.json()
    assert response.status == 400
    assert "qwen3" in answer["detail"]


async def test_a_variant_of_the_catalogue_is_a_spec_of_a_registration(gateway: Any) -> None:
    _, described = await gateway.get("/v1/model_registrations/LLM/gemma-3-1b-it")
    spec = described["model_specs"][-1]
    assert (spec["model_format"], spec["model_id"]) == ("ggufv2", "google/gemma-3-1b-it-qat-q4_0-gguf")
    assert spec["model_file_name_template"] == "gemma-3-1b-it-q4_0.gguf"
    mine = {**DOCUMENT, "model_specs": [spec]}
    family = await gateway.house.registrations.register("LLM", mine, False)
    assert family.variants[0].sources == ("hf:google/gemma-3-1b-it-qat-q4_0-gguf#gemma-3-1b-it-q4_0.gguf",)
