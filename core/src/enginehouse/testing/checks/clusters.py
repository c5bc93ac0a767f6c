"""Clusters: workers are started where they say, answer, are found again, and end without leaving anything."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final, Literal

from ...host.targets import resolve
from ...sdk import EnginehouseError, ExitRecord, Node
from ..probe import FAILED, GOING, HEARD
from .check import Failed, check, require
from .probes import GRACE, LEASE, LOOK, SECONDS, Probe, probing, record_of, refused, run, until, within

NOWHERE = "no-such-node-anywhere"
AT_ONCE = 8  # more than processors; a model with so many replicas is launched in one go
SLACK = 15.0  # seconds beyond a grace in which a busy machine gets to its kill
MOMENTS = (0.0, 0.02, 0.1, 0.3)  # seconds into a start
SOON = 5.0  # seconds that a moment takes on a busy machine
LATE = 1.5  # seconds in which what was left would be there
RUNS: Final = "runs"
LEASES = 1.5  # that a worker which is held outlives


def is_cluster(part: Any) -> bool:
    return bool(getattr(part, "kind", None) == "clusters")


@check(
    "bronze",
    "What a cluster names by string makes one when it is called, with every method of the contract.",
    is_cluster,
)
def is_there(part: Any) -> None:
    cluster = resolve(part.item.cluster)()
    missing = [name for name in ("nodes", "start", "adopt") if not callable(getattr(cluster, name, None))]
    require(not missing, part.item.cluster, f"without {missing}", "the methods nodes, start and adopt")


@check("bronze", "It has nodes, each with a name of its own.", is_cluster)
def has_nodes(part: Any) -> None:
    async def scene() -> None:
        nodes = list(await within(resolve(part.item.cluster)().nodes()))
        names = [node.name for node in nodes if isinstance(node, Node) and node.name]
        require(nodes and len(set(names)) == len(nodes), "nodes()", nodes, "Nodes, at least one, no name twice")

    run(scene())


@check(
    "bronze",
    "A worker that is started answers at its handle's address, and runs on the node that was asked for.",
    is_cluster,
)
def starts_workers(part: Any) -> None:
    async def scene() -> None:
        async with probing(part.item.cluster) as probe:
            began = time.time()
            handle = await probe.start()
            said = await probe.say()
            require(handle.node == probe.node, "handle.node", handle.node, probe.node)
            require(handle.pid in (None, said.pid), "handle.pid", handle.pid, f"{said.pid}, or None")
            about = began - SECONDS <= handle.started_at <= time.time() + SECONDS
            require(about, "handle.started_at", handle.started_at, "when it was started, in seconds since 1970")

    run(scene())


@check("bronze", "A worker runs in its order's folder, with the variables of its order.", is_cluster)
def hands_the_order_over(part: Any) -> None:
    async def scene() -> None:
        async with probing(part.item.cluster, environment={"PROBE_WORD": "grüß dich"}) as probe:
            await probe.start()
            said = await probe.say()
            require(said.variables.get("PROBE_WORD") == "grüß dich", "its variables", said.variables, "PROBE_WORD")
            same = said.folder.rpartition("/")[2] == probe.order.folder.rpartition("/")[2]
            require(same, "its folder", said.folder, probe.order.folder)

    run(scene())


@check("bronze", "A node that is not there is refused with a message that names it.", is_cluster)
def refuses_unknown_nodes(part: Any) -> None:
    async def scene() -> None:
        async with probing(part.item.cluster) as probe:
            message = await refused(probe.start(NOWHERE), f"start(order, {NOWHERE!r})")
            require(NOWHERE in message, f"start(order, {NOWHERE!r})", message, f"a message that names {NOWHERE}")

    run(scene())


@check("bronze", "wait() says how a worker ended by itself: its exit status, and what it printed last.", is_cluster)
def tells_how_it_ended(part: Any) -> None:
    async def scene() -> None:
        async with probing(part.item.cluster) as probe:
            handle = await probe.start()
            await probe.say("/end/7")
            record = record_of(await within(handle.wait()), "wait()")
            right = (record.cause, record.code, record.signal) == ("exited", 7, None)
            require(right, "wait(), of exit status 7", record, 'cause "exited", code 7')
            require("probe: out" in record.log_tail, "wait().log_tail", record.log_tail, "what it printed")

    run(scene())


@check(
    "bronze", "A command that fails at once, or cannot be run at all, is told: by an error, or by wait().", is_cluster
)
def tells_what_does_not_start(part: Any) -> None:
    async def scene() -> None:
        for deeds, fields in ((("fail",), {}), ((), {"argv": ("/no/such/program",)})):
            async with probing(part.item.cluster, *deeds, **fields) as probe:
                try:
                    ended = await within((await probe.start()).wait())
                except EnginehouseError as error:
                    require(error.message.strip(), "start(order, node)", "no message", "why it did not start")
                    continue
                record = record_of(ended, "wait()")
                right = record.cause in ("exited", "not started") and record.code != 0
                require(right, "wait()", record, f"status {FAILED}, or that it was not started")

    run(scene())


@check("bronze", 'stop(grace) sends SIGTERM, and returns when the worker is gone: cause "stopped".', is_cluster)
def stops_workers(part: Any) -> None:
    async def scene() -> None:
        async with probing(part.item.cluster) as probe:
            handle = await probe.start()
            said = await probe.say()
            began = time.monotonic()
            record = record_of(await within(handle.stop(SECONDS)), f"stop({SECONDS:g})")
            took = time.monotonic() - began
            require(record.cause == "stopped" and record.code == 0, "stop()", record, 'cause "stopped", code 0')
            require(took < SLACK, f"stop({SECONDS:g})", f"{took:.1f} s", "no longer than the worker takes to go")
            require(GOING in list(await handle.logs(20)), "logs()", await handle.logs(20), "what it said at SIGTERM")
            if handle.pid is not None:
                require(await probe.gone(said.pid)(), "the worker's process", "it runs", "gone when stop() returns")

    run(scene())


@check("bronze", "A worker that takes no notice of SIGTERM has its grace, and is then killed.", is_cluster)
def stops_by_force(part: Any) -> None:
    async def scene() -> None:
        async with probing(part.item.cluster, "stay") as probe:
            handle = await probe.start()
            await probe.say()
            began = time.monotonic()
            record = record_of(await within(handle.stop(GRACE)), f"stop({GRACE:g})")
            took = time.monotonic() - began
            require(record.signal == "SIGKILL", f"stop({GRACE:g})", record, "signal SIGKILL")
            require(GRACE <= took < GRACE + SLACK, f"stop({GRACE:g})", f"{took:.2f} s", f"{GRACE:g} s, and hardly more")
            require(HEARD in list(await handle.logs(20)), "logs()", await handle.logs(20), "SIGTERM before SIGKILL")

    run(scene())


@check("silver", "Ending a worker ends all that it started, also when it ends by itself.", is_cluster)
def leaves_nothing_behind(part: Any) -> None:
    async def scene() -> None:
        for path in ("", "/end/0"):
            async with probing(part.item.cluster, "child") as probe:
                handle = await probe.start()
                said = await probe.say()
                gone = probe.gone(said.child or 0)
                await (probe.say(path) if path else within(handle.stop(GRACE)))
                await within(handle.wait())
                try:
                    await until(gone, SLACK)
                except TimeoutError:
                    raise Failed(path or f"stop({GRACE:g})", "its child runs on", "nothing that runs on") from None

    run(scene())


@check(
    "silver",
    "wait() may be cancelled and asked again, by several; stop() of what has ended says how that was.",
    is_cluster,
)
def waits_for_many(part: Any) -> None:
    async def scene() -> None:
        async with probing(part.item.cluster) as probe:
            handle = await probe.start()
            first, second = asyncio.ensure_future(handle.wait()), asyncio.ensure_future(handle.wait())
            await probe.say()
            first.cancel()
            await probe.say("/end/5")
            records = [await within(second), await within(handle.wait()), await within(handle.stop(0))]
            codes = [record_of(record, "wait()").code for record in records]
            require(codes == [5, 5, 5], "wait(), wait(), stop(0)", records, "code 5 from each")

    run(scene())


@check("silver", "logs(n) gives the last n lines, of stdout and stderr.", is_cluster)
def reads_logs(part: Any) -> None:
    async def scene() -> None:
        async with probing(part.item.cluster) as probe:
            handle = await probe.start()
            await probe.say()

            async def both() -> bool:
                return {"probe: out", "probe: err"} <= set(await handle.logs(50))

            try:
                await until(both, SOON)
            except TimeoutError:
                raise Failed("logs(50)", f"{await handle.logs(50)}", "both lines that it printed") from None
            one = list(await handle.logs(1))
            require(len(one) == 1 and one[0].startswith("probe: "), "logs(1)", one, "the last line")

    run(scene())


@check(
    "silver", "A worker that is left runs on, and another server's cluster finds it again: the same worker.", is_cluster
)
def adopts_workers(part: Any) -> None:
    async def scene() -> None:
        async with probing(part.item.cluster) as probe:
            await probe.start()
            before = await probe.say()
            await probe.leave()
            found = await probe.find()
            if found is None or isinstance(found, ExitRecord):
                raise Failed("adopt(), of one that runs", f"{found!r}", "a handle")
            after = await probe.say()
            require(after.pid == before.pid, "adopt()", f"process {after.pid}", f"the same, {before.pid}")
            require(found.node == probe.node, "adopt().node", found.node, probe.node)
            record = record_of(await within(found.stop(GRACE)), "stop()")
            require(record.cause == "stopped", "stop(), of an adopted one", record, 'cause "stopped"')

    run(scene())


@check(
    "silver",
    "Of a worker that ended while no server was there, adopt() says how, or None; it raises nothing.",
    is_cluster,
)
def adopts_what_is_gone(part: Any) -> None:
    async def scene() -> None:
        async with probing(part.item.cluster) as probe:
            await probe.start()
            await probe.say()
            await probe.say("/end/9")
            await probe.leave()
            found = await _end_of(probe, SLACK)
            require(found != RUNS, "adopt(), of one that ended", "a handle", "an ExitRecord, or None")
            right = not isinstance(found, ExitRecord) or (found.cause, found.code) == ("exited", 9)
            require(right, "adopt(), of one that ended with status 9", found, "that, or None")

    run(scene())


@check("silver", "A start that is cancelled, at whatever moment, leaves nothing running.", is_cluster)
def takes_back_a_start(part: Any) -> None:
    async def cancelled_after(seconds: float) -> None:
        async with probing(part.item.cluster, claim_seconds=SECONDS) as probe:
            starting = asyncio.ensure_future(probe.start())
            await asyncio.wait({starting}, timeout=seconds)
            if starting.done():
                starting.result()
                return  # it was quicker, and is ended as any other
            starting.cancel()
            await asyncio.wait({starting})
            await asyncio.sleep(LATE)
            found = await _end_of(probe, SOON)
            require(found != RUNS, "start(), cancelled", "its worker can be adopted", "nothing that runs")

    async def scene() -> None:
        await asyncio.gather(*(cancelled_after(seconds) for seconds in MOMENTS))

    run(scene())


async def _end_of(probe: Probe, seconds: float) -> ExitRecord | Literal["runs"] | None:
    """What `adopt` says once it finds no worker any more; RUNS when it still does after so long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = await probe.find()
        if found is None or isinstance(found, ExitRecord):
            return found
        await probe.leave()
        await asyncio.sleep(LOOK)
    return RUNS


