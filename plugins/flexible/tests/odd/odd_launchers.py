"""Launchers with faults. Workers of tests import this; nothing of ours is patched."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from typing import Any

from enginehouse_flexible import FlexibleModel, FlexibleModelSpec


class Odd(FlexibleModel):
    """config: `mood`, what goes wrong and where."""

    hoard: list[bytes] = []  # noqa: RUF012 - to leak is what it is for

    def load(self) -> None:
        mood = self._config.get("mood")
        if mood == "load raises":
            raise ValueError("the weights are sour")
        if mood == "load exits":
            sys.exit(3)
        if mood == "counts":
            self.concurrency = int(self._config.get("concurrency", 1))
        self.busy = self.most = 0
        self.lock = threading.Lock()

    def infer(self, what: str = "echo", *, text: Any = None, times: int = 1, seconds: float = 0.0) -> Any:
        return getattr(self, f"do_{what}")(text, times, seconds)

    def do_echo(self, text: Any, times: int, seconds: float) -> Any:
        return {"text": text, "spec": self.model_family.model_name, "pid": os.getpid()}

    def do_raise(self, text: Any, times: int, seconds: float) -> Any:
        raise RuntimeError("the model is cross")

    def do_exit(self, text: Any, times: int, seconds: float) -> Any:
        sys.exit(7)

    def do_object(self, text: Any, times: int, seconds: float) -> Any:
        return {"fine": 1, "worse": threading.Lock()}

    def do_loop(self, text: Any, times: int, seconds: float) -> Any:
        chain: dict[str, Any] = {}
        chain["itself"] = chain
        return chain

    def do_print(self, text: Any, times: int, seconds: float) -> Any:
        print(text, flush=True)
        sys.stderr.write(f"{text}, aloud\n")
        return "said"

    def do_sleep(self, text: Any, times: int, seconds: float) -> Any:
        with self.lock:
            self.busy += 1
            self.most = max(self.most, self.busy)
        time.sleep(seconds)
        with self.lock:
            self.busy -= 1
        return self.most

    def do_leak(self, text: Any, times: int, seconds: float) -> Any:
        self.hoard.append(b"\x01" * (times << 20))
        return os.getpid()

    def do_fork(self, text: Any, times: int, seconds: float) -> Any:
        child = os.fork()  # both return: a careless model
        return {"child": child}

    def do_count(self, text: Any, times: int, seconds: float) -> Any:
        try:
            for number in range(times):
                time.sleep(seconds)
                yield number
            if text:
                raise RuntimeError(text)
        finally:
            print(f"counted, left at {number}", flush=True)


def odd(model_uid: str, model_spec: FlexibleModelSpec, **config: Any) -> Odd:
    if config.get("mood") == "launcher raises":
        raise KeyError("no such model")
    if config.get("mood") == "no infer":
        return object()  # type: ignore[return-value]
    return Odd(model_uid, model_spec.model_uri, model_spec, model_spec.device, config)


def strict(model_uid: str, model_spec: FlexibleModelSpec, size: int) -> Odd:
    return Odd(model_uid, None, model_spec)


class Joined(FlexibleModel):
    """Answers calls that wait together: each with how many there were."""

    batch_size = 4

    def load(self) -> None:
        self.seen: list[int] = []

    def infer(self, number: int, seconds: float = 0.0) -> Any:
        time.sleep(seconds)
        self.seen.append(1)
        return [number, 1]

    def infer_batch(self, calls: Any) -> list[Any]:
        self.seen.append(len(calls))
        if any(call.args[0] < -1 for call in calls):
            return []
        return [ValueError("negative") if call.args[0] < 0 else [call.args[0], len(calls)] for call in calls]


def joined(model_uid: str, model_spec: FlexibleModelSpec) -> Joined:
    return Joined(model_uid, None, model_spec)


def add(a: float, b: float = 1.0) -> float:
    return a + b


async def slowly(text: str) -> str:
    await asyncio.sleep(0)
    return text.upper()


not_callable = 5
