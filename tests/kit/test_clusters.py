"""What a cluster is held to: the built-in one holds it, and careless ones are found."""

from __future__ import annotations

from pathlib import Path

import pytest

from enginehouse.host.contributions import Contributions
from enginehouse.sdk import ClusterSpec
from enginehouse.testing.certifying import CLUSTERS
from enginehouse.testing.checks.parts import Part
from enginehouse.testing.reports import run_checks

CARELESS = """
import asyncio, subprocess
from enginehouse.builtin.local_cluster import LocalCluster
from enginehouse.sdk import ExitRecord
from enginehouse.sdk.keepers import start_kept

class Empty(LocalCluster):
    async def nodes(self):
        return ()

class Anywhere(LocalCluster):
    async def start(self, order, node):
        return await start_kept(order, node)

class Handle:
    def __init__(self, kept):
        self.kept = kept
        self.address, self.node, self.pid, self.started_at = kept.address, kept.node, kept.pid, kept.started_at

    async def wait(self):
        return await self.kept.wait()

    async def stop(self, grace):
        return await self.kept.stop(grace)

    async def logs(self, lines):
        return await self.kept.logs(lines)

    async def leave(self):
        await self.kept.leave()

class Deaf(Handle):
    async def wait(self):
        await self.kept.wait()
        return ExitRecord(cause="exited", code=0)

class Rash(Handle):
    async def stop(self, grace):
        return await self.kept.stop(0)

class Hasty(Handle):
    async def stop(self, grace):
        asyncio.ensure_future(self.kept.stop(grace))
        return ExitRecord(cause="stopped", code=0)

class Silent(Handle):
    async def logs(self, lines):
        return []

class Wrapping(LocalCluster):
    kind = Handle

    async def start(self, order, node):
        return self.kind(await super().start(order, node))

class WithDeaf(Wrapping):
    kind = Deaf

class WithRash(Wrapping):
    kind = Rash

class WithHasty(Wrapping):
    kind = Hasty

class WithSilent(Wrapping):
    kind = Silent

class Lapsing(Handle):
    def __init__(self, kept):
        super().__init__(kept)
        self.leaving = asyncio.ensure_future(kept.leave())

    async def stop(self, grace):
        return ExitRecord(cause="stopped")  # nobody listens; its lease ends it

class WithLapsing(Wrapping):
    kind = Lapsing

class Leaky(LocalCluster):
    async def start(self, order, node):
        return await asyncio.shield(start_kept(order, node))

class Forgetful(LocalCluster):
    async def adopt(self, order, node):
        return None

class Rude(LocalCluster):
    async def start(self, order, node):
        return [][0]
"""
LOCAL = ClusterSpec(name="local", cluster="enginehouse.builtin.local_cluster:LocalCluster")
# Of each careless one: what is found, by checks that look at it.
WRONG = {
    "Gone": {"is_there"},
    "Empty": {"has_nodes"},
    "Anywhere": {"refuses_unknown_nodes"},
    "WithDeaf": {"tells_how_it_ended", "waits_for_many"},
    "WithRash": {"stops_by_force"},
    "WithHasty": {"stops_by_force"},
    "WithSilent": {"reads_logs"},
    "WithLapsing": {"keeps_leases"},
    "Leaky": {"takes_back_a_start"},
    "Forgetful": {"adopts_workers"},
    "Rude": {"starts_workers", "refuses_unknown_nodes", "tells_what_does_not_start"},
}


def part_of(spec: ClusterSpec) -> Part:
    return Part(kind="clusters", name=spec.name, item=spec, contributions=Contributions())


def test_the_built_in_cluster_holds_everything() -> None:
    part = part_of(LOCAL)
    results = run_checks(CLUSTERS, part, part)
    assert [result.tell() for result in results if result.state != "passed"] == []
    assert len(results) == len(CLUSTERS) >= 17


@pytest.mark.parametrize("name", WRONG)
def test_what_is_careless_is_found(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kit_careless.py").write_text(CARELESS)
    monkeypatch.syspath_prepend(str(tmp_path))
    part = part_of(ClusterSpec(name="careless", cluster=f"kit_careless:{name}"))
    wanted = {f"clusters.{check}" for check in WRONG[name]}
    looks = [check for check in CLUSTERS if check.name in wanted]
    assert {result.check.name for result in run_checks(looks, part, part) if result.state == "failed"} == wanted
