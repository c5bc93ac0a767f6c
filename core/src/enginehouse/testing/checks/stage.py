"""Where checks of a running model look: its worker, the gateway before it, and the server that started it."""

from __future__ import annotations

import time
from typing import Any

import httpx
import msgspec

from ...sdk import EngineSpec, Example, Health, ModelType, Task, TaskExample
from ..houses import House
from ..waiting import wait_for
from .check import Unclear
from .speaking import CHAT, COMPLETIONS, TOKENIZE, Speaker

READY_SECONDS = 600.0  # a worker that was ended is there again; as long as its first launch may take
IDLE_SECONDS = 20.0  # requests of an earlier check have ended
ANSWER_SECONDS = 120.0
GUIDED: dict[str, Any] = {
    "json_schema": {"guided_json": {"type": "object", "properties": {"a": {"type": "integer"}}}},
    "regex": {"guided_regex": "[ab]{1,3}"},
    "choice": {"guided_choice": ["red", "green"]},
    "grammar": {"guided_grammar": 'root ::= "red" | "green"'},
}


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What a model says it can do, and what asking it once has shown.

    constraints: kinds that were not refused. tokenizes: whether it answers /v1/tokenize. counts: whether its /health
    tells requests in flight, as the runner's does. command: it is a server binary. asked: own tasks of its model type,
    each with what the type's example asks.
    """

    spec: EngineSpec
    tasks: tuple[str, ...]
    abilities: tuple[str, ...]
    constraints: tuple[str, ...] = ()
    tokenizes: bool = False
    counts: bool = False
    context_length: int | None = None
    asked: tuple[tuple[Task, TaskExample], ...] = ()

    @property
    def command(self) -> bool:
        return bool(self.spec.command)


class Stage:
    """A model that runs in `house` under `uid`. launch: the fields that launch it again; kind: its model type; example:
    of the type, which this model is."""

    def __init__(
        self, house: House, launch: dict[str, Any], spec: EngineSpec, kind: ModelType, example: Example | None = None
    ) -> None:
        self.house, self.launch, self.uid = house, launch, str(launch["model_uid"])
        self.gateway = Speaker(house.client, self.uid)
        self.worker = self._reach()
        self.facts = self._look(spec, kind, example)

    def renew(self) -> Stage:
        """Waits until the model is ready, and speaks to the worker that runs it now."""
        wait_for(self._is_ready, READY_SECONDS, f"the readiness of {self.uid}")
        self.worker.client.close()
        self.worker = self._reach()
        return self

    def idle(self) -> Stage:
        """Waits until no request is being answered, where the worker tells."""
        if self.facts.counts:
            wait_for(lambda: self.in_flight() == 0, IDLE_SECONDS, "an idle worker")
        return self

    def in_flight(self) -> int:
        return int(self.worker.get("/health").json()["in_flight"])

    def counted(self, name: str) -> float:
        """The sum of one of the worker's counters."""
        lines = self.worker.get("/metrics").text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"enginehouse_worker_{name}"))

    def talk(self, **fields: Any) -> tuple[str, dict[str, Any]]:
        """A route of text and a body for it: chat where the model chats, else completions."""
        if "chat" in self.facts.tasks:
            return CHAT, self.worker.conversation(**fields)
        return COMPLETIONS, self.worker.completion(**fields)

    def a_request(self) -> tuple[str, dict[str, Any]]:
        """Some small request that the model answers, whatever it is for."""
        if "embed" in self.facts.tasks:
            return "/v1/embeddings", {"model": self.uid, "input": ["a small text", "another"]}
        if "rerank" in self.facts.tasks:
            return "/v1/rerank", {"model": self.uid, "query": "a small question", "documents": ["one", "two"]}
        if speaks(self.facts):
            return self.talk()
        if not self.facts.asked:
            raise Unclear("no request is known for a task that a plugin brings; see ModelType.examples")
        task, example = self.facts.asked[0]
        return task.route, self.filled(example.right[0])

    def filled(self, body: dict[str, Any]) -> dict[str, Any]:
        """A body of an example, for this model."""
        return {"model": self.uid, **body}

    def close(self) -> None:
        self.worker.client.close()

    def _reach(self) -> Speaker:
        transport = httpx.HTTPTransport(uds=self.house.socket(self.uid), limits=httpx.Limits(max_connections=256))
        return Speaker(httpx.Client(transport=transport, base_url="http://worker", timeout=ANSWER_SECONDS), self.uid)

    def _is_ready(self) -> bool:
        return any(one["status"] == "READY" for one in self.house.replicas(self.uid))

    def _look(self, spec: EngineSpec, kind: ModelType, example: Example | None) -> Facts:
        described = self.house.description(self.uid)
        abilities = tuple(described.get("model_ability") or kind.abilities)
        own = {task.name: task for task in kind.own_tasks}
        asked = (one for one in (example.tasks if example else ()) if one.task in spec.offers)
        tasks = tuple(task for task in spec.offers if task in own or (task in kind.tasks and task in abilities))
        health = _health(self.worker)
        return Facts(
            spec=spec,
            tasks=tasks,
            abilities=abilities,
            constraints=self._constraints(tasks),
            tokenizes=self.worker.post(TOKENIZE, {"model": self.uid, "prompt": "a"}).status == 200,
            counts=health is not None,
            context_length=health.context_length if health else described.get("context_length"),
            asked=tuple((own[one.task], one) for one in asked),
        )

    def _constraints(self, tasks: tuple[str, ...]) -> tuple[str, ...]:
        if not {"chat", "generate"} & set(tasks):
            return ()
        asked = self.worker.complete if "generate" in tasks else self.worker.chat
        return tuple(kind for kind, fields in GUIDED.items() if asked(max_tokens=8, **fields).status == 200)


def _health(worker: Speaker) -> Health | None:
    try:
        return msgspec.json.decode(worker.get("/health").text, type=Health)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None


def can(*tasks: str) -> Any:
    """A predicate: the model can be asked all of these."""
    return lambda facts: set(tasks) <= set(facts.tasks)


def speaks(facts: Facts) -> bool:
    """Whether it makes text."""
    return bool({"chat", "generate"} & set(facts.tasks))


def is_silent(facts: Facts) -> bool:
    """Whether it makes no text."""
    return not speaks(facts)


def is_own(facts: Facts) -> bool:
    """Whether it does what only its model type's plugin knows, and examples of that are there."""
    return bool(facts.asked)


def is_common(facts: Facts) -> bool:
    """Whether what it is asked here is a task that the house knows: see `Stage.a_request`."""
    return not facts.asked or speaks(facts) or bool({"embed", "rerank"} & set(facts.tasks))


def able(*abilities: str) -> Any:
    return lambda facts: set(abilities) <= set(facts.abilities)


def constrains(*kinds: str) -> Any:
    return lambda facts: "chat" in facts.tasks and set(kinds) <= set(facts.constraints)


def counts(facts: Facts) -> bool:
    return facts.counts


def seconds_of(call: Any) -> float:
    """How long `call` takes."""
    begun = time.monotonic()
    call()
    return time.monotonic() - begun
