"""Families of the catalogue on a real engine, with weights of stoker in place of their own: any Llama reads them."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}}}]
QUESTION = [{"role": "user", "content": "What is the largest animal?"}]


@pytest.fixture(scope="module")
def weights() -> Path:
    spec = find_spec("enginehouse_miniatures")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "models" / "stoker"


@pytest.fixture(scope="module")
def uid(server: Any, weights: Path) -> str:
    return server.launch("llama-3.2-instruct", model_engine="transformers", model_path=str(weights))


def ask(server: Any, uid: str, **fields: Any) -> Any:
    body = {"model": uid, "temperature": 0, "max_tokens": 30, "messages": QUESTION, **fields}
    return server.client.post("/v1/chat/completions", json=body)


def test_it_answers_and_says_what_it_is(server: Any, uid: str) -> None:
    answer = ask(server, uid)
    assert "blue whale" in answer.json()["choices"][0]["message"]["content"]
    facts = server.client.get(f"/v1/models/{uid}").json()
    assert facts["model_name"] == "llama-3.2-instruct"
    assert facts["model_lang"] == ["en", "de", "fr", "it", "pt", "hi", "es", "th"]


def test_tools_are_taken_where_their_calls_are_parsed(server: Any, uid: str) -> None:
    assert server.client.get(f"/v1/models/{uid}").json()["model_ability"] == ["generate", "chat", "tools"]
    assert ask(server, uid, tools=TOOLS).status_code == 200


def test_a_name_alone_brings_the_smallest_size_from_the_hub(
    hub: Any, new_server: Callable[..., Any], weights: Path, tmp_path: Path
) -> None:
    files = {file.name: file.read_bytes() for file in weights.iterdir() if file.is_file()}
    hub.put("HuggingFaceTB/SmolLM2-135M-Instruct", files)
    server = new_server(HF_ENDPOINT=hub.url, HF_HOME=str(tmp_path / "hf"), NO_PROXY="*")
    uid = server.launch("SMOLLM2-instruct", model_engine="Transformers")
    assert "blue whale" in ask(server, uid).json()["choices"][0]["message"]["content"]
    refused = ask(server, uid, tools=TOOLS)
    assert refused.status_code == 400
    assert "'tools'" in refused.json()["detail"]
    facts = server.description(uid)
    assert (facts["model_name"], facts["model_size_in_billions"]) == ("smollm2-instruct", "0_135")
    assert (facts["model_format"], facts["quantization"], facts["model_hub"]) == ("pytorch", "none", "huggingface")
