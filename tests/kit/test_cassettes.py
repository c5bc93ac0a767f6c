"""Traffic of a real worker, recorded and played again without its engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from enginehouse.testing.cassettes import LEFT_OUT, CassetteError, read_cassette, without_secrets
from enginehouse.testing.recording import Recorder

CHAT = {"model": "model", "messages": [{"role": "user", "content": "hello"}]}
STREAM = {"model": "model", "prompt": "x", "stream": True}
KEY = "sk-" + "a1" * 12


@pytest.fixture
def recorded(simulated_worker: Callable[..., Any], tmp_path: Path) -> tuple[Path, list[str]]:
    """A cassette, and what the real worker said while it was made."""
    worker = simulated_worker(tokens=4, token_seconds=0.05)
    file = tmp_path / "answers.jsonl"
    headers = {"authorization": f"Bearer {KEY}"}
    with Recorder(worker.order.socket, file, model="model") as recorder:
        said = [
            httpx.post(f"{recorder.url}/v1/chat/completions", json={**CHAT, "api_key": "hidden"}, headers=headers).text,
            httpx.post(f"{recorder.url}/v1/completions", json=STREAM).text,
            httpx.post(f"{recorder.url}/v1/completions", json={"model": "model"}).text,
            httpx.post(f"{recorder.url}/v1/completions", json={"model": "model", "prompt": f"my key is {KEY}"}).text,
        ]
    return file, said


def test_a_cassette_holds_what_was_said_and_when(recorded: tuple[Path, list[str]]) -> None:
    file, said = recorded
    exchanges = read_cassette(file).exchanges
    assert ["".join(text for _, text in one.chunks) for one in exchanges] == said
    times = [seconds for seconds, _ in exchanges[1].chunks]
    assert len(times) >= 3 and times == sorted(times) and times[-1] - times[0] >= 0.1
    assert [one.status for one in exchanges] == [200, 200, 400, 200]


def test_a_cassette_holds_no_secrets(recorded: tuple[Path, list[str]]) -> None:
    text = recorded[0].read_text()
    assert KEY not in text and "hidden" not in text and "authorization" not in text.lower()
    assert text.count(LEFT_OUT) >= 2
    assert without_secrets({"max_tokens": 3, "hf_token": "x", "a": [{"password": "y"}]}) == {
        "max_tokens": 3,
        "hf_token": LEFT_OUT,
        "a": [{"password": LEFT_OUT}],
    }


def test_a_worker_plays_a_cassette(recorded: tuple[Path, list[str]], house: Any) -> None:
    file, said = recorded
    uid = house.launch("replay", model_engine="replay", model_uid="model", cassette=str(file))
    chat = house.client.post("/v1/chat/completions", json={**CHAT, "api_key": "another"})
    assert chat.json()["choices"] == httpx.Response(200, text=said[0]).json()["choices"]
    assert house.client.post("/v1/completions", json=STREAM).text == said[1]
    assert house.client.post("/v1/completions", json={"model": uid}).status_code == 400
    unknown = house.complete(uid, "never asked")
    assert unknown.status_code == 400 and "holds no answer" in unknown.json()["error"]["message"]
    tape = house.launch("replay", model_engine="replay", model_uid="tape", cassette=str(file), speed=0)
    assert (
        house.client.post("/v1/chat/completions", json={**CHAT, "model": tape, "api_key": "x"}).json()["model"] == tape
    )
    _refuses_what_is_no_cassette(house, file.with_name("no.jsonl"))


def _refuses_what_is_no_cassette(house: Any, wrong: Path) -> None:
    wrong.write_text("nothing\n")
    for cassette in ("", str(wrong)):
        body = {"model_name": "replay", "model_engine": "replay", "model_uid": "no", "cassette": cassette}
        answer = house.client.post("/v1/models", json=body)
        assert answer.status_code >= 400 and "cassette" in answer.json()["error"]["message"]


def test_what_is_no_cassette_is_told(tmp_path: Path) -> None:
    (tmp_path / "no.jsonl").write_text("nothing\n")
    with pytest.raises(CassetteError, match="is no cassette"):
        read_cassette(tmp_path / "no.jsonl")
