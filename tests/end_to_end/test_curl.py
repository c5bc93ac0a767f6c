"""The real curl against a real server: what a person sees who tries things by hand."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any, NamedTuple

import pytest

pytestmark = pytest.mark.skipif(not shutil.which("curl"), reason="there is no curl")

CURL_SECONDS = 90
QUESTION = {"role": "user", "content": "What is the largest animal?"}
CHAT = {"model": "stoker", "temperature": 0, "max_tokens": 32, "messages": [QUESTION]}


class Answer(NamedTuple):
    """status: of HTTP; heading: by the lower-case name."""

    status: int
    heading: dict[str, str]
    body: str


def curl(*arguments: str, body: Any = None) -> Answer:
    sent = [] if body is None else ["-H", "Content-Type: application/json", "--data-binary", "@-"]
    command = ["curl", "-sS", "-i", "--max-time", str(CURL_SECONDS), *sent, *arguments]
    given = None if body is None else (body if isinstance(body, str) else json.dumps(body)).encode()
    done = subprocess.run(command, capture_output=True, timeout=CURL_SECONDS + 10, input=given, check=True)
    head, _, text = done.stdout.decode().partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    heading = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Answer(int(first.split()[1]), heading, text)


@pytest.fixture(scope="module")
def stoker(server):
    server.launch("stoker", model_engine="transformers")
    return server


@pytest.fixture(scope="module")
def locked(new_server_of_module):
    return new_server_of_module(ENGINEHOUSE_REQUIRE_KEY="1")


def test_a_chat(stoker) -> None:
    answer = curl(f"{stoker.url}/v1/chat/completions", body=CHAT)
    assert (answer.status, answer.heading["content-type"]) == (200, "application/json")
    assert "blue whale" in json.loads(answer.body)["choices"][0]["message"]["content"]


def test_a_stream(stoker) -> None:
    answer = curl("-N", f"{stoker.url}/v1/chat/completions", body={**CHAT, "stream": True})
    assert answer.status == 200
    assert answer.heading["content-type"].startswith("text/event-stream")
    lines = [line for line in answer.body.splitlines() if line and not line.startswith(":")]
    assert lines[-1] == "data: [DONE]"
    events = [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]
    text = "".join(event["choices"][0]["delta"].get("content") or "" for event in events if event["choices"])
    assert "blue whale" in text


def test_a_stream_of_a_completion(stoker) -> None:
    body = {"model": "stoker", "prompt": "The largest animal is", "max_tokens": 8, "temperature": 0, "stream": True}
    answer = curl("-N", f"{stoker.url}/v1/completions", body=body)
    lines = [line for line in answer.body.splitlines() if line and not line.startswith(":")]
    assert "whale" in "".join(json.loads(line.removeprefix("data: "))["choices"][0]["text"] for line in lines)


def test_a_body_with_line_breaks_of_a_file(stoker, tmp_path) -> None:
    """`-d @file` takes the line breaks away, `--data-binary` keeps them, and an editor writes either kind."""
    for number, end in enumerate(("\n", "\r\n")):
        text = json.dumps(CHAT, indent=2).replace("\n", end) + end
        assert curl(f"{stoker.url}/v1/chat/completions", body=text).status == 200
        file = tmp_path / f"body{number}.json"
        file.write_text(text, newline="")
        assert (
            curl("-H", "Content-Type: application/json", "-d", f"@{file}", f"{stoker.url}/v1/chat/completions").status
            == 200
        )


def test_a_text_keeps_its_line_breaks(stoker) -> None:
    text = "one\ntwo\r\nthree"
    tokens = json.loads(curl(f"{stoker.url}/v1/tokenize", body={"model": "stoker", "prompt": text}).body)["tokens"]
    answer = curl(f"{stoker.url}/v1/detokenize", body={"model": "stoker", "tokens": tokens})
    assert json.loads(answer.body) == {"prompt": text}


def test_what_is_not_there(stoker) -> None:
    unknown = curl(f"{stoker.url}/v1/chat/completions", body={**CHAT, "model": "nobody"})
    assert unknown.status == 404
    assert "nobody" in json.loads(unknown.body)["error"]["message"]
    assert "nobody" in json.loads(unknown.body)["detail"]
    nowhere = curl(f"{stoker.url}/v1/nowhere")
    assert nowhere.status == 404
    assert json.loads(nowhere.body)["error"]["message"]


def test_what_is_no_json(stoker) -> None:
    answer = curl(f"{stoker.url}/v1/chat/completions", body="{'model': ")
    assert answer.status == 400
    assert json.loads(answer.body)["error"]["message"]


def test_a_key_is_asked_for(locked) -> None:
    answer = curl(f"{locked.url}/v1/models")
    assert answer.status == 401
    assert answer.heading["www-authenticate"].startswith("Bearer")
    assert json.loads(answer.body)["error"]["message"]
    assert curl("-H", "Authorization: Bearer nonsense", f"{locked.url}/v1/models").status == 401
    assert json.loads(curl(f"{locked.url}/v1/cluster/auth").body) == {"auth": True}
