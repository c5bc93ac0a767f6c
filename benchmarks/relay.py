"""What the gateway costs: the fake engine asked through its own socket and through the server, in turns.

python benchmarks/relay.py [--rounds 5] [--quick]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

from house import House, Worker, served
from load import Place, Run, load, make_request, run
from processes import cpu_seconds
from tables import median, print_machine, print_table, quantile

CHAT = "/v1/chat/completions"
BUSY = 32  # connections at once
SLOW_TOKEN = 0.005  # seconds
LIMITS = {"added": 0.35, "requests": 6000.0, "share": 0.5, "chunk": 8.0}


class Amounts(NamedTuple):
    """How much of everything one round does."""

    alone: int = 1500
    busy: int = 8000
    flood: int = 20_000
    paced: int = 400


class Measured(NamedTuple):
    """A run, and the CPU seconds that the server and the worker spent on it."""

    run: Run
    gateway: float
    worker: float


class Scene(NamedTuple):
    house: House
    worker: Worker
    direct: Place
    relayed: Place

    async def measure(self, place: Place, request: bytes, requests: int, concurrency: int = 1) -> Measured:
        gateway, worker = cpu_seconds(self.house.pid), cpu_seconds(self.worker.pid)
        done = await load(place, request, requests=requests, concurrency=concurrency)
        return Measured(done, cpu_seconds(self.house.pid) - gateway, cpu_seconds(self.worker.pid) - worker)

    async def alternate(
        self, rounds: int, request: bytes, requests: int, concurrency: int = 1
    ) -> tuple[list[Measured], list[Measured]]:
        """Direct and relayed runs in turns, after a short one of each that is not counted."""
        measured: dict[Place, list[Measured]] = {self.direct: [], self.relayed: []}
        for place in measured:
            await load(place, request, requests=max(concurrency, requests // 10), concurrency=concurrency)
        for _ in range(rounds):
            for place, runs in measured.items():
                runs.append(await self.measure(place, request, requests, concurrency))
        return measured[self.direct], measured[self.relayed]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a tenth of the requests, for a look")
    arguments = parser.parse_args()
    amounts = Amounts(150, 800, 5000, 100) if arguments.quick else Amounts()
    print_machine()
    with served() as house:
        quick = house.launch(model_name="fake-model", model_engine="fake", model_uid="quick", tokens=1)
        flood = house.launch(
            model_name="fake-model", model_engine="fake", model_uid="flood", flood=True, context_length=10**9
        )
        slow = house.launch(
            model_name="fake-model", model_engine="fake", model_uid="slow", tokens=10**6, token_seconds=SLOW_TOKEN
        )
        run(_small(_scene(house, quick), arguments.rounds, amounts))
        run(_flood(_scene(house, flood), arguments.rounds, amounts))
        run(_paced(_scene(house, slow), arguments.rounds, amounts))
        run(_many_paced(_scene(house, slow), arguments.rounds, amounts))


def _scene(house: House, worker: Worker) -> Scene:
    return Scene(house, worker, Place("direct", path=worker.socket), Place("relayed", port=house.port))


def _chat(uid: str, **more: object) -> bytes:
    return make_request(CHAT, {"model": uid, "messages": [{"role": "user", "content": "hello"}], **more})


async def _small(scene: Scene, rounds: int, amounts: Amounts) -> None:
    request = _chat(scene.worker.uid)
    alone = await scene.alternate(rounds, request, amounts.alone)
    busy = await scene.alternate(rounds, request, amounts.busy, BUSY)
    print_table("Small requests, one at a time (medians of rounds)", _LATENCY, _latencies(alone))
    direct, relayed = (median(quantile(_times(one), 0.5) for one in runs) for runs in alone)
    print(f"  added at p50: {(relayed - direct) * 1e3:.3f} ms (target: at most {LIMITS['added']} ms)")
    print_table(f"Small requests, {BUSY} at a time (medians of rounds)", _LATENCY, _latencies(busy))
    direct, relayed = (median(one.run.per_second for one in runs) for runs in busy)
    target = min(LIMITS["requests"], LIMITS["share"] * direct)
    print(f"  relayed: {relayed:,.0f} requests/s, {relayed / direct:.2f}x of direct (target: at least {target:,.0f})")


_LATENCY = ("", "p50 ms", "p90 ms", "p99 ms", "requests/s", "gateway us/request", "worker us/request")


def _latencies(both: tuple[list[Measured], list[Measured]]) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for name, runs in zip(("direct", "relayed"), both, strict=True):
        shares = [median(quantile(_times(one), share) for one in runs) * 1e3 for share in (0.5, 0.9, 0.99)]
        costs = [median(cpu / len(one.run.answers) for one, cpu in pairs) * 1e6 for pairs in _costs(runs)]
        rows.append((name, *shares, median(one.run.per_second for one in runs), *costs))
    return rows


def _times(measured: Measured) -> list[float]:
    return [answer.seconds for answer in measured.run.answers]


def _costs(runs: list[Measured]) -> tuple[list[tuple[Measured, float]], list[tuple[Measured, float]]]:
    return [(one, one.gateway) for one in runs], [(one, one.worker) for one in runs]


async def _flood(scene: Scene, rounds: int, amounts: Amounts) -> None:
    rows, costs = [], {}
    for streams in (1, BUSY):
        tokens = amounts.flood if streams == 1 else amounts.flood // 10
        request = _chat(scene.worker.uid, stream=True, max_tokens=tokens)
        both = await scene.alternate(rounds, request, streams, streams)
        for name, runs in zip(("direct", "relayed"), both, strict=True):
            gateway, worker = (median(cpu / one.run.events for one, cpu in pairs) * 1e6 for pairs in _costs(runs))
            rate = median(one.run.events / one.run.seconds for one in runs)
            rows.append((name, streams, tokens, runs[0].run.events // streams, rate, gateway, worker))
            costs[name, streams] = gateway
    columns = ("", "streams", "tokens", "chunks", "chunks/s", "gateway us/chunk", "worker us/chunk")
    print_table("A flood of chunks (medians of rounds)", columns, rows)
    for streams in (1, BUSY):
        cost = costs["relayed", streams]
        print(f"  gateway, {streams} stream(s): {cost:.2f} us a chunk (target: at most {LIMITS['chunk']:g} us)")


class Tap:
    """Stands in a worker's place and notes when each event passes; its clock is the load generator's own."""

    def __init__(self, real: Path) -> None:
        self.stamps: list[float] = []
        self._real = real

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs, ours = await asyncio.open_unix_connection(str(self._real))
        with contextlib.suppress(asyncio.CancelledError):  # the end of the benchmark; the gateway keeps its connection
            await asyncio.gather(self._pass(reader, ours, None), self._pass(theirs, writer, self.stamps))

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, stamps: list[float] | None) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                if stamps is not None:
                    stamps.extend([time.perf_counter()] * data.count(b"data: "))
                sink.write(data)
            sink.close()


@contextlib.asynccontextmanager
async def _tapped(worker: Worker) -> AsyncIterator[Tap]:
    """Moves a worker's socket aside and listens in its place; nobody may have asked that worker before."""
    path = Path(worker.socket)
    real = path.with_name("r.sock")
    path.rename(real)
    tap = Tap(real)
    try:
        async with await asyncio.start_unix_server(tap.serve, str(path)):
            yield tap
    finally:
        path.unlink(missing_ok=True)
        real.rename(path)


