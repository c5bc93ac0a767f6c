"""The task `embed`: vectors of texts."""

from __future__ import annotations

import base64
import math
import struct
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .check import Unclear, check
from .speaking import Said
from .stage import Stage, can

embeds = can("embed")
TEXTS = ["The weather is lovely today.", "It is so sunny outside!", "He drove to the stadium.", "Cats sleep.", "x"]
CLOSE = 0.9999  # cosine of vectors that are the same but for the order of additions
ALIKE = 0.999  # cosine of vectors that were computed in another batch, in half precision too
LONG = "many words " * 20_000


def _vectors(said: Said) -> list[list[float]]:
    said.ok()
    return [item["embedding"] for item in said.json()["data"]]


def cosine(one: list[float], other: list[float]) -> float:
    dot = sum(a * b for a, b in zip(one, other, strict=True))
    return dot / (math.hypot(*one) * math.hypot(*other) or 1.0)


@check("bronze", "Each input has a vector of finite numbers, in order, all of one length.", embeds)
def gives_vectors(stage: Stage) -> None:
    said = stage.worker.embed(TEXTS).ok()
    said.must([item["index"] for item in said.json()["data"]] == list(range(len(TEXTS))), "indexes in order")
    vectors = _vectors(said)
    said.must(len({len(vector) for vector in vectors}) == 1 and vectors[0], "vectors of one length")
    said.must(all(math.isfinite(number) for vector in vectors for number in vector), "finite numbers")


@check("bronze", "One text alone is an input, too.", embeds)
def takes_one_text(stage: Stage) -> None:
    said = stage.worker.embed(TEXTS[0])
    said.must(len(_vectors(said)) == 1, "one vector")


@check("bronze", "The same text has the same vector again.", embeds)
def repeats(stage: Stage) -> None:
    first = _vectors(stage.worker.embed(TEXTS[0]))[0]
    said = stage.worker.embed(TEXTS[0])
    said.must(cosine(_vectors(said)[0], first) > CLOSE, f"a cosine above {CLOSE} to the first time")


@check("silver", "A text has the same vector in company as alone.", embeds)
def company_changes_nothing(stage: Stage) -> None:
    alone = [_vectors(stage.worker.embed(text))[0] for text in TEXTS]
    said = stage.worker.embed(TEXTS)
    for one, other in zip(_vectors(said), alone, strict=True):
        said.must(cosine(one, other) > ALIKE, f"cosines above {ALIKE} to each text alone")


@check("silver", "Vectors in base64 are the same numbers, little-endian float32.", embeds)
def base64_is_the_same(stage: Stage) -> None:
    plain = _vectors(stage.worker.embed(TEXTS[0]))[0]
    said = stage.worker.embed(TEXTS[0], encoding_format="base64").ok()
    data = base64.b64decode(said.json()["data"][0]["embedding"])
    said.must(len(data) == 4 * len(plain), f"{4 * len(plain)} bytes")
    said.must(cosine(list(struct.unpack(f"<{len(plain)}f", data)), plain) > CLOSE, "the same numbers")


@check("silver", "Usage counts what was read: more for more texts.", embeds)
def usage_counts(stage: Stage) -> None:
    one = stage.worker.embed(TEXTS[0]).ok().usage["prompt_tokens"]
    said = stage.worker.embed([TEXTS[0]] * 3).ok()
    said.must(said.usage["prompt_tokens"] == 3 * one > 0, f"{3 * one} prompt_tokens")
    said.must(said.usage["total_tokens"] == said.usage["prompt_tokens"], "a total that is the same")


@check("silver", "dimensions cuts vectors to so many numbers, or is refused.", embeds)
def dimensions_cut(stage: Stage) -> None:
    said = stage.worker.embed(TEXTS[0], dimensions=8)
    if said.status == 400:
        said.refused(param="dimensions")
        return
    said.must(len(_vectors(said)[0]) == 8, "8 numbers")


@check("silver", "A text that is too long is cut, and named in `truncated`, or refused.", embeds)
def long_texts_are_told(stage: Stage) -> None:
    said = stage.worker.embed([TEXTS[0], LONG])
    if said.status == 400:
        said.refused()
        return
    said.ok().must(said.json().get("truncated") == [1], "truncated [1]")


@check("gold", "truncate false refuses a text that is too long.", embeds)
def long_texts_can_be_refused(stage: Stage) -> None:
    stage.worker.embed([LONG], truncate=False).refused()


@check("silver", "No input gives no vectors, or is refused.", embeds)
def nothing_gives_nothing(stage: Stage) -> None:
    said = stage.worker.embed([])
    if said.status != 400:
        said.ok().must(said.json()["data"] == [], "no vectors")


@check("silver", "An empty text has a vector of finite numbers, or is refused.", embeds)
def empty_texts(stage: Stage) -> None:
    said = stage.worker.embed([""])
    if said.status != 400:
        said.must(all(math.isfinite(number) for number in _vectors(said)[0]), "finite numbers")


@check("gold", "Texts of like meaning are closer than others.", embeds)
def meaning_is_near(stage: Stage) -> None:
    first, second, third, *_ = _vectors(stage.worker.embed(TEXTS))
    if cosine(first, second) <= cosine(first, third):
        raise Unclear("this model tells no meaning apart; a trained one would")


@check("silver", "Many callers at once get the vectors that each would get alone.", embeds)
def callers_do_not_mix(stage: Stage) -> None:
    texts = [f"Sentence number {number} of many." for number in range(24)]
    alone = _vectors(stage.worker.embed(texts))

    def ask(text: str) -> Said:
        return stage.worker.embed(text)

    with ThreadPoolExecutor(8) as pool:
        for said, wanted in zip(pool.map(ask, texts), alone, strict=True):
            said.must(cosine(_vectors(said)[0], wanted) > ALIKE, f"cosines above {ALIKE}")


@check("silver", "Different texts have different vectors.", embeds)
def texts_differ(stage: Stage) -> None:
    said = stage.worker.embed(TEXTS)
    made: list[Any] = [tuple(vector) for vector in _vectors(said)]
    said.must(len(set(made)) == len(TEXTS), f"{len(TEXTS)} different vectors")
