"""Requests that no program should send: each gets an answer in the one shape, and none of them a 500."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

ODD = {
    "NUL": "/a\x00b",
    "line": "a\nb",
    "empty": "",
    "long": "x" * 5000,
    "huge": 10**400,
    "big": 2**63,
    "negative": -1,
    "float": 1e308,
    "true": True,
    "null": None,
    "list": [],
    "nested": {"a": [{"b": [None]}]},
    "dots": "../../../etc/passwd",
    "bidi": "\u202e\ufeff\U0001f600",
}
RAW = {
    "empty": b"",
    "not JSON": b"model_name=x",
    "array": b"[]",
    "text": b'"x"',
    "number": b"7",
    "null": b"null",
    "NaN": b'{"model_name": NaN, "model": NaN, "name": NaN}',
    "infinity": b'{"model_name": "x", "replica": 1e999}',
    "lone surrogate": b'{"model_name": "\\ud800", "name": "\\udfff"}',
    "bytes": b'{"model_name": "\xff\xfe"}',
    "byte order mark": b'\xef\xbb\xbf{"model_name": "x"}',
    "twice": b'{"model_name": "x", "model_name": 1}',
    "cut": b'{"model_name": "x',
    "deep lists": b'{"model_name": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "deep and unknown": b'{"model_name": "fake-model", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
}
PATHS = [
    "/v1/models//progress",
    "/v1/models/%2F",
    "/v1/models/a%2Fb",
    "/v1/models/a%2Fb/replicas",
    "/v1/models/%00",
    "/v1/models/%0A/events",
    "/v1/models/%FF%FE",
    "/v1/models/..%2F..%2Fetc%2Fpasswd",
    "/v1/models/" + "x" * 8000,
    "/v1/models/x/requests//abort",
    "/v1/engines/%00",
    "/v1/engines/LLM/%2F%2F",
    "/v1/model_registrations/%00",
    "/v1/model_registrations/LLM/..%2F..%2F..%2Fetc%2Fpasswd",
    "/v1/models/LLM/%00/versions",
    "/v1/cache/models/files?model_version=..%2F..%2F%00",
    "/v1/virtualenvs?model_name=..%2F..%00",
    "/v1/launch_history?model_name=%00",
    "/v1/requests/%00/progress",
    "/v1/requests/%F0%9F%98%80/progress",
    "/v1/keys/%00",
    "//v1/models",
    "/v1/models?all=%00",
    "/v1/models/instances?model_uid=%FF&model_name=%00",
]


@pytest.fixture(scope="module")
def odd_server(new_server_of_module: Callable[..., Any]) -> Any:
    server = new_server_of_module(HF_ENDPOINT="http://127.0.0.1:9", ENGINEHOUSE_LAUNCH_SECONDS="20")
    server.launch(model_engine="fake")
    return server


@pytest.fixture(scope="module")
def description(odd_server: Any) -> dict[str, Any]:
    found = dict(odd_server.client.get("/openapi.json").json())
    assert sum(1 for _ in operations(found)) > 20  # else what follows would try nothing
    return found


@pytest.fixture(autouse=True)
def lives_on(odd_server: Any) -> Iterator[None]:
    """Whatever a test sent, the server answers others after it, and is the same process."""
    yield
    assert odd_server.process.poll() is None
    assert odd_server.client.get("/health").status_code == 200


def operations(description: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Path with its parameters filled in, method and schema of every operation with a JSON body."""
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if content:
                filled = path.format(**{p["name"]: "0" for p in operation.get("parameters", ()) if p["in"] == "path"})
                yield filled.replace("{uid}", "x"), method, content["schema"]


