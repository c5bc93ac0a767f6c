"""What a worker refuses: each row is a check."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from .check import Check, Level, check
from .speaking import CHAT, COMPLETIONS, EMBEDDINGS, RERANK
from .stage import Facts, Stage, can

TOO_MANY = 10**7  # tokens: more than any context holds
WORDS = 400_000  # of a prompt that no context holds


class Refusal(NamedTuple):
    """A request that is refused with 400. fields: beside a right body; None leaves that field out."""

    name: str
    task: str
    fields: dict[str, Any]
    param: str = ""
    level: Level = "silver"


ROWS = (
    Refusal("completion_without_prompt", "generate", {"prompt": None}, "prompt", "bronze"),
    Refusal("completion_with_an_empty_list", "generate", {"prompt": []}, "prompt"),
    Refusal("completion_with_a_number_for_a_prompt", "generate", {"prompt": 7}, "prompt", "bronze"),
    Refusal("max_tokens_below_one", "generate", {"max_tokens": 0}, "max_tokens"),
    Refusal("max_tokens_that_is_no_number", "generate", {"max_tokens": "many"}, "max_tokens"),
    Refusal("temperature_below_zero", "generate", {"temperature": -1}, "temperature"),
    Refusal("temperature_above_two", "generate", {"temperature": 2.5}, "temperature"),
    Refusal("top_p_above_one", "generate", {"top_p": 1.5}, "top_p"),
    Refusal("n_of_zero", "generate", {"n": 0}, "n"),
    Refusal("stop_that_is_empty", "generate", {"stop": [""]}, "stop", "gold"),
    Refusal("presence_penalty_out_of_range", "generate", {"presence_penalty": 9}, "presence_penalty"),
    Refusal("logit_bias_without_token_ids", "generate", {"logit_bias": {"word": 1}}, "logit_bias", "gold"),
    Refusal("adapter_that_is_not_loaded", "generate", {"lora_name": "no-such-adapter"}, "lora_name"),
    Refusal("chat_without_messages", "chat", {"messages": None}, "messages", "bronze"),
    Refusal("chat_with_no_message", "chat", {"messages": []}, "messages", "bronze"),
    Refusal("message_without_a_role", "chat", {"messages": [{"content": "x"}]}, "messages"),
    Refusal("message_with_an_unknown_role", "chat", {"messages": [{"role": "ghost", "content": "x"}]}, "messages"),
    Refusal("user_without_content", "chat", {"messages": [{"role": "user"}]}, "messages", "gold"),
    Refusal("response_format_of_an_unknown_type", "chat", {"response_format": {"type": "poem"}}, "response_format"),
    Refusal("embedding_without_input", "embed", {"input": None}, "input", "bronze"),
    Refusal("embedding_of_nothing", "embed", {"input": [[]]}, "input", "gold"),
    Refusal("embedding_in_an_unknown_encoding", "embed", {"encoding_format": "roman"}, "encoding_format"),
    Refusal("dimensions_below_one", "embed", {"dimensions": 0}, "dimensions"),
    Refusal("ranking_without_query", "rerank", {"query": None}, "query", "bronze"),
    Refusal("ranking_without_documents", "rerank", {"documents": None}, "documents", "bronze"),
    Refusal("top_n_below_zero", "rerank", {"top_n": -1}, "top_n"),
)
BODIES: dict[str, Callable[[Stage], dict[str, Any]]] = {
    "generate": lambda stage: stage.worker.completion(),
    "chat": lambda stage: stage.worker.conversation(),
    "embed": lambda stage: {"model": stage.uid, "input": "text"},
    "rerank": lambda stage: {"model": stage.uid, "query": "which", "documents": ["this"]},
}
ROUTES = {"generate": COMPLETIONS, "chat": CHAT, "embed": EMBEDDINGS, "rerank": RERANK}


def _refuse(row: Refusal, stage: Stage) -> None:
    body = {**BODIES[row.task](stage), **row.fields}
    kept = {key: value for key, value in body.items() if value is not None}
    stage.worker.post(ROUTES[row.task], kept).refused(param=row.param)


def _check_of(row: Refusal) -> Check:
    words = row.name.replace("_", " ")
    rule = f"Refused with 400, an error that names `{row.param}`: {words}."
    return Check(
        name=f"refusals.{row.name}", level=row.level, rule=rule, applies=can(row.task), run=partial(_refuse, row)
    )


FROM_ROWS = tuple(_check_of(row) for row in ROWS)


def _is_bounded(facts: Facts) -> bool:
    return facts.context_length is not None and "generate" in facts.tasks


@check("bronze", "A body that is no JSON is refused with 400.")
def no_json(stage: Stage) -> None:
    path, _ = stage.a_request()
    for body in (b"{", b"not json", b"", b"[1]"):
        stage.worker.post(path, body).refused()


@check("silver", "max_tokens beyond the context is refused with 400.", _is_bounded)
def more_tokens_than_the_context(stage: Stage) -> None:
    stage.worker.complete(max_tokens=TOO_MANY).refused(param="max_tokens")


@check("bronze", "A prompt that the context cannot hold is refused with context_length_exceeded.", _is_bounded)
def prompt_beyond_the_context(stage: Stage) -> None:
    stage.worker.complete("word " * WORDS, max_tokens=None).refused(code="context_length_exceeded")


@check("silver", "After all refusals the worker answers as before.")
def still_answers(stage: Stage) -> None:
    path, body = stage.a_request()
    stage.worker.post(path, body).ok()
