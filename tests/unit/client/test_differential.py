"""Our client beside Xinference's own: the same method, with the same arguments, against the same server.

Both are asked to do the same; what they send must be equal, and so must what they make of the answer.
"""

from __future__ import annotations

import inspect
import json
from typing import Any, NamedTuple

import pytest

from enginehouse import client as ours

_PACKAGE = "xinference_client.client.restful"
blocking = pytest.importorskip(f"{_PACKAGE}.restful_client", reason="pip install xinference-client")
asynchronous = pytest.importorskip(f"{_PACKAGE}.async_restful_client", reason="pip install xinference-client")

PNG, WAV = b"\x89PNG\r\n\x1a\n\x00image", b"RIFF\x00\x01audio"
REFUSAL = {"status": 418, "json": {"detail": "a teapot makes no models"}}
BODIES = {"json": {"anything": [1, None, "é"]}}

DIFFERENCES = {
    "world, reload_*, relaunch_*, get_*_relaunch, list_*_relaunches": "of a later line than the one followed; no route",
    "add_model_replica(replica, model_engine, n_gpu)": "likewise: one replica a call, as its model was launched",
    "text before 'detail:' in errors": "our own words; status, code and detail are attributes",
    "errors without JSON": "the text of the answer instead of that of the HTTP library",
    "get_instance_info, _get_supervisor_internal_address": "their errors have a detail, too",
    "str where a file is meant": "always a path; theirs sends the path itself as content but in image_edit",
    "errors inside a stream": "a ClientError (a RuntimeError) instead of a bare Exception",
    "speech(voice=None) of the async client": "sent as null by both faces, as the wire allows; theirs leaves it out",
    "wait_ready=False": "is false in the query; theirs says False or false, by the face",
    "image_edit, list_model_registrations of the async client": "as those of the blocking one: no file is called a PNG "
    "that may be none, and `detailed` is there",
    "AsyncClient()": "does not wait; theirs blocks the event loop to ask for /v1/cluster/auth",
}
AS_BLOCKING = {"image_edit", "list_model_registrations"}
"""Methods of which ours are on both faces as theirs is on the blocking one."""

LATER = {
    "reload_model",
    "get_model_reload_status",
    "get_model_reload_config",
    "relaunch_api",
    "get_api_relaunch",
    "list_api_relaunches",
    "relaunch_supervisor",
    "get_supervisor_relaunch",
    "list_supervisor_relaunches",
    "relaunch_worker",
    "get_worker_relaunch",
    "list_worker_relaunches",
}
"""Methods of theirs that ours has not, see DIFFERENCES."""


class Case(NamedTuple):
    """A call. kind: of the model whose handle it is a method of; None for the client's own. answer: a step of the
    scripted server."""

    route: str
    method: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = {}  # noqa: RUF012 - never changed
    answer: dict[str, Any] = BODIES
    kind: str | None = None

    @property
    def name(self) -> str:
        extra = f"-{'-'.join(map(str, self.kwargs))}" if self.kwargs else ""
        return f"{self.kind or 'client'}.{self.method}-{len(self.args)}{extra}"


def answers(value: Any) -> dict[str, Any]:
    return {"json": value}


LEFT = answers({"remaining_replicas": 2})
LAUNCH = answers({"model_uid": "m"})
REPLICA = {"replica_uid": "west", "devices": [{"worker_ip": "127.0.0.1:1", "gpu_idx": [0]}]}
EVENTS = {"pieces": [": ping\r\n\r\n", 'data: {"choices": [{"text": "é"}]}\r\n\r\n', "data: [DONE]\r\n\r\n"]}
SOUND = {"pieces": ["RIFF" * 400, "data" * 400]}
MESSAGES = [{"role": "user", "content": "Hello!"}]
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {}}}]