def resolve(schema: dict[str, Any], description: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref")
    return description["components"]["schemas"][reference.rpartition("/")[2]] if reference else schema


def check(answer: httpx.Response, what: str) -> None:
    """An answer, or a refusal that says why; never a fault of the server."""
    assert answer.status_code < 500 or answer.status_code == 503, f"{what}: {answer.status_code} {answer.text[:500]}"
    if answer.status_code >= 400:
        told = answer.json()
        assert told["error"]["message"], what
        if "/messages" not in what and "/anthropic" not in what:
            assert told["detail"] == told["error"]["message"], what


@pytest.mark.parametrize("name", RAW)
def test_bodies(odd_server: Any, description: dict[str, Any], name: str) -> None:
    for path, method, _ in operations(description):
        answer = odd_server.client.request(method, path, content=RAW[name])
        check(answer, f"{method} {path} with {name}")


def test_types_of_content(odd_server: Any, description: dict[str, Any]) -> None:
    for kind in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "application/xml",
        "\xff",
        "",
    ):
        for path, method, _ in operations(description):
            answer = odd_server.client.request(
                method, path, content=b"<a/>", headers={"content-type": kind.encode("latin-1")}
            )
            check(answer, f"{method} {path} as {kind}")
            assert answer.status_code >= 400, f"{method} {path} took XML as {kind}"


@pytest.mark.parametrize("name", ODD)
def test_values_of_every_field(odd_server: Any, description: dict[str, Any], name: str) -> None:
    base = {"model_name": "fake-model", "model": "fake-model", "messages": [], "prompt": "", "input": "", "name": "n"}
    base |= {"model_version": "nothing", "enabled": False, "launch": {"model_name": "fake-model"}, "max_tokens": 1}
    tried = 0
    for path, method, schema in operations(description):
        for field in resolve(schema, description).get("properties", {}):
            body = json.dumps({**base, field: ODD[name]})
            answer = odd_server.client.request(method, path, content=body, params={"dry_run": "true"})
            check(answer, f"{method} {path} with {field} {name}")
            tried += 1
    assert tried > 100


@pytest.mark.parametrize("name", ODD)
def test_values_of_every_field_of_a_launch(odd_server: Any, description: dict[str, Any], name: str) -> None:
    for field in [*description["components"]["schemas"]["LaunchRequest"]["properties"], "tokens", "unknown"]:
        launch = {"model_name": "fake-model", "model_engine": "fake", "model_uid": "odd", field: ODD[name]}
        body = json.dumps({"enabled": False, "launch": launch})
        check(odd_server.client.post("/v1/autostart/models", content=body), f"an entry with {field} {name}")
    assert odd_server.client.get("/v1/autostart/models").status_code == 200


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_paths(odd_server: Any, path: str, method: str) -> None:
    url = httpx.URL(scheme="http", host="127.0.0.1", port=odd_server.port, raw_path=path.encode())
    answer = odd_server.client.request(method, url)
    check(answer, f"{method} {path}")
    assert answer.headers["content-type"].startswith("application/json")


@pytest.mark.parametrize(
    "request_line",
    [
        b"GET /v1/models\x00 HTTP/1.1",
        b"GET \xff HTTP/1.1",
        b"POST /v1/models HTTP/1.1\r\ncontent-length: -1",
        b"POST /v1/models HTTP/1.1\r\ncontent-length: 99999999999999999999",
        b"POST /v1/models HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2",
        b"POST /v1/models HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz",
        b"GET /v1/models HTTP/1.1\r\nx-api-key: \xff\x01",
        b"GET http://elsewhere/v1/models HTTP/1.1",
        b"GET * HTTP/1.1",
    ],
)
def test_what_is_hardly_http(odd_server: Any, request_line: bytes) -> None:
    with socket.create_connection(("127.0.0.1", odd_server.port), timeout=10) as connection:
        connection.sendall(request_line + b"\r\nhost: x\r\nconnection: close\r\n\r\n")
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    assert b" 500 " not in answer.partition(b"\r\n")[0], answer
    assert odd_server.client.get("/health").status_code == 200


def test_what_was_kept_of_it_does_not_stop_the_next_start(odd_server: Any) -> None:
    kept = {one["model_uid"] for one in odd_server.client.get("/v1/autostart/models").json()["models"]}
    assert odd_server.stop() == 0
    odd_server.client.close()
    odd_server.client = httpx.Client(base_url=odd_server.url, timeout=60)
    odd_server.start()
    assert {one["model_uid"] for one in odd_server.client.get("/v1/autostart/models").json()["models"]} == kept
    assert "Traceback" not in odd_server.log(), odd_server.log()[-8000:]
