"""A third party's distribution brings a model type with a task of its own; installed by pip, nothing else is done."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from enginehouse.testing.houses import House

EXAMPLE = Path(__file__).parents[2] / "examples" / "timeseries"
WEEK = [10.0, 11.0, 12.0, 13.0, 14.0, 4.0, 3.0]
PROGRAM = """
import asyncio, json, sys
from enginehouse.client import AsyncClient, Client, TimeseriesModelHandle

address, series = sys.argv[1], json.loads(sys.argv[2])
with Client(address) as client:
    handle = client.get_model("sales")
    assert isinstance(handle, TimeseriesModelHandle)
    whole = handle.forecast(series, horizon=7)["data"]
    with handle.forecast(series, horizon=7, stream=True) as events:
        assert list(events) == whole

async def ask():
    client = AsyncClient(address)
    handle = await client.get_model("sales")
    answer = await handle.forecast(series, horizon=7)
    await client.close()
    return answer["data"]

assert asyncio.run(ask()) == whole
print(json.dumps(whole))
"""


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory, install: Callable[..., None]) -> Iterator[House]:
    """A server with the example installed, and a model of the type launched."""
    site = tmp_path_factory.mktemp("site")
    install(EXAMPLE, site)
    house = House(tmp_path_factory.mktemp("house") / "h", site=(site,)).start()
    file = site / "sales.json"
    file.write_text(json.dumps({"model_name": "sales", "season": 7}))
    registered = house.cli("register", "--model-type", "timeseries", "--file", str(file))
    assert registered.returncode == 0, registered.stderr
    launched = house.cli("launch", "--model-type", "timeseries", "--model-name", "sales")
    assert launched.returncode == 0, launched.stderr
    yield house
    house.end()


def test_it_is_one_plugin_of_the_house(taught: House) -> None:
    plugins = {each["name"]: each for each in taught.client.get("/v1/plugins").json()["plugins"]}
    assert plugins["timeseries"]["state"] == "loaded", plugins["timeseries"]
    told = taught.description("sales")
    assert (told["tasks"], told["model_engine"], told["season"]) == (["forecast"], "holt-winters", 7)
    document = taught.client.get("/openapi.json").json()
    assert "/v1/timeseries/forecasts" in document["paths"] and "Forecast" in document["components"]["schemas"]
    lines = (line for file in EXAMPLE.rglob("*.py") for line in file.read_text().splitlines())
    assert sum(bool(line.strip()) for line in lines) < 200


def test_it_is_certified_by_the_requests_that_its_type_gives(taught: House) -> None:
    ran = taught.cli("certify", "timeseries")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("timeseries 0.1.0: gold (")
    told = "engine holt-winters with weekly"
    assert told in ran.stderr and "FAILED" not in ran.stderr


def test_its_client_is_there_with_it_and_its_forecast_is_one(taught: House) -> None:
    series = [WEEK * 6, [float(number) for number in range(20)]]
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, taught.url, json.dumps(series)],
        env=taught.environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    weekly, steady = json.loads(ran.stdout)
    assert weekly["mean"] == pytest.approx(WEEK, abs=0.5)  # the pattern of the week comes again
    assert steady["mean"][6] > steady["mean"][0] > 17
    assert all(
        low < mean < high for low, mean, high in zip(*(steady[key] for key in ("low", "mean", "high")), strict=True)
    )


@pytest.mark.parametrize(
    ("body", "param", "said"),
    [
        ({"series": [[1.0, 2.0, 3.0]]}, "series[0]", "a season of 7 needs twice as many"),
        ({"series": [[1.0]]}, "series[0]", "Expected `array` of length >= 2"),
        ({"series": [WEEK * 2], "horizon": 0}, "horizon", ">= 1"),
        ({}, "series", "is missing"),
    ],
)
def test_its_errors_are_like_all_others(taught: House, body: dict[str, Any], param: str, said: str) -> None:
    answer = taught.client.post("/v1/timeseries/forecasts", json={"model": "sales", **body})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param), answer.text
    assert said in answer.json()["detail"]


def test_a_registration_of_its_type_is_checked_by_its_own_schema(taught: House) -> None:
    model = {"model_name": "wrong", "season": 0, "damping": 2}
    answer = taught.client.post("/v1/model_registrations/timeseries", json={"model": model})
    assert answer.status_code == 400 and "season" in answer.json()["detail"] and "damping" in answer.json()["detail"]


def test_the_command_line_asks_for_it(taught: House) -> None:
    ran = taught.cli("infer", "sales", f"series={json.dumps([WEEK * 3])}", "horizon=2")
    assert ran.returncode == 0, ran.stderr
    assert len(json.loads(ran.stdout)["data"][0]["mean"]) == 2


def test_a_blocked_plugins_worker_serves_on_at_the_route_that_it_brought(taught: House) -> None:
    body = {"model": "sales", "series": [WEEK * 3], "horizon": 2}
    assert taught.client.post("/v1/plugins/timeseries/block").json()["state"] == "blocked"
    try:
        answer = taught.client.post("/v1/timeseries/forecasts", json=body)
        assert answer.status_code == 200, answer.text
        assert taught.cli("infer", "sales", f"series={json.dumps([WEEK * 3])}").returncode == 0
        launched = taught.cli("launch", "--model-type", "timeseries", "--model-name", "sales", "-u", "more")
        assert launched.returncode == 1 and "timeseries" in launched.stderr
    finally:
        taught.client.post("/v1/plugins/timeseries/unblock")