async def _paced(scene: Scene, rounds: int, amounts: Amounts) -> None:
    request = _chat(scene.worker.uid, stream=True, max_tokens=amounts.paced)
    rows = []
    async with _tapped(scene.worker) as tap:
        for place in (scene.direct, scene.relayed):
            delays, together, cpu = await _delays(scene, place, request, tap, rounds)
            shares = [quantile(delays, share) * 1e6 for share in (0.5, 0.9, 0.99, 1.0)]
            rows.append((place.name, len(delays), *shares, together, cpu))
    columns = ("", "chunks", "p50 us", "p90 us", "p99 us", "most us", "came with another", "gateway us/chunk")
    title = f"From the worker's write to the client's read, a token every {SLOW_TOKEN * 1e3:g} ms"
    print_table(title, columns, rows)
    print("  (target: no chunk delayed by batching; a chunk held back for the next one would come 5,000 us late)")


async def _many_paced(scene: Scene, rounds: int, amounts: Amounts) -> None:
    request = _chat(scene.worker.uid, stream=True, max_tokens=amounts.paced)
    both = await scene.alternate(rounds, request, BUSY, BUSY)
    rows = []
    for name, runs in zip(("direct", "relayed"), both, strict=True):
        gateway, worker = (median(cpu / one.run.events for one, cpu in pairs) * 1e6 for pairs in _costs(runs))
        rows.append((name, median(one.run.events / one.run.seconds for one in runs), gateway, worker))
    columns = ("", "chunks/s", "gateway us/chunk", "worker us/chunk")
    print_table(f"{BUSY} streams, a token every {SLOW_TOKEN * 1e3:g} ms each (medians of rounds)", columns, rows)


async def _delays(scene: Scene, place: Place, request: bytes, tap: Tap, rounds: int) -> tuple[list[float], int, float]:
    """Delay of each chunk in seconds, how many came in one read with the one before, CPU us of the gateway a chunk."""
    delays: list[float] = []
    together, cpu = 0, 0.0
    for _ in range(rounds):
        arrived: list[float] = []
        tap.stamps.clear()
        before = cpu_seconds(scene.house.pid)
        await load(place, request, requests=1, stamps=arrived)
        cpu += cpu_seconds(scene.house.pid) - before
        pairs = list(zip(tap.stamps, arrived, strict=True))
        delays += [later - sooner for sooner, later in pairs]
        # the last events of an answer are written together by the worker itself
        together += sum(
            arrived[index] == arrived[index - 1] and tap.stamps[index] != tap.stamps[index - 1]
            for index in range(1, len(arrived))
        )
    return delays, together, cpu / len(delays) * 1e6


if __name__ == "__main__":
    main()