@check("gold", "Many workers are started at once, each with an address of its own.", is_cluster)
def starts_many(part: Any) -> None:
    async def one() -> tuple[str, int]:
        async with probing(part.item.cluster) as probe:
            handle = await probe.start()
            return handle.address, (await probe.say()).pid

    async def scene() -> None:
        told = await asyncio.gather(*(one() for _ in range(AT_ONCE)))
        addresses, pids = ({pair[place] for pair in told} for place in (0, 1))
        each = len(addresses) == len(pids) == AT_ONCE
        require(each, f"{AT_ONCE} workers at once", told, "each its own process and address")

    run(scene())


@check(
    "gold",
    "The lease of a worker that is held is renewed; one that is left ends when its lease has run out.",
    is_cluster,
)
def keeps_leases(part: Any) -> None:
    async def scene() -> None:
        async with probing(part.item.cluster, lease_seconds=LEASE) as probe:
            handle = await probe.start()
            said = await probe.say()
            try:
                ended = await asyncio.wait_for(handle.wait(), LEASE * LEASES)
            except TimeoutError:
                ended = None
            require(ended is None, f"a lease of {LEASE:g} s, held", ended, "a worker that runs on")
            await probe.say(seconds=LEASE)
            gone = probe.gone(said.pid)
            await probe.leave()
            try:
                await until(gone, LEASE + SLACK)
            except TimeoutError:
                raise Failed(f"a lease of {LEASE:g} s, left", "it runs on", "that it ends") from None

    run(scene())
