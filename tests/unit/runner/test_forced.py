"""tool_choice that forces a call: what the engine is asked for, and what becomes of its answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
PLACE = {**CITY, "properties": {"city": {"$ref": "#/$defs/name"}}, "$defs": {"name": {"type": "string"}}}
NAMED = {"type": "function", "function": {"name": "weather"}}


def tool(name: str, parameters: Any = None) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


def able(start: Any, **options: Any) -> Any:
    return start({"abilities": ("chat", "tools")}, constraints=("json_schema",), **options).ready()


@pytest.fixture(scope="module")
def asked(start: Any) -> Any:
    """The schema that a runner asks its engine for, echoed by a text that is no call."""
    runner = able(start)

    def ask(**fields: Any) -> Any:
        answer = runner.chat("request", **fields)
        assert answer.status_code == 200, answer.text
        found = json.loads(answer.json()["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"])
        assert found["constraint"]["param"] == "tool_choice"
        return json.loads(found["constraint"]["text"])

    return ask


def test_a_named_function_asks_for_its_arguments(asked: Any) -> None:
    assert asked(tools=[tool("add"), tool("weather", PLACE)], tool_choice=NAMED) == PLACE
    assert asked(tools=[tool("weather")], tool_choice=NAMED)["additionalProperties"] is False


@pytest.mark.parametrize(
    ("calls", "names"),
    [
        ([{"name": "weather", "arguments": {"city": "Rome"}}], ["weather"]),
        ([{"name": "add", "arguments": {}}, {"name": "weather", "arguments": {"city": "x"}}], ["add", "weather"]),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_calls_become_tool_calls(start: Any, events: Any, calls: Any, names: Any, stream: bool) -> None:
    runner = able(start, text=json.dumps(calls))
    answer = runner.chat(tools=[tool("add"), tool("weather", CITY)], tool_choice="required", stream=stream)
    assert answer.status_code == 200, answer.text
    if stream:
        chunks = [event["choices"][0] for event in events(answer.text)]
        made = [call for chunk in chunks for call in chunk["delta"].get("tool_calls", ())]
        reason = chunks[-1]["finish_reason"]
    else:
        made = answer.json()["choices"][0]["message"]["tool_calls"]
        reason = answer.json()["choices"][0]["finish_reason"]
    assert [call["function"]["name"] for call in made] == names and reason == "tool_calls"
    assert [json.loads(call["function"]["arguments"]) for call in made] == [call["arguments"] for call in calls]


def test_a_call_that_was_cut_stays_text(start: Any) -> None:
    runner = able(start, text='{"city": "Rome or')
    choice = runner.chat(tools=[tool("weather", CITY)], tool_choice=NAMED).json()["choices"][0]
    assert choice["message"]["content"] == '{"city": "Rome or' and "tool_calls" not in choice["message"]


def test_the_schema_of_several_calls(start: Any) -> None:
    runner = able(start, text="[]", echo=False)
    assert runner.chat(tools=[tool("weather", PLACE)], tool_choice="required").status_code == 200
    from enginehouse.runner.forced import _calls
    from enginehouse.sdk import Tool
    from enginehouse.sdk.chat import Function

    schema = _calls((Tool(Function("add")), Tool(Function("weather", parameters=PLACE))), 3)
    assert schema["$defs"] == PLACE["$defs"] and schema["maxItems"] == 3 and schema["minItems"] == 1
    first, second = schema["items"]["anyOf"]
    assert first["properties"]["name"] == {"const": "add"}
    assert second["properties"]["arguments"] == {key: PLACE[key] for key in ("type", "properties", "required")}


@pytest.mark.parametrize(
    ("fields", "param", "word"),
    [
        ({"tools": [tool("add")], "tool_choice": NAMED}, "tool_choice", "not among"),
        ({"tools": [tool("add")], "tool_choice": "sometimes"}, "tool_choice", "'required'"),
        ({"tools": [tool("add")], "tool_choice": {"type": "function"}}, "tool_choice", "'required'"),
        ({"tool_choice": "required"}, "tool_choice", "needs `tools`"),
        ({"tools": [tool("add")], "tool_choice": "required", "guided_json": True}, "guided_json", "tool"),
        (
            {
                "tools": [tool("a", PLACE), tool("b", {**PLACE, "$defs": {"name": {"type": "null"}}})],
                "tool_choice": "required",
            },
            "tools",
            "$defs/name",
        ),
    ],
)
def test_what_cannot_be_forced(start: Any, fields: Any, param: str, word: str, shared: Any) -> None:
    answer = shared.chat(**fields)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param), answer.text
    assert word in answer.json()["error"]["message"]


@pytest.fixture(scope="module")
def shared(start: Any) -> Any:
    return able(start)
