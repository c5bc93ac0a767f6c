"""Flexible models through a whole server: registered, launched, asked by every client, replaced when they must be."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from enginehouse.client import AsyncClient, AsyncRESTfulFlexibleModelHandle, Client, ClientError, FlexibleModelHandle
from enginehouse.testing.houses import House
from enginehouse.testing.waiting import wait_for

ODD = Path(__file__).parent / "odd"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = House(tmp_path_factory.mktemp("house") / "h", site=(ODD,))
    yield house.start()
    house.end()


def register(house: House, name: str, launcher: str, arguments: Any = None, **more: Any) -> None:
    model = {"model_name": name, "launcher": launcher, "launcher_args": arguments, **more}
    answer = house.client.post("/v1/model_registrations/flexible", json={"model": model})
    assert answer.status_code == 200, answer.text


@pytest.fixture(scope="module")
def echo(served: House) -> str:
    register(served, "echo", "xinference.model.flexible.launchers.transformers", '{"task": "mock"}')
    return served.launch("echo", model_type="flexible")


@pytest.fixture(scope="module")
def odd(served: House) -> str:
    register(served, "odd", "odd_launchers.odd", {"mood": "fair"})
    return served.launch("odd", model_type="flexible", model_uid="odd-one")


def test_it_is_described_with_what_its_type_reports(served: House, echo: str) -> None:
    told = served.description(echo)
    assert (told["model_type"], told["model_engine"], told["tasks"]) == ("flexible", "flexible", ["infer"])
    assert told["launcher"] == "xinference.model.flexible.launchers.transformers"
    assert told["launcher_args"] == '{"task": "mock"}'
    assert served.client.get("/v1/engines/flexible/echo").json() is None


@pytest.mark.parametrize("body", [{"args": []}, {"args": None}, {}])
def test_infers_over_http(served: House, echo: str, body: dict[str, Any]) -> None:
    answer = served.client.post("/v1/flexible/infers", json={"model": echo, **body, "a": 1, "b": "x"})
    assert (answer.status_code, answer.json()) == (200, {"a": 1, "b": "x"})


def test_a_form_sends_files_along(served: House, echo: str) -> None:
    files = {"image": ("cat.png", b"\x89PNG\r\n--x", "image/png"), "k": (None, "3"), "model": (None, echo)}
    told = served.client.post("/v1/flexible/infers", files=files).json()
    assert told["k"] == 3
    assert told["image"] == "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n--x").decode()


def test_both_faces_of_the_client(served: House, odd: str, tmp_path: Path) -> None:
    file = tmp_path / "f.bin"
    file.write_bytes(b"\x00\x01")
    with Client(served.url) as client:
        handle = client.get_model(odd)
        assert isinstance(handle, FlexibleModelHandle)
        assert handle.infer(text="x")["spec"] == "odd"
        assert handle.infer("echo", text=file)["text"] == handle.infer(text=b"\x00\x01")["text"] == "AAE="
        with handle.infer("count", times=2, stream=True) as values:
            assert [each["value"] for each in values] == [0, 1]
        with pytest.raises(ClientError, match="unexpected keyword argument 'colour'"):
            handle.infer(colour=1)

    async def ask() -> Any:
        client = AsyncClient(served.url)
        handle = await client.get_model(odd)
        assert isinstance(handle, AsyncRESTfulFlexibleModelHandle)
        stream = await handle.infer("count", times=2, stream=True)
        told = [each["value"] async for each in stream], (await handle.infer(text="x"))["text"]
        await client.close()
        return told

    assert asyncio.run(ask()) == ([0, 1], "x")


def test_programs_written_for_xinference(served: House, echo: str) -> None:
    restful = pytest.importorskip("xinference_client.client.restful.restful_client")
    theirs = restful.Client(served.url)
    assert theirs.get_model(echo).infer(a=1) == {"a": 1}


def test_the_command_line(served: House, echo: str, odd: str, tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("hi")
    ran = served.cli("infer", echo, "a=1", "b=[1, 2]", "c=x y", f"d=@{file}")
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == {"a": 1, "b": [1, 2], "c": "x y", "d": "data:text/plain;base64,aGk="}
    ran = served.cli("infer", odd, "count", "times=2", "--stream")
    assert ran.stdout == '{"value": 0}\n{"value": 1}\n'
    ran = served.cli("infer", echo, "--task", "chat")
    assert ran.returncode == 1 and "does not do 'chat'; it does: infer" in ran.stderr


def test_what_it_cannot_do_is_refused(served: House, echo: str) -> None:
    answer = served.client.post("/v1/chat/completions", json={"model": echo, "messages": []})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "not_supported")
    answer = served.client.post("/v1/flexible/infers", json={"model": "nobody"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
    answer = served.client.post("/v1/flexible/infers", json={"a": 1})
    assert answer.status_code == 400 and "`model`" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("launcher", "said"),
    [
        ("transfomers", "There is no launcher 'transfomers'. Did you mean 'transformers'?"),
        ("nothing", "Known: transformers, modelscope"),
        ("two words", "Or give the dotted path"),
    ],
)
def test_a_launcher_that_nobody_knows(served: House, launcher: str, said: str) -> None:
    name = "lost" + str(abs(hash(launcher)))
    register(served, name, launcher)
    answer = served.client.post("/v1/models", json={"model_name": name, "model_type": "flexible"})
    assert answer.status_code == 400 and said in answer.json()["detail"], answer.text
    assert answer.json()["error"]["param"] == "launcher"


def test_a_launcher_that_breaks_fails_its_launch_with_the_reason(served: House) -> None:
    register(served, "broken", "odd_launchers:odd", {"mood": "load raises"})
    answer = served.client.post("/v1/models", json={"model_name": "broken", "model_type": "flexible"})
    assert answer.status_code >= 400 and "the weights are sour" in answer.json()["detail"]


def test_launch_fields_go_to_the_launcher_under_what_is_registered(served: House) -> None:
    register(served, "under", "odd_launchers:odd", {"mood": "load raises"})
    uid = served.launch("under", model_type="flexible", mood="lost", launcher_args='{"mood": "fair"}')
    answer = served.client.post("/v1/flexible/infers", json={"model": uid, "text": 1})
    assert answer.json()["spec"] == "under"


def test_weights_reach_the_launcher_as_a_path(served: House, tmp_path: Path) -> None:
    weights = tmp_path / "weights.txt"
    weights.write_text("heavy")
    arguments = {"function": "odd_launchers:add"}
    register(served, "weighty", "callable", arguments, model_uri=f"file://{weights}")
    uid = served.launch("weighty", model_type="flexible")
    assert served.client.post("/v1/flexible/infers", json={"model": uid, "args": [1, 2]}).json() == 3


def test_a_worker_that_is_stuck_is_replaced_and_the_model_answers_again(served: House) -> None:
    register(served, "stuck", "odd_launchers:odd")
    uid = served.launch("stuck", model_type="flexible", infer_seconds=0.5)
    before = served.pid(uid)
    answer = served.client.post("/v1/flexible/infers", json={"model": uid, "args": ["sleep"], "seconds": 600})
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "infer_timed_out")

    def answers() -> httpx.Response | None:
        told = served.client.post("/v1/flexible/infers", json={"model": uid})
        assert told.status_code in (200, 503), told.text
        return told if told.status_code == 200 else None

    assert wait_for(answers, 60, "the replacement").json()["pid"] != before
    events = served.client.get(f"/v1/models/{uid}/events").json()
    assert any("did not answer within 0.5 s" in event["event_content"] for event in events)


def test_tables_show_what_the_type_reports(served: House, echo: str) -> None:
    listed = served.cli("list", "-t", "flexible").stdout
    assert "LAUNCHER ARGS" in listed and "xinference.model.flexible.launchers.transformers" in listed
    registered = served.cli("registrations", "-t", "flexible").stdout
    assert "LAUNCHER" in registered and '{"task": "mock"}' in registered
