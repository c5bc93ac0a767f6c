"""The worker itself: health, metrics, what it lists, who may reach it."""

from __future__ import annotations

import stat
from pathlib import Path

from .check import check, require
from .refusals import BODIES, ROUTES
from .stage import Stage, counts, is_common

OWNER_ONLY = 0o077  # bits that nobody but the owner may have


@check("bronze", "GET /health answers 200 once the model is loaded.")
def health_is_ready(stage: Stage) -> None:
    stage.worker.get("/health").ok()


@check("bronze", "GET /health tells the state, and progress from 0 to 1.", counts)
def health_tells_the_state(stage: Stage) -> None:
    said = stage.worker.get("/health").ok()
    told = said.json()
    said.must(told["state"] == "ready" and 0 <= told["progress"] <= 1, 'state "ready" and a progress from 0 to 1')


@check("silver", "GET /health counts the requests in flight: none when none is asked.", counts)
def health_counts_to_zero(stage: Stage) -> None:
    stage.idle()
    said = stage.worker.get("/health")
    said.must(said.json()["in_flight"] == 0, "in_flight 0")


@check("silver", "GET /health counts a request that is being answered.", counts)
def health_counts_what_runs(stage: Stage) -> None:
    path, body = stage.a_request()
    if "messages" not in body and "prompt" not in body:
        return  # its answers come in one piece
    with stage.worker.opened(path, {**body, "stream": True, "max_tokens": 200}) as answer:
        next(answer.iter_raw())
        said = stage.worker.get("/health").ok()
    said.must(said.json()["in_flight"] in (0, 1), "in_flight 1, or 0 where it was that quick")
    stage.idle()


@check("bronze", "The worker answers a request for what the model is for.")
def answers(stage: Stage) -> None:
    path, body = stage.a_request()
    stage.worker.post(path, body).ok()


@check("bronze", "Declared tasks are implemented tasks: each that the model offers is answered.")
def tasks_are_implemented(stage: Stage) -> None:
    for task in ROUTES.keys() & set(stage.facts.tasks):
        stage.worker.post(ROUTES[task], BODIES[task](stage)).ok()


@check("silver", "A task that the model does not offer is refused with not_supported, or has no route.", counts)
def other_tasks_are_refused(stage: Stage) -> None:
    for task in ROUTES.keys() - set(stage.facts.tasks):
        said = stage.worker.post(ROUTES[task], BODIES[task](stage))
        said.refused(said.status if said.status == 404 else 400)


@check("silver", "Answers are JSON, and say so.")
def says_that_it_is_json(stage: Stage) -> None:
    path, body = stage.a_request()
    said = stage.worker.post(path, body).ok()
    said.must(said.headers.get("content-type", "").startswith("application/json"), "content-type application/json")


@check("silver", "Answers name the model by the uid that the request has.", is_common)
def names_the_model(stage: Stage) -> None:
    path, body = stage.a_request()
    said = stage.worker.post(path, body).ok()
    said.must(said.json().get("model") == stage.uid, f"model {stage.uid!r}")


@check("silver", "GET /v1/models lists the one model that runs.")
def lists_its_model(stage: Stage) -> None:
    said = stage.worker.get("/v1/models").ok()
    said.must(stage.uid in [one["id"] for one in said.json()["data"]], f"a model with the id {stage.uid!r}")


@check("bronze", "What is not there is answered with 404 and an error object.")
def unknown_routes_are_refused(stage: Stage) -> None:
    stage.worker.post("/v1/no/such/route", {}).refused(404)


@check("gold", "Only its owner can open the worker's socket.")
def socket_is_private(stage: Stage) -> None:
    path = Path(stage.house.socket(stage.uid))
    mode, folder = (stat.S_IMODE(one.stat().st_mode) for one in (path, path.parent))
    require(not mode & OWNER_ONLY or not folder & OWNER_ONLY, f"stat {path}", oct(mode), "0600, or a folder of 0700")


@check("silver", "GET /metrics is text of Prometheus: every line a comment, or a name and a number.")
def metrics_can_be_read(stage: Stage) -> None:
    said = stage.worker.get("/metrics").ok()
    lines = [line for line in said.text.splitlines() if line and not line.startswith("#")]
    said.must(lines, "at least one metric")
    said.must(all(_is_number(line.rpartition(" ")[2]) for line in lines), "a number at the end of each line")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


@check("silver", "Metrics are honest: a request is counted once, its tokens as its usage tells them.", counts)
def metrics_count(stage: Stage) -> None:
    path, body = stage.idle().a_request()
    names = ("requests_total", "prompt_tokens_total", "generated_tokens_total")
    before = [stage.counted(name) for name in names]
    said = stage.worker.post(path, body).ok()
    stage.idle()
    risen = [stage.counted(name) - had for name, had in zip(names, before, strict=True)]
    usage = said.usage if is_common(stage.facts) else {"prompt_tokens": 0}
    told = [1, usage["prompt_tokens"], usage.get("completion_tokens", 0)]
    said.must(risen == told, f"metrics {names} to rise by {told}; they rose by {risen}")


@check("silver", "A request that is refused is counted among the errors.", counts)
def metrics_count_errors(stage: Stage) -> None:
    path, body = stage.a_request()
    before = stage.counted("errors_total")
    said = stage.worker.post(path, {"model": body["model"]})
    stage.idle()
    said.must(stage.counted("errors_total") == before + 1, "errors_total to rise by 1")
