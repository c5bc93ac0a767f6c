"""Workers of flexible models, with launchers that misbehave beside those that ship."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from enginehouse.sdk import RunnerOrder, TaskOrder
from enginehouse.testing.workers import KeptWorker, order_for

ODD = Path(__file__).parent / "odd"
INFER = TaskOrder(name="infer", route="/v1/flexible/infers", request="enginehouse_flexible.requests:InferRequest")


class Worker(KeptWorker):
    """A worker of a flexible model."""

    def infer(self, *args: Any, **kwargs: Any) -> httpx.Response:
        return self.client.post(INFER.route, json={"model": "model", "args": list(args), **kwargs})

    def result(self, *args: Any, **kwargs: Any) -> Any:
        answer = self.infer(*args, **kwargs)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refusal(self, *args: Any, **kwargs: Any) -> tuple[int, str]:
        answer = self.infer(*args, **kwargs)
        return answer.status_code, answer.json()["error"]["message"]


def runner_order(folder: Path, launcher: str, weights: Path | None, options: dict[str, Any]) -> RunnerOrder:
    return RunnerOrder(
        engine="enginehouse_flexible.engine:FlexibleEngine",
        options="enginehouse_flexible.options:FlexibleOptions",
        tasks=("infer",),
        model_path=str(weights or folder / "nothing"),
        device="cpu",
        own_tasks=(INFER,),
        facts={"model_name": "mine", "launcher": launcher, "launcher_args": options.pop("registered", None)},
        launcher=launcher,
        option_values=options,
    )


Begin = Callable[..., Worker]


@pytest.fixture(scope="module")
def begin() -> Iterator[Begin]:
    """`begin("module:launcher", weights=path, **options)`: a worker, not ready yet; all are ended with the module."""
    made: list[Worker] = []

    def start(launcher: str, weights: Path | None = None, *, trusts: bool = False, **options: Any) -> Worker:
        folder = Path(tempfile.mkdtemp(prefix="eh-"))  # short: a socket's path has a limit
        runner = runner_order(folder, launcher, weights, options)
        runner = msgspec.structs.replace(runner, trust_remote_code=trusts)
        order = msgspec.structs.replace(order_for(folder, runner), environment={"PYTHONPATH": str(ODD)})
        made.append(Worker(order))
        made[-1].claim()
        return made[-1]

    yield start
    for worker in made:
        worker.end()
        shutil.rmtree(worker.folder, ignore_errors=True)