CLIENT = (
    Case("GET /v1/models", "list_models", answer=answers({"object": "list", "data": [{"id": "a", "x": 1}]})),
    Case("POST /v1/models", "launch_model", ("stoker",), answer=LAUNCH),
    Case(
        "POST /v1/models",
        "launch_model",
        ("stoker", "LLM", "vllm", "m", 0.5, "pytorch", "none", 2, 3, 1, {"lora_list": []}, 4, "127.0.0.1", [0, 1]),
        {"model_path": "/a", "enable_thinking": True, "envs": {"A": "b"}, "n_ctx": 5, "download_hub": "huggingface"},
        LAUNCH,
    ),
    Case("POST /v1/models", "launch_model", ("s",), {"wait_ready": False, "replica_config": [REPLICA]}, LAUNCH),
    Case("POST /v1/models", "launch_model", ("s",), {"model_size_in_billions": 7.0}, LAUNCH),
    Case("POST /v1/models", "launch_model", ("s",), {"model_size_in_billions": "1_8", "n_gpu": None}, LAUNCH),
    Case(
        "POST /v1/models",
        "launch_model",
        ("s",),
        {"enable_virtual_env": True, "virtual_env_packages": ["a==1"], "virtual_env_find_links": ["/wheels"]},
        LAUNCH,
    ),
    Case("GET /v1/models/m", "describe_model", ("m",)),
    Case("DELETE /v1/models/m", "terminate_model", ("m",), answer=answers(None)),
    Case("POST /v1/models/m/replicas", "add_model_replica", ("m",)),
    Case("POST /v1/models/m/replicas", "add_model_replica", ("m", REPLICA)),
    Case(
        "DELETE /v1/models/m/replicas/1", "terminate_model_replica", ("m", 1), answer=answers({"remaining_replicas": 2})
    ),
    Case("GET /v1/models/m/progress", "get_launch_model_progress", ("m",)),
    Case("POST /v1/models/m/cancel", "cancel_launch_model", ("m",), answer=answers(None)),
    Case("GET /v1/models/instances", "get_instance_info", ("stoker", "m"), answer=answers([{"a": 1}])),
    Case("POST /v1/model_registrations/LLM", "register_model", ("LLM", '{"version": 2}', True), answer=answers(None)),
    Case("POST /v1/model_registrations/LLM", "register_model", ("LLM", "{}", False, "127.0.0.1")),
    Case("DELETE /v1/model_registrations/LLM/m", "unregister_model", ("LLM", "m"), answer=answers(None)),
    Case("GET /v1/model_registrations/LLM", "list_model_registrations", ("LLM",), answer=answers([{"a": 1}])),
    Case("GET /v1/model_registrations/LLM", "list_model_registrations", ("LLM", True), answer=answers([])),
    Case("GET /v1/model_registrations/LLM/m", "get_model_registration", ("LLM", "m")),
    Case("GET /v1/engines/LLM/m", "query_engine_by_model_name", ("m",)),
    Case("GET /v1/engines/LLM/m", "query_engine_by_model_name", ("m",), answer=answers(None)),
    Case("GET /v1/engines/m", "query_engine_by_model_name", ("m", None)),
    Case("GET /v1/engines/rerank/m", "query_engine_by_model_name", ("m", "rerank"), {"enable_virtual_env": True}),
    Case("GET /v1/cache/models", "list_cached_models", answer=answers({"list": [{"a": 1}]})),
    Case("GET /v1/cache/models", "list_cached_models", ("m", "127.0.0.1"), answer=answers({"list": []})),
    Case("GET /v1/cache/models/files", "list_deletable_models", ("m--1",)),
    Case("GET /v1/cache/models/files", "list_deletable_models", ("m--1",), {"worker_ip": "127.0.0.1"}),
    Case("DELETE /v1/cache/models", "confirm_and_remove_model", ("m--1",), answer=answers({"result": True})),
    Case("DELETE /v1/cache/models", "confirm_and_remove_model", ("m", "127.0.0.1"), answer=answers({"result": False})),
    Case("POST /v1/models/m/requests/r/abort", "abort_request", ("m", "r"), answer=answers({"msg": "DONE"})),
    Case("POST /v1/models/m/requests/r/abort", "abort_request", ("m", "r", 0), answer=answers({"msg": "NO_OP"})),
    Case("GET /v1/requests/r/progress", "get_progress", ("r",), answer=answers({"progress": 0.5})),
    Case("GET /v1/workers", "get_workers_info", answer=answers([{"work-ip": "127.0.0.1:1", "models": {}}])),
    Case("GET /v1/supervisor", "get_supervisor_info"),
    Case("DELETE /v1/clusters", "abort_cluster", answer=answers({"result": True})),
    Case("GET /v1/autostart/models", "get_autostart_config"),
    Case("GET /v1/autostart/models/summary", "get_autostart_model_summary"),
    Case("POST /v1/autostart/models", "upsert_autostart_model", ({"launch": {"model_name": "m"}},)),
    Case("DELETE /v1/autostart/models/a b", "remove_autostart_model", ("a b",)),
    Case("GET /v1/models/vllm-supported", "vllm_models", answer=answers({"chat": ["a"], "generate": []})),
    Case("GET /v1/address", "_get_supervisor_internal_address", answer=answers("127.0.0.1:1234")),
)
HANDLES = (
    Case("POST /v1/completions", "generate", ("Once",), kind="generate"),
    Case("POST /v1/completions", "generate", ("Once", {"max_tokens": 3, "stream": False}), kind="chat"),
    Case("POST /v1/completions", "generate", ("Once", {"stream": True}), answer=EVENTS, kind="generate"),
    Case("POST /v1/chat/completions", "chat", (MESSAGES,), kind="chat"),
    Case("POST /v1/chat/completions", "chat", (MESSAGES, TOOLS, True), kind="chat"),
    Case(
        "POST /v1/chat/completions",
        "chat",
        (MESSAGES,),
        {"enable_thinking": False, "generate_config": {"chat_template_kwargs": '{"a": 1}', "temperature": 0}},
        kind="chat",
    ),
    Case(
        "POST /v1/chat/completions",
        "chat",
        (MESSAGES,),
        {"generate_config": {"stream": True, "tools": TOOLS}},
        EVENTS,
        "chat",
    ),
    Case("POST /v1/embeddings", "create_embedding", ("text",), kind="embedding"),
    Case("POST /v1/embeddings", "create_embedding", ([[1, 2]],), {"dimensions": 8}, kind="embedding"),
    Case("POST /v1/convert_ids_to_tokens", "convert_ids_to_tokens", ([1, 2],), answer=answers(["a"]), kind="embedding"),
    Case("POST /v1/rerank", "rerank", (["a", "b"], "q"), kind="rerank"),
    Case("POST /v1/rerank", "rerank", (["a"], "q", 1, 2, True, False), {"instruction": "é"}, kind="rerank"),
    Case("POST /v1/images/generations", "text_to_image", ("a cat",), kind="image"),
    Case("POST /v1/images/generations", "text_to_image", ("a", 2, "8*8", "b64_json"), {"seed": 1}, kind="image"),
    Case("POST /v1/images/variations", "image_to_image", (PNG, "a cat"), kind="image"),
    Case("POST /v1/images/variations", "image_to_image", ([PNG, PNG], "é", "dogs", 2, "8*8", "url"), kind="image"),
    Case("POST /v1/images/edits", "image_edit", (PNG, "a cat"), {"seed": 1}, kind="image"),
    Case("POST /v1/images/edits", "image_edit", ([PNG, WAV], "a", PNG, 2, "8*8", "b64_json"), kind="image"),
    Case("POST /v1/images/inpainting", "inpainting", (PNG, WAV, "a cat"), kind="image"),
    Case("POST /v1/images/inpainting", "inpainting", (PNG, WAV, "a", "b", 2, "8*8", "url"), {"s": 1}, kind="image"),
    Case("POST /v1/images/ocr", "ocr", (PNG,), {"pages": [1], "dpi": 100}, answers("text"), "image"),
    Case("POST /v1/video/generations", "text_to_video", ("a cat", 2), {"fps": 8}, kind="video"),
    Case("POST /v1/video/generations/image", "image_to_video", (PNG, "a cat"), kind="video"),
    Case("POST /v1/video/generations/image", "image_to_video", (PNG, "a", "b", 2, WAV), {"fps": 8}, kind="video"),
    Case("POST /v1/video/generations/flf", "flf_to_video", (PNG, WAV, "a cat", "b", 2), {"fps": 8}, kind="video"),
    Case("POST /v1/audio/embeddings", "create_embedding", (WAV,), kind="audio"),
    Case("POST /v1/audio/transcriptions", "transcriptions", (WAV,), kind="audio"),
    Case(
        "POST /v1/audio/transcriptions",
        "transcriptions",
        (WAV, "en", "hint", "verbose_json", 0.5, ["word", "segment"]),
        {"vad": True},
        kind="audio",
    ),
    Case("POST /v1/audio/translations", "translations", (WAV,), kind="audio"),
    Case("POST /v1/audio/translations", "translations", (WAV, "de", "hint", "json", 1, ["word"]), kind="audio"),
    Case("POST /v1/audio/speech", "speech", ("hello",), answer=SOUND, kind="audio"),
    Case("POST /v1/audio/speech", "speech", ("hello", "Ada", "wav", 1.5, True), {"a": 1}, SOUND, "audio"),
    Case("POST /v1/audio/speech", "speech", ("hello",), {"prompt_speech": WAV, "stream": True}, SOUND, "audio"),
    Case("POST /v1/audio/speech", "speech", ("a",), {"prompt_speech": WAV, "prompt_latent": PNG}, SOUND, "audio"),
    Case("POST /v1/flexible/infers", "infer", ("a", 1), {"b": [2]}, answers([1, "x"]), "flexible"),
    Case("POST /v1/flexible/infers", "infer", (), answer=answers(None), kind="flexible"),
)
CASES = CLIENT + HANDLES
FACES = {"blocking": (blocking.Client, ours.Client), "asynchronous": (asynchronous.AsyncClient, ours.AsyncClient)}


