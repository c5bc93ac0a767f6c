"""What a worker counts, in Prometheus' text format."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator

FIRST_TOKEN_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)  # seconds
CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
_PREFIX = "enginehouse_worker_"


class Metrics:
    """Counts of one worker, only ever touched on its event loop."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.cancelled = 0
        self.prompt_tokens = 0
        self.generated_tokens = 0
        self.in_flight = 0
        self._first_token = [0] * (len(FIRST_TOKEN_BOUNDS) + 1)
        self._first_token_sum = 0.0

    def observe_first_token(self, seconds: float) -> None:
        self._first_token[bisect_left(FIRST_TOKEN_BOUNDS, seconds)] += 1
        self._first_token_sum += seconds

    def render(self) -> bytes:
        return "".join(f"{line}\n" for line in self._lines()).encode()

    def _lines(self) -> Iterator[str]:
        yield from _labelled("requests_total", "Requests taken on, by task.", "task", self.requests)
        yield from _labelled("errors_total", "Requests that ended in an error, by its code.", "code", self.errors)
        yield from _single("cancelled_total", "Requests whose client went away.", "counter", self.cancelled)
        yield from _single("prompt_tokens_total", "Tokens read.", "counter", self.prompt_tokens)
        yield from _single("generated_tokens_total", "Tokens made.", "counter", self.generated_tokens)
        yield from _single("in_flight", "Requests being answered or waiting.", "gauge", self.in_flight)
        yield from self._first_token_lines()

    def _first_token_lines(self) -> Iterator[str]:
        name = f"{_PREFIX}first_token_seconds"
        yield f"# HELP {name} From a request's arrival to its first piece."
        yield f"# TYPE {name} histogram"
        total = 0
        for bound, count in zip((*map(str, FIRST_TOKEN_BOUNDS), "+Inf"), self._first_token, strict=True):
            total += count
            yield f'{name}_bucket{{le="{bound}"}} {total}'
        yield f"{name}_sum {self._first_token_sum:.6f}"
        yield f"{name}_count {total}"


def _single(name: str, help_text: str, kind: str, value: int) -> Iterator[str]:
    yield f"# HELP {_PREFIX}{name} {help_text}"
    yield f"# TYPE {_PREFIX}{name} {kind}"
    yield f"{_PREFIX}{name} {value}"


def _labelled(name: str, help_text: str, label: str, values: Counter[str]) -> Iterator[str]:
    yield f"# HELP {_PREFIX}{name} {help_text}"
    yield f"# TYPE {_PREFIX}{name} counter"
    for key, value in sorted(values.items()):
        yield f'{_PREFIX}{name}{{{label}="{key}"}} {value}'
