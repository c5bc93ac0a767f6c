"""The task `chat`: a conversation answered."""

from __future__ import annotations

from typing import Any

from .check import Unclear, check
from .stage import Facts, Stage, can

chats = can("chat")
WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
HELLO = "Hello!"


def _sees_only_text(facts: Facts) -> bool:
    return chats(facts) and not {"vision", "omni"} & set(facts.abilities)


@check("bronze", "A chat's answer is a message of the assistant with content.", chats)
def has_a_message(stage: Stage) -> None:
    said = stage.worker.chat(HELLO).ok()
    message = said.choice["message"]
    said.must(message["role"] == "assistant" and isinstance(message["content"], str), "an assistant's message")
    said.must(said.json()["object"] == "chat.completion", "object chat.completion")


@check("bronze", "A streamed chat says the same as one in one piece.", chats)
def streaming_is_the_same(stage: Stage) -> None:
    whole = stage.worker.chat().ok()
    said = stage.worker.chat(stream=True).ok()
    said.must(said.streamed() == whole.content, f"the text {whole.content!r} in all")


@check("silver", "A streamed chat ends with [DONE], and its last piece has the finish_reason.", chats)
def streams_end(stage: Stage) -> None:
    whole = stage.worker.chat().ok()
    said = stage.worker.chat(stream=True).ok()
    said.must(said.text.rstrip().endswith("data: [DONE]"), "data: [DONE] at the end")
    reasons = [piece.get("finish_reason") for piece in said.pieces()]
    said.must(reasons[-1] == whole.choice["finish_reason"] and not any(reasons[:-1]), "a finish_reason at the end")


@check("silver", "The first delta of a streamed chat names the assistant's role.", chats)
def first_delta_has_the_role(stage: Stage) -> None:
    said = stage.worker.chat(stream=True).ok()
    said.must(said.pieces()[0]["delta"].get("role") == "assistant", "role assistant first")


@check("bronze", "A chat's usage adds up.", chats)
def usage_adds_up(stage: Stage) -> None:
    said = stage.worker.chat(HELLO).ok()
    usage = said.usage
    said.must(usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"], "a total that adds up")


@check("silver", "A streamed chat tells its usage when asked.", chats)
def stream_tells_usage(stage: Stage) -> None:
    whole = stage.worker.chat(HELLO).ok().usage
    said = stage.worker.chat(HELLO, stream=True, stream_options={"include_usage": True}).ok()
    told = [event["usage"] for event in said.events() if event.get("usage")]
    said.must(told == [whole], f"usage {whole} once")


@check("silver", "max_completion_tokens bounds the answer, and wins over max_tokens.", chats)
def max_completion_tokens_bounds(stage: Stage) -> None:
    said = stage.worker.chat(max_completion_tokens=3, max_tokens=20).ok()
    said.must(said.usage["completion_tokens"] <= 3, "at most 3 completion_tokens")


@check("silver", "A system message is read: the prompt is longer with one.", chats)
def reads_the_system_message(stage: Stage) -> None:
    short = stage.worker.chat([{"role": "user", "content": HELLO}]).ok().usage
    turns = [{"role": "system", "content": "You speak plainly and briefly."}, {"role": "user", "content": HELLO}]
    said = stage.worker.chat(turns).ok()
    said.must(said.usage["prompt_tokens"] > short["prompt_tokens"], f"more than {short['prompt_tokens']} prompt_tokens")


@check("silver", "A conversation of several turns is read whole.", chats)
def reads_all_turns(stage: Stage) -> None:
    one = stage.worker.chat([{"role": "user", "content": HELLO}]).ok().usage
    turns = [
        {"role": "user", "content": "My name is Ada, I live in Rome."},
        {"role": "assistant", "content": "Hello, Ada."},
        {"role": "user", "content": HELLO},
    ]
    said = stage.worker.chat(turns).ok()
    said.must(said.usage["prompt_tokens"] > one["prompt_tokens"], f"more than {one['prompt_tokens']} prompt_tokens")


@check("silver", "Content in parts of text is the same as the text.", chats)
def parts_are_text(stage: Stage) -> None:
    whole = stage.worker.chat(HELLO).ok()
    said = stage.worker.chat([{"type": "text", "text": HELLO}]).ok()
    said.must(said.content == whole.content, f"the text {whole.content!r}")


@check("silver", "A picture sent to a model that sees none is refused with 400.", _sees_only_text)
def pictures_are_refused(stage: Stage) -> None:
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    stage.worker.chat([{"type": "text", "text": "What is it?"}, part]).refused()


@check("silver", "A stop string cuts a chat's answer.", chats)
def stop_cuts(stage: Stage) -> None:
    whole = stage.worker.chat().ok().content
    stop = whole[len(whole) // 2 :][:3]
    if len(stop) < 3:
        raise Unclear(f"the model says too little to be cut: {whole!r}")
    said = stage.worker.chat(stop=stop).ok()
    said.must(said.content == whole[: whole.index(stop)], f"{whole[: whole.index(stop)]!r}")


@check("gold", "n gives so many answers to a chat.", chats)
def n_gives_choices(stage: Stage) -> None:
    said = stage.worker.chat(HELLO, n=2).ok()
    said.must([one["index"] for one in said.choices] == [0, 1], "choices 0 and 1")


@check("silver", "A chat's logprobs have the tokens, with so many alternatives as top_logprobs says.", chats)
def logprobs_are_told(stage: Stage) -> None:
    said = stage.worker.chat(max_tokens=5, logprobs=True, top_logprobs=2).ok()
    told = (said.choice.get("logprobs") or {}).get("content") or []
    said.must(told and all(one["logprob"] <= 1e-4 for one in told), "logprobs, none above 0")
    said.must(all(1 <= len(one["top_logprobs"]) <= 3 for one in told), "the alternatives of each token")


@check("gold", "What the user says last changes the answer or its prompt.", chats)
def reads_the_question(stage: Stage) -> None:
    short = stage.worker.chat("Hi").ok()
    said = stage.worker.chat("Tell me about the largest animal of the sea, please.").ok()
    said.must(said.usage["prompt_tokens"] > short.usage["prompt_tokens"], "a longer prompt")


@check("gold", "Seeds make a chat repeat itself.", chats)
def seeds_repeat(stage: Stage) -> None:
    first = stage.worker.chat(temperature=1, seed=11).ok().content
    said = stage.worker.chat(temperature=1, seed=11).ok()
    said.must(said.content == first, f"the text {first!r}")
