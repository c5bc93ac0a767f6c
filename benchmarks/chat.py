"""Chat with stoker on the transformers engine, against `model.generate` in process, one request at a time.

python benchmarks/chat.py [--rounds 5] [--tokens 32]
"""

from __future__ import annotations

import argparse
import json
from typing import Any, NamedTuple

from bare import Bare, bare_process, stoker_folder
from house import House, served
from load import Place, Run, load, make_request, run
from tables import median, print_machine, print_table, quantile

LIMIT = 3.0
PROMPT = "Count from 1 to 30."  # long enough that the answer ends at its limit
CONCURRENCIES = (1, 8, 32)
REQUESTS = {1: 16, 8: 64, 32: 128}  # of a run


class Case(NamedTuple):
    """What is measured: how it is asked and how many at once."""

    stream: bool
    concurrency: int


class Seen(NamedTuple):
    """A run in figures. first and whole: p50 in seconds."""

    tokens_per_second: float
    first: float
    whole: float
    last: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=32)
    arguments = parser.parse_args()
    print_machine()
    folder = stoker_folder()
    cases = [Case(stream, concurrency) for stream in (False, True) for concurrency in CONCURRENCIES]
    with served() as house:
        house.launch(model_name="stoker", model_engine="transformers", model_uid="stoker")
        seen: dict[object, list[Seen]] = {"one": [], "all": [], **{case: [] for case in cases}}
        with bare_process(folder, threads=1) as one, bare_process(folder) as every:
            for _ in range(arguments.rounds + 1):
                seen["one"].append(_generate(one, arguments.tokens))
                seen["all"].append(_generate(every, arguments.tokens))
                for case in cases:
                    seen[case].append(run(_ask(house, case, arguments.tokens)))
            names = {"one": "model.generate, 1 thread", "all": f"model.generate, {every.threads} threads"}
    _report({key: runs[1:] for key, runs in seen.items()}, names, arguments.tokens)  # the first round warms up


def _generate(bare: Bare, tokens: int) -> Seen:
    answer = bare.generate([PROMPT] * REQUESTS[1], tokens)
    seconds = answer["seconds"]
    return Seen(sum(answer["tokens"]) / sum(seconds), 0.0, quantile(seconds, 0.5), quantile(seconds, 0.99))


async def _ask(house: House, case: Case, tokens: int) -> Seen:
    body: dict[str, Any] = {
        "model": "stoker",
        "messages": [{"role": "user", "content": PROMPT}],
        "max_tokens": tokens,
        "temperature": 0,
        "chat_template_kwargs": {"enable_thinking": False},
    }
    if case.stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    request = make_request("/v1/chat/completions", body)
    place = Place("server", port=house.port)
    done = await load(place, request, requests=REQUESTS[case.concurrency], concurrency=case.concurrency, keep=True)
    firsts, wholes = ([getattr(answer, name) for answer in done.answers] for name in ("first", "seconds"))
    return Seen(
        _tokens(done, case) / done.seconds, quantile(firsts, 0.5), quantile(wholes, 0.5), quantile(wholes, 0.99)
    )


def _tokens(done: Run, case: Case) -> int:
    """What the answers themselves say they hold."""
    if not case.stream:
        return sum(json.loads(answer.body)["usage"]["completion_tokens"] for answer in done.answers)
    return sum(_streamed_tokens(answer.body) for answer in done.answers)


def _streamed_tokens(body: bytes) -> int:
    events = [line[6:] for line in body.split(b"\n") if line.startswith(b"data: {")]
    usages = [usage for event in events if (usage := json.loads(event).get("usage"))]
    tokens: int = usages[-1]["completion_tokens"]
    return tokens


def _report(seen: dict[object, list[Seen]], names: dict[str, str], tokens: int) -> None:
    base = median(one.tokens_per_second for one in seen["one"])
    rows = []
    for key, runs in seen.items():
        figures = [median(values) for values in zip(*runs, strict=True)]
        first = f"{figures[1] * 1e3:.3g}" if isinstance(key, Case) and key.stream else "-"
        name = _name(key) if isinstance(key, Case) else names[str(key)]
        rows.append((name, figures[0], figures[0] / base, first, figures[2] * 1e3, figures[3] * 1e3))
    columns = ("", "tokens/s", "of generate", "TTFT p50 ms", "p50 ms", "p99 ms")
    print_table(f"Chat with stoker, {tokens} tokens an answer (medians of rounds)", columns, rows)
    for stream in (False, True):
        alone, eight = (median(one.tokens_per_second for one in seen[Case(stream, count)]) for count in (1, 8))
        how = "streamed" if stream else "whole"
        print(f"  {how}: concurrency 8 is {eight / alone:.2f}x of concurrency 1 (target: at least {LIMIT:g}x)")


def _name(case: Case) -> str:
    return f"server, {'streamed' if case.stream else 'whole'}, {case.concurrency} at a time"


if __name__ == "__main__":
    main()
