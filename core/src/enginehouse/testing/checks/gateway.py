"""The same through the gateway, as every client meets the model."""

from __future__ import annotations

from typing import Any

from ...sdk import is_open
from ..waiting import wait_for
from .check import check
from .speaking import COMPLETIONS
from .stage import Facts, Stage, can, speaks

VARYING = ("id", "created", "model")
LONG = 300
GONE_SECONDS = 30.0  # beyond which the worker is stuck, rather than slow


def _generates_and_counts(facts: Facts) -> bool:
    return facts.counts and "generate" in facts.tasks


def _lasting(answer: Any) -> Any:
    """An answer without what is never the same twice."""
    if not isinstance(answer, dict):
        return answer
    kept = {key: value for key, value in answer.items() if key not in VARYING}
    if isinstance(kept.get("data"), list):
        kept["data"] = [{**one, "embedding": None} for one in kept["data"]]
    if isinstance(kept.get("results"), list):
        kept["results"] = [one["index"] for one in kept["results"]]
    for choice in kept.get("choices") or ():
        for call in (choice.get("message") or {}).get("tool_calls") or ():
            call.pop("id", None)
    return kept


@check("bronze", "The gateway gives the worker's answer.")
def answers_are_the_same(stage: Stage) -> None:
    path, body = stage.a_request()
    wanted = _lasting(stage.worker.post(path, body).ok().json())
    said = stage.gateway.post(path, body).ok()
    said.must(_lasting(said.json()) == wanted, f"{wanted}")


@check("bronze", "The gateway passes a stream on as it is.", speaks)
def streams_are_the_same(stage: Stage) -> None:
    path, body = stage.talk(stream=True)
    wanted = stage.worker.post(path, body).ok().streamed()
    said = stage.gateway.post(path, body).ok()
    said.must(said.streamed() == wanted, f"the text {wanted!r} in all")


@check("silver", "The gateway passes errors on as they are.")
def errors_are_the_same(stage: Stage) -> None:
    path, body = stage.a_request()
    bad = {"model": body["model"]}
    wanted = stage.worker.post(path, bad).refused().json()["error"]["code"]
    stage.gateway.post(path, bad).refused(code=wanted)


@check("bronze", "The gateway lists the model, with what it can do.")
def lists_the_model(stage: Stage) -> None:
    said = stage.gateway.get("/v1/models").ok()
    said.must(stage.uid in said.text, f"the uid {stage.uid!r}")


@check("silver", "The gateway knows no model of another name.")
def other_names_are_refused(stage: Stage) -> None:
    path, body = stage.a_request()
    said = stage.gateway.post(path, {**body, "model": "no-such-model"})
    said.must(said.status in (400, 404), "status 404")


@check("silver", "A caller who leaves the gateway leaves the worker.", _generates_and_counts)
def leaving_reaches_the_worker(stage: Stage) -> None:
    body = stage.worker.completion(max_tokens=LONG, ignore_eos=True, stream=True)
    with stage.idle().gateway.opened(COMPLETIONS, body) as answer:
        next(answer.iter_raw())
    wait_for(lambda: stage.in_flight() == 0, GONE_SECONDS, "the end of a request whose caller has left the gateway")


@check("silver", "Anthropic's messages are answered.", can("chat"))
def messages_are_answered(stage: Stage) -> None:
    turns = [{"role": "user", "content": "Hello!"}]
    said = stage.gateway.post("/v1/messages", {"model": stage.uid, "max_tokens": 8, "messages": turns}).ok()
    said.must(said.json()["type"] == "message" and said.json()["usage"]["output_tokens"] >= 0, "a message with usage")


@check("silver", "OpenAI's responses are answered.", can("chat"))
def responses_are_answered(stage: Stage) -> None:
    said = stage.gateway.post("/v1/responses", {"model": stage.uid, "input": "Hello!", "max_output_tokens": 16}).ok()
    said.must(said.json()["object"] == "response", "a response")


@check("silver", "The worker's metrics stand on the gateway's page, with the model's name.")
def metrics_are_shown(stage: Stage) -> None:
    said = stage.gateway.get("/metrics").ok()
    said.must(f'model="{stage.uid}"' in said.text, f'metrics with model="{stage.uid}"')


@check("bronze", "A launch option that the engine does not have is refused with 400, and named.")
def unknown_options_are_refused(stage: Stage) -> None:
    """Where options are open, somebody else refuses it, when the worker is started."""
    body = {**stage.launch, "model_uid": "refused", "no_such_option": 1}
    said = stage.gateway.post("/v1/models", body)
    refused = said.must("no_such_option" in said.text, "an error that names no_such_option")
    refused.refused(max(said.status, 400) if is_open(stage.facts.spec.options) else 400)


@check("silver", "A plan of the launch can be made without launching.")
def launches_can_be_planned(stage: Stage) -> None:
    before = len(stage.house.client.get("/v1/models").json()["data"])
    said = stage.gateway.post("/v1/models?dry_run=true", {**stage.launch, "model_uid": "planned"})
    if said.status == 200:
        after = len(stage.house.client.get("/v1/models").json()["data"])
        said.must(after == before, "nothing to be launched")
