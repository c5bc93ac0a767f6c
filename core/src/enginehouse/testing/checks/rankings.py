"""The task `rerank`: documents in the order of how well they answer."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

from .check import check
from .speaking import Said
from .stage import Stage, can

ranks = can("rerank")
QUERY = "What is the capital of France?"
DOCUMENTS = ["Paris is the capital of France.", "Cats sleep.", "The weather is fine.", "France has a capital.", "x"]
NEAR = 2e-3  # between scores that were computed in another batch, in half precision too


def _scores(said: Said) -> dict[int, float]:
    """Scores by the document's index."""
    return {one["index"]: one["relevance_score"] for one in said.ok().json()["results"]}


def _near(one: dict[int, float], other: dict[int, float]) -> bool:
    return one.keys() == other.keys() and all(abs(one[key] - other[key]) <= NEAR * (1 + abs(one[key])) for key in one)


@check("bronze", "Every document has a score, the best first.", ranks)
def best_comes_first(stage: Stage) -> None:
    said = stage.worker.rank(QUERY, DOCUMENTS).ok()
    scores = [one["relevance_score"] for one in said.json()["results"]]
    said.must(sorted(_scores(said)) == list(range(len(DOCUMENTS))), "every index once")
    said.must(scores == sorted(scores, reverse=True) and all(map(math.isfinite, scores)), "finite scores, best first")


@check("bronze", "The same question has the same scores again.", ranks)
def repeats(stage: Stage) -> None:
    first = _scores(stage.worker.rank(QUERY, DOCUMENTS))
    said = stage.worker.rank(QUERY, DOCUMENTS)
    said.must(_near(_scores(said), first), f"the scores {first}")


@check("silver", "A document's score does not depend on its place, nor on its company.", ranks)
def company_changes_nothing(stage: Stage) -> None:
    together = _scores(stage.worker.rank(QUERY, DOCUMENTS))
    said = stage.worker.rank(QUERY, DOCUMENTS[::-1])
    turned = {len(DOCUMENTS) - 1 - index: score for index, score in _scores(said).items()}
    said.must(_near(turned, together), f"the scores {together}, turned round")
    for index, document in enumerate(DOCUMENTS):
        alone = stage.worker.rank(QUERY, [document])
        alone.must(_near({index: _scores(alone)[0]}, {index: together[index]}), f"the score {together[index]}")


@check("silver", "top_n gives so many of the best.", ranks)
def top_n_gives_the_best(stage: Stage) -> None:
    whole = [one["index"] for one in stage.worker.rank(QUERY, DOCUMENTS).ok().json()["results"]]
    said = stage.worker.rank(QUERY, DOCUMENTS, top_n=2).ok()
    said.must([one["index"] for one in said.json()["results"]] == whole[:2], f"the documents {whole[:2]}")


@check("silver", "return_documents gives each document's text.", ranks)
def documents_come_back(stage: Stage) -> None:
    said = stage.worker.rank(QUERY, DOCUMENTS, return_documents=True).ok()
    for one in said.json()["results"]:
        said.must((one.get("document") or {}).get("text") == DOCUMENTS[one["index"]], "the text of each document")
    plain = stage.worker.rank(QUERY, DOCUMENTS).ok()
    plain.must(not any(one.get("document") for one in plain.json()["results"]), "no documents where nobody asks")


@check("silver", "Documents may be objects with a text.", ranks)
def documents_may_be_objects(stage: Stage) -> None:
    wanted = _scores(stage.worker.rank(QUERY, DOCUMENTS))
    said = stage.worker.rank(QUERY, [{"text": document} for document in DOCUMENTS])
    said.must(_near(_scores(said), wanted), f"the scores {wanted}")


@check("silver", "No documents give no results.", ranks)
def nothing_gives_nothing(stage: Stage) -> None:
    said = stage.worker.rank(QUERY, [])
    if said.status != 400:
        said.ok().must(said.json()["results"] == [], "no results")


@check("silver", "return_len tells the tokens that were read.", ranks)
def tokens_are_told(stage: Stage) -> None:
    said = stage.worker.rank(QUERY, DOCUMENTS, return_len=True).ok()
    tokens = (said.json()["meta"] or {}).get("tokens")
    said.must(tokens and tokens["input_tokens"] > 0, "meta.tokens.input_tokens above 0")


@check("silver", "Scores with normalize lie between 0 and 1, in the same order as without.", ranks)
def normalized_scores(stage: Stage) -> None:
    said = stage.worker.rank(QUERY, DOCUMENTS, normalize=True)
    if said.status == 400:
        said.refused()
        return
    said.must(all(0 <= score <= 1 for score in _scores(said).values()), "scores from 0 to 1")


@check("silver", "A document that is too long is cut and named in meta.warnings, or refused.", ranks)
def long_documents_are_told(stage: Stage) -> None:
    said = stage.worker.rank(QUERY, [DOCUMENTS[0], "many words " * 20_000])
    if said.status == 400:
        said.refused()
        return
    said.ok().must(said.json()["meta"].get("warnings"), "a warning")


@check("silver", "Many callers at once get the scores that each would get alone.", ranks)
def callers_do_not_mix(stage: Stage) -> None:
    queries = [f"Question number {number}?" for number in range(16)]
    alone = [_scores(stage.worker.rank(query, DOCUMENTS)) for query in queries]

    def ask(query: str) -> Said:
        return stage.worker.rank(query, DOCUMENTS)

    with ThreadPoolExecutor(8) as pool:
        for said, wanted in zip(pool.map(ask, queries), alone, strict=True):
            said.must(_near(_scores(said), wanted), f"the scores {wanted}")