class Outcome(NamedTuple):
    """What was sent, and what came of it: a value, or the detail of an error."""

    sent: list[dict[str, Any]]
    value: Any = None
    detail: str | None = None


@pytest.fixture(params=FACES)
def pair(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    """Their client and ours, with the same face."""
    return FACES[request.param]


def comparable(pair: tuple[Any, Any], case: Case) -> tuple[Any, Any]:
    return (blocking.Client if case.method in AS_BLOCKING else pair[0], pair[1])


async def settle(value: Any) -> Any:
    """The value itself: awaited, and all the pieces of a stream together."""
    value = await value if inspect.isawaitable(value) else value
    if hasattr(value, "__anext__"):
        pieces = [piece async for piece in value]
    elif hasattr(value, "__next__"):
        pieces = list(value)
    else:
        return value
    return b"".join(pieces) if pieces and isinstance(pieces[0], bytes) else pieces


async def play(server: Any, kind: Any, case: Case, step: dict[str, Any]) -> Outcome:
    """Does the call with one client; `step` is the answer."""
    model_type = "LLM" if case.kind in ("chat", "generate") else case.kind
    description = {"model_type": model_type, "model_ability": [case.kind]}
    server.play({**({"GET /v1/models/m": description} if case.kind else {}), case.route: [step]})
    client = kind(server.url)
    target = await settle(client.get_model("m")) if case.kind else client
    before = len(server.asked())
    try:
        value, detail = await settle(getattr(target, case.method)(*case.args, **case.kwargs)), None
    except RuntimeError as error:
        value, detail = None, str(error).partition("detail: ")[2]
    sent = [reduce_request(item) for item in server.asked()[before:]]
    await close(target)
    await close(client)
    return Outcome(sent, value, detail)


async def close(closable: Any) -> None:
    result = closable.close()
    if inspect.isawaitable(result):
        await result


def reduce_request(item: dict[str, Any]) -> dict[str, Any]:
    """Without headers, with the parts of a form in any order, and true however it is written in a query."""
    form = None if item["form"] is None else sorted(item["form"], key=json.dumps)
    query = {name: value.lower() if value in ("True", "False") else value for name, value in item["query"].items()}
    return {"key": item["key"], "raw_path": item["raw_path"], "query": query, "json": item["json"], "form": form}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_both_send_the_same_and_return_the_same(server: Any, pair: Any, case: Case) -> None:
    reference, own = [await play(server, kind, case, case.answer) for kind in comparable(pair, case)]
    assert own == reference
    assert len(own.sent) == 1 and own.sent[0]["key"] == case.route
    assert own.detail is None


@pytest.mark.parametrize("case", {case.method + str(case.kind): case for case in CASES}.values(), ids=lambda c: c.name)
async def test_both_tell_of_a_refusal(server: Any, pair: Any, case: Case) -> None:
    reference, own = [await play(server, kind, case, REFUSAL) for kind in comparable(pair, case)]
    assert own.detail == "a teapot makes no models"
    assert reference.detail in (own.detail, "")


@pytest.mark.parametrize("auth", [True, False])
async def test_tokens(server: Any, pair: Any, auth: bool) -> None:
    async def tokens(kind: Any) -> list[Any]:
        server.play({"GET /v1/cluster/auth": {"auth": auth}, "GET /v1/workers": [{"json": []}]})
        client = kind(server.url, "first")
        await settle(client.get_workers_info())
        found = [client._cluster_authed, client._get_token()]
        client._set_token(None)
        found.append(client._get_token())
        client._set_token("second")
        found.append(client._get_token())
        await settle(client.get_workers_info())
        await close(client)
        return [*found, *(asked["headers"].get("authorization") for asked in server.asked())]

    reference, own = [await tokens(kind) for kind in pair]
    assert own == reference
    assert own[-2:] == (["Bearer first", "Bearer second"] if auth else [None, None])


@pytest.mark.parametrize("auth", [True, False])
async def test_login(server: Any, pair: Any, auth: bool) -> None:
    async def log_in(kind: Any) -> list[Any]:
        server.play({"GET /v1/cluster/auth": {"auth": auth}, "POST /token": {"access_token": "t"}})
        client = kind(server.url)
        await settle(client.login("ada", "secret"))
        token = client._get_token()
        await close(client)
        return [token, *(reduce_request(asked) for asked in server.asked())]

    reference, own = [await log_in(kind) for kind in pair]
    assert own == reference
    assert own[0] == ("t" if auth else None)


@pytest.mark.parametrize("kind", ["chat", "generate", "embedding", "rerank", "image", "video", "audio", "flexible"])
async def test_handles_have_the_same_methods_with_the_same_parameters(server: Any, pair: Any, kind: str) -> None:
    model_type = "LLM" if kind in ("chat", "generate") else kind
    server.play({"GET /v1/models/m": {"model_type": model_type, "model_ability": [kind]}})
    reference, own = [await settle(face(server.url).get_model("m")) for face in pair]
    assert parameters(type(own)) == parameters(type(reference))
    name = type(reference).__name__  # AsyncRESTfulChatModelHandle
    assert getattr(ours, name) is type(own)
    assert getattr(ours.handlers, name.replace("RESTful", "")) is type(own)


def test_clients_have_the_same_methods_with_the_same_parameters(pair: Any) -> None:
    reference, own = (parameters(kind) for kind in pair)
    missing = {name for name in reference if name not in own}
    assert missing <= LATER
    for name in reference.keys() - missing - {"add_model_replica", "list_model_registrations"}:
        assert list(own[name].items())[: len(reference[name])] == list(reference[name].items()), name
    assert own["list_model_registrations"] == {"model_type": REQUIRED, "detailed": False}
    assert {case.method for case in CLIENT} >= reference.keys() - LATER - {"get_model", "login", "close"}


REQUIRED = inspect.Parameter.empty
OPTIONAL_HERE = {"get_instance_info": {"model_name", "model_uid"}, "register_model": {"persist"}}
"""Parameters that may be left out with ours."""


def parameters(kind: type) -> dict[str, dict[str, Any]]:
    """Public methods, each with its parameters' names and defaults."""
    methods = inspect.getmembers(kind, inspect.isfunction)
    return {
        name: {
            parameter.name: REQUIRED if parameter.name in OPTIONAL_HERE.get(name, ()) else parameter.default
            for parameter in list(inspect.signature(method).parameters.values())[1:]
        }
        for name, method in methods
        if not name.startswith("_")
    }


def test_the_older_names_are_the_same_classes() -> None:
    assert ours.RESTfulClient is ours.Client
    assert ours.AsyncRESTfulClient is ours.AsyncClient
    assert set(ours.handlers.__all__) <= set(ours.__all__)


async def test_files_may_be_named(server: Any, pair: Any, tmp_path: Any) -> None:
    file = tmp_path / "cat.png"
    file.write_bytes(PNG)
    server.play({"GET /v1/models/m": {"model_type": "image"}, "POST /v1/images/edits": {"data": []}})
    client = pair[1](server.url)
    handle = await settle(client.get_model("m"))
    with file.open("rb") as opened:
        for form in (PNG, str(file), file, opened):
            await settle(handle.image_edit(form, "a dog"))
    await close(client)
    first, *rest = [reduce_request(asked) for asked in server.asked("POST")]
    assert PNG.decode("latin-1") in str(first["form"][0][3])
    assert rest == [first] * 3


async def test_a_form_without_files_is_refused_here(server: Any, pair: Any) -> None:
    server.play({"GET /v1/models/m": {"model_type": "image"}})
    handle = await settle(pair[1](server.url).get_model("m"))
    with pytest.raises(ValueError, match="no image"):
        await settle(handle.image_to_image([], "a dog"))
    assert not server.asked("POST")


async def test_a_stream_of_sound_may_be_refused(server: Any, pair: Any) -> None:
    server.play({"GET /v1/models/m": {"model_type": "audio"}, "POST /v1/audio/speech": [REFUSAL]})
    handle = await settle(pair[1](server.url).get_model("m"))
    with pytest.raises(RuntimeError, match="a teapot makes no models"):
        await settle(handle.speech("a", stream=True))
