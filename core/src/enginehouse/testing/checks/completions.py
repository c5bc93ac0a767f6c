"""The task `generate`: a text continued."""

from __future__ import annotations

from .check import Unclear, check
from .speaking import COMPLETIONS, PROMPT
from .stage import Facts, Stage, can

generates = can("generate")
FOX = "The quick brown fox"
PROMPTS = (
    PROMPT,
    FOX,
    "The largest animal is the",
    "<|im_start|>user\nCount from 1 to 20.<|im_end|>\n<|im_start|>assistant\n",
)
LETTERS = 3  # of a stop string that is cut out of an answer: seldom elsewhere in it
SEEDS = (1, 2, 3, 4, 5, 6)


def _tokenizes(facts: Facts) -> bool:
    return facts.tokenizes and generates(facts)


@check("bronze", "A completion has one choice with text, and a finish_reason of stop or length.", generates)
def has_text(stage: Stage) -> None:
    said = stage.worker.complete().ok()
    said.must(isinstance(said.choice["text"], str), "`text`, a string")
    said.must(said.choice["finish_reason"] in ("stop", "length"), "finish_reason stop or length")


@check("bronze", "Usage adds up: total_tokens is prompt_tokens and completion_tokens.", generates)
def usage_adds_up(stage: Stage) -> None:
    said = stage.worker.complete().ok()
    usage = said.usage
    said.must(usage["prompt_tokens"] > 0, "prompt_tokens above 0")
    said.must(usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"], "a total that adds up")


@check("bronze", "max_tokens bounds the answer.", generates)
def max_tokens_bounds(stage: Stage) -> None:
    for most in (1, 5):
        said = stage.worker.complete(max_tokens=most).ok()
        said.must(said.usage["completion_tokens"] <= most, f"at most {most} completion_tokens")


@check("silver", "An answer that max_tokens cut says length, and has so many tokens.", generates)
def length_is_said(stage: Stage) -> None:
    said = stage.worker.complete(max_tokens=4).ok()
    cut = said.choice["finish_reason"] == "length"
    said.must(cut == (said.usage["completion_tokens"] == 4) or not cut, "finish_reason length with 4 tokens only")
    said.must(not cut or said.usage["completion_tokens"] == 4, "4 completion_tokens")


@check("silver", "ignore_eos goes on to max_tokens.", generates)
def ignore_eos_goes_on(stage: Stage) -> None:
    said = stage.worker.complete(max_tokens=12, ignore_eos=True)
    if said.status == 400:
        said.refused()
        return
    if said.ok().choice["finish_reason"] == "stop":
        raise Unclear("this model has a fixed answer that is shorter")
    said.must(said.usage["completion_tokens"] == 12, "12 completion_tokens")


@check("bronze", "Greedy answers repeat: temperature 0 gives the same text twice.", generates)
def greedy_repeats(stage: Stage) -> None:
    first = stage.worker.complete().ok().content
    second = stage.worker.complete().ok()
    second.must(second.content == first, f"the same text as before: {first!r}")


@check("bronze", "A stream says the same as an answer in one piece.", generates)
def streaming_is_the_same(stage: Stage) -> None:
    whole = stage.worker.complete().ok()
    streamed = stage.worker.complete(stream=True).ok()
    streamed.must(streamed.streamed() == whole.content, f"the text {whole.content!r} in all")


@check("bronze", "A stream is server-sent events of JSON.", generates)
def streams_are_events(stage: Stage) -> None:
    said = stage.worker.complete(stream=True).ok()
    said.must(said.headers.get("content-type", "").startswith("text/event-stream"), "text/event-stream")
    said.events()


@check("silver", "Of a stream's choice only the last event has a finish_reason.", generates)
def one_finish_reason(stage: Stage) -> None:
    said = stage.worker.complete(stream=True).ok()
    reasons = [piece.get("finish_reason") for piece in said.pieces()]
    said.must(reasons[-1] in ("stop", "length") and not any(reasons[:-1]), "a finish_reason at the very end")


@check("silver", "A stream's events have one id, and one model.", generates)
def events_belong_together(stage: Stage) -> None:
    said = stage.worker.complete(stream=True).ok()
    said.must(len({(event["id"], event["model"]) for event in said.events()}) == 1, "one id and one model in all")


@check("silver", "A stream tells its usage in a last event when include_usage asks for it.", generates)
def stream_tells_usage(stage: Stage) -> None:
    whole = stage.worker.complete().ok().usage
    said = stage.worker.complete(stream=True, stream_options={"include_usage": True}).ok()
    last = said.events()[-1]
    said.must(last.get("usage") == whole and not last["choices"], f"a last event without choices, usage {whole}")


@check("silver", "A stream tells no usage when nobody asks.", generates)
def stream_is_silent_about_usage(stage: Stage) -> None:
    said = stage.worker.complete(stream=True).ok()
    said.must(not any(event.get("usage") for event in said.events()), "no usage")


def _cut(stage: Stage) -> tuple[str, str, str]:
    """A prompt, the answer to it, and a string in the middle of that answer."""
    for prompt in PROMPTS:
        text = stage.worker.complete(prompt).ok().content
        middle = len(text) // 2
        if middle >= LETTERS:
            return prompt, text, text[middle : middle + LETTERS]
    raise Unclear("the model says too little to be cut")


@check("bronze", "An answer ends before a stop string, and says stop.", generates)
def stop_cuts(stage: Stage) -> None:
    prompt, whole, stop = _cut(stage)
    said = stage.worker.complete(prompt, stop=stop).ok()
    wanted = whole[: whole.index(stop)]
    said.must(said.content == wanted, f"the text {wanted!r}")
    said.must(said.choice["finish_reason"] == "stop", "finish_reason stop")


@check("silver", "Nothing of a stop string is ever streamed.", generates)
def stop_cuts_streams(stage: Stage) -> None:
    prompt, whole, stop = _cut(stage)
    said = stage.worker.complete(prompt, stop=[stop], stream=True).ok()
    wanted = whole[: whole.index(stop)]
    said.must(said.streamed() == wanted, f"the text {wanted!r} in all")


@check("silver", "Of several stop strings the one that comes first cuts.", generates)
def first_stop_cuts(stage: Stage) -> None:
    prompt, whole, stop = _cut(stage)
    said = stage.worker.complete(prompt, stop=["\u2603 never said", stop]).ok()
    said.must(said.content == whole[: whole.index(stop)], f"a cut before {stop!r}")


@check("silver", "A stop string that never comes changes nothing.", generates)
def other_stops_change_nothing(stage: Stage) -> None:
    whole = stage.worker.complete().ok()
    said = stage.worker.complete(stop="\u2603 never said").ok()
    said.must(said.content == whole.content, f"the text {whole.content!r}")


@check("silver", "n gives so many choices, with indexes from 0; greedy ones are alike.", generates)
def n_gives_choices(stage: Stage) -> None:
    said = stage.worker.complete(n=3).ok()
    said.must([one["index"] for one in said.choices] == [0, 1, 2], "choices 0, 1 and 2")
    said.must(len({one["text"] for one in said.choices}) == 1, "the same text thrice")


@check("silver", "Usage counts the tokens of all choices, and the prompt once.", generates)
def n_is_counted(stage: Stage) -> None:
    one = stage.worker.complete(max_tokens=6).ok().usage
    said = stage.worker.complete(max_tokens=6, n=3).ok()
    said.must(said.usage["completion_tokens"] == 3 * one["completion_tokens"], "three times the completion_tokens")
    said.must(said.usage["prompt_tokens"] == one["prompt_tokens"], "the prompt_tokens of one")


@check("gold", "Streamed choices are told apart by their index.", generates)
def n_streams(stage: Stage) -> None:
    whole = stage.worker.complete().ok().content
    said = stage.worker.complete(n=2, stream=True).ok()
    said.must(said.streamed(0) == said.streamed(1) == whole, f"{whole!r} for both")


@check("silver", "A seed gives the same answer again.", generates)
def seeds_repeat(stage: Stage) -> None:
    first = stage.worker.complete(temperature=1, seed=7).ok().content
    said = stage.worker.complete(temperature=1, seed=7).ok()
    said.must(said.content == first, f"the same text: {first!r}")


@check("gold", "Other seeds give other answers.", generates)
def seeds_differ(stage: Stage) -> None:
    texts = [stage.worker.complete(temperature=1.5, top_p=1, seed=seed).ok() for seed in SEEDS]
    if len({said.content for said in texts}) == 1 and len(texts[0].content.split()) < 2:
        raise Unclear("this model says too little to differ")
    texts[0].must(len({said.content for said in texts}) > 1, f"more than one text from {len(SEEDS)} seeds")


@check("silver", "logprobs tells each token's, none above 0, with so many alternatives.", generates)
def logprobs_are_told(stage: Stage) -> None:
    said = stage.worker.complete(max_tokens=6, logprobs=2).ok()
    told = said.choice["logprobs"]
    said.must(told and len(told["token_logprobs"]) == said.usage["completion_tokens"], "one for each token")
    said.must(all(one <= 1e-4 for one in told["token_logprobs"]), "none above 0")
    said.must(all(1 <= len(top) <= 3 for top in told["top_logprobs"]), "the alternatives of each token")


@check("gold", "A greedy token is the likeliest of its alternatives.", generates)
def greedy_is_likeliest(stage: Stage) -> None:
    said = stage.worker.complete(max_tokens=6, logprobs=2).ok()
    told = said.choice["logprobs"]
    for chosen, top in zip(told["token_logprobs"], told["top_logprobs"], strict=True):
        said.must(chosen >= max(top.values()) - 1e-3, "the highest logprob for the token that was chosen")


@check("gold", "Streamed logprobs are those of the answer in one piece.", generates)
def logprobs_are_streamed(stage: Stage) -> None:
    whole = stage.worker.complete(max_tokens=6, logprobs=1).ok().choice["logprobs"]["tokens"]
    said = stage.worker.complete(max_tokens=6, logprobs=1, stream=True).ok()
    told = [token for piece in said.pieces() for token in (piece.get("logprobs") or {}).get("tokens") or ()]
    said.must(told == whole, f"logprobs of the tokens {whole}")


@check("silver", "echo puts the prompt before the answer.", generates)
def echo_repeats_the_prompt(stage: Stage) -> None:
    plain = stage.worker.complete(FOX).ok().content
    said = stage.worker.complete(FOX, echo=True)
    if said.status == 400:
        said.refused(code="not_supported")
        return
    said.must(said.content == FOX + plain, f"{FOX + plain!r}")


@check("silver", "Several prompts give a choice each, in their order, each as if it were alone.", generates)
def prompts_come_in_order(stage: Stage) -> None:
    alone = [stage.worker.complete(prompt).ok().content for prompt in (FOX, "One two three")]
    said = stage.worker.complete([FOX, "One two three"]).ok()
    said.must([one["text"] for one in said.choices] == alone, f"the texts {alone}")


@check("silver", "A prompt of token ids is the same as its text.", _tokenizes)
def token_ids_are_a_prompt(stage: Stage) -> None:
    ids = stage.worker.post("/v1/tokenize", {"model": stage.uid, "prompt": FOX}).ok().json()["tokens"]
    whole = stage.worker.complete(FOX).ok()
    said = stage.worker.complete(ids).ok()
    said.must(said.content == whole.content, f"the text {whole.content!r}")
    said.must(said.usage["prompt_tokens"] == len(ids), f"{len(ids)} prompt_tokens")


@check("silver", "Tokenising and detokenising gives the text back.", _tokenizes)
def tokens_go_both_ways(stage: Stage) -> None:
    ids = stage.worker.post("/v1/tokenize", {"model": stage.uid, "prompt": FOX}).ok().json()["tokens"]
    said = stage.worker.post("/v1/detokenize", {"model": stage.uid, "tokens": ids}).ok()
    said.must(said.json()["prompt"].strip() == FOX, f"{FOX!r}")


@check("silver", "Characters of several bytes arrive whole, streamed or not.", generates)
def characters_are_whole(stage: Stage) -> None:
    prompt = "Gr\u00fc\u00dfe, \u4f60\u597d \U0001f389!"
    whole = stage.worker.complete(prompt).ok()
    said = stage.worker.complete(prompt, stream=True).ok()
    said.must(said.streamed() == whole.content, f"the text {whole.content!r} in all")


@check("gold", "logit_bias of -100 keeps a token away.", _tokenizes)
def bias_keeps_away(stage: Stage) -> None:
    first = stage.worker.complete(FOX, max_tokens=1, ignore_eos=True).ok()
    ids = stage.worker.post("/v1/tokenize", {"model": stage.uid, "prompt": FOX + first.content}).ok().json()["tokens"]
    said = stage.worker.complete(FOX, max_tokens=1, logit_bias={str(ids[-1]): -100})
    if said.status == 400:
        said.refused()
        return
    if not first.content.strip():
        raise Unclear("the first token has no text of its own")
    said.must(said.content != first.content, f"a first token other than {first.content!r}")


@check("bronze", "Fields that a client adds and nobody knows are let through.", generates)
def unknown_fields_are_let_through(stage: Stage) -> None:
    stage.worker.complete(service_tier="default", store=False).ok()


@check("gold", "Temperature 0 and top_k 1 say the same.", generates)
def one_choice_is_greedy(stage: Stage) -> None:
    greedy = stage.worker.complete().ok()
    said = stage.worker.complete(temperature=1, top_k=1, seed=3).ok()
    if "seed3-" in said.content:
        raise Unclear("a scripted model, whose words follow the seed")
    said.must(said.content == greedy.content, f"the text {greedy.content!r}")


@check("gold", "A stream's first event comes before its last: answers are not held back.", generates)
def streams_come_in_pieces(stage: Stage) -> None:
    body = stage.worker.completion(max_tokens=64, stream=True)
    said = stage.worker.post(COMPLETIONS, body).ok()
    if len(said.streamed().split()) > 8:
        said.must(len(said.pieces()) > 2, "several events")
