"""Clusters that plugins bring: chosen by name, made when they are needed, and asked inside a guard."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from enginehouse.host.clusters import Clusters, asked
from enginehouse.host.lines import HostPort, read_address
from enginehouse.host.plugins import PluginCensus, load_plugins
from enginehouse.host.settings import Settings
from enginehouse.host.sites import choose_node, is_called
from enginehouse.sdk import CannotRun, Device, LaunchFailed, Node

ATTIC = """
    from enginehouse.sdk import ClusterSpec, hookimpl

    class Attic:
        async def nodes(self):
            return NODES

    NODES = ()

    @hookimpl
    def enginehouse_clusters():
        return [ClusterSpec(name="Attic", cluster=f"{__name__}:Attic")]
"""


@pytest.fixture
def census(settings: Settings, install_plugin: Any) -> PluginCensus:
    install_plugin("attic", ATTIC)
    return load_plugins(settings)


def test_a_cluster_is_found_by_its_name_in_any_case(census: PluginCensus) -> None:
    clusters = Clusters(census.contributions, "ATTIC")
    assert clusters.default == "Attic"
    assert clusters.get("attic") is clusters.get("Attic") is not clusters.get("local")


def test_one_that_is_not_there_is_said_with_those_that_are(census: PluginCensus) -> None:
    with pytest.raises(CannotRun, match=r"no cluster 'cellar'; there are: Attic, local\.") as raised:
        Clusters(census.contributions, "cellar")
    assert "ENGINEHOUSE_CLUSTER" in raised.value.message


async def test_one_without_nodes_cannot_be_planned_for(census: PluginCensus) -> None:
    with pytest.raises(LaunchFailed, match="no nodes now"):
        await Clusters(census.contributions, "attic").nodes()


async def test_an_upgraded_plugin_s_cluster_is_made_anew(
    settings: Settings, census: PluginCensus, install_plugin: Any
) -> None:
    clusters = Clusters(census.contributions, "attic")
    before = clusters.get("attic")
    census.contributions.take({"attic": load_plugins(settings).contributions.of("attic")})
    assert clusters.get("attic") is not before


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("nowhere.at.all:Attic", "nowhere"),
        ("json:Attic", "Attic"),
        ("json:loads", "TypeError"),
        ("sys:exit", "SystemExit"),
    ],
)
def test_one_that_cannot_be_made_says_why(settings: Settings, install_plugin: Any, target: str, says: str) -> None:
    install_plugin("attic", ATTIC.replace('f"{__name__}:Attic"', f'"{target}"'))
    with pytest.raises(CannotRun, match=f"The cluster Attic cannot be used: .*{says}"):
        Clusters(load_plugins(settings).contributions, "attic").get("attic")


def test_two_plugins_of_one_cluster_are_both_named(settings: Settings, install_plugin: Any) -> None:
    install_plugin("attic", ATTIC)
    install_plugin("loft", ATTIC, module="plugin_loft_of_attics")
    census = load_plugins(settings)
    for name, other in (("attic", "loft"), ("loft", "attic")):
        record = census.record(name)
        assert record and record.state == "quarantined" and record.rivals == (other,)
        assert "claimed among clusters by" in (record.reason or "")
    assert [one.name for one in census.contributions.clusters] == ["local"]


def test_nobody_takes_the_name_of_the_built_in_one(settings: Settings, install_plugin: Any) -> None:
    install_plugin("attic", ATTIC.replace('"Attic"', '"Local"'))
    census = load_plugins(settings)
    record = census.record("attic")
    assert record and record.state == "quarantined" and "The built-in one stays." in (record.reason or "")
    assert [one.name for one in census.contributions.clusters] == ["local"]


def test_a_hook_that_raises_or_gives_something_else_is_quarantined(settings: Settings, install_plugin: Any) -> None:
    install_plugin("attic", ATTIC.replace("return [ClusterSpec", "return [1 / 0, ClusterSpec"))
    install_plugin("loft", ATTIC.replace("return [ClusterSpec", 'return ["loft", ClusterSpec'), module="plugin_loft")
    census = load_plugins(settings)
    attic, loft = census.record("attic"), census.record("loft")
    assert attic and (attic.state, attic.reason) == ("quarantined", "ZeroDivisionError: division by zero")
    assert loft and loft.state == "quarantined" and "must give ClusterSpec" in (loft.reason or "")


async def test_what_a_cluster_raises_is_its_plugin_s_fault() -> None:
    async def breaks() -> None:
        raise KeyError("attic")

    async def is_cut_off() -> None:
        raise ConnectionResetError("the ladder fell")

    async def says_why() -> None:
        raise CannotRun("The ladder is gone.")

    with pytest.raises(LaunchFailed, match=r"The cluster attic could not start a worker: KeyError: 'attic'\. Its plu"):
        await asked("attic", "start a worker", breaks, 1.0)
    with pytest.raises(LaunchFailed, match=r"could not start a worker: the ladder fell\.$"):
        await asked("attic", "start a worker", is_cut_off, 1.0)
    with pytest.raises(CannotRun, match="ladder is gone"):
        await asked("attic", "start a worker", says_why, 1.0)
    with pytest.raises(LaunchFailed, match=r"could not start a worker within 0\.01 s"):
        await asked("attic", "start a worker", asyncio.get_running_loop().create_future, 0.01)  # type: ignore[arg-type]


NODES = (
    Node(name="a", address="192.0.2.1", free_bytes=9),
    Node(name="b", address="192.0.2.2", devices=(Device(kind="cuda", index=0, free_bytes=5),)),
    Node(name="c", free_bytes=10),
)


def test_a_node_is_chosen_by_what_is_asked_for_else_by_what_is_free() -> None:
    assert choose_node(NODES, ()).name == "b"
    assert choose_node((NODES[0], NODES[2]), ()).name == "c"
    assert choose_node(NODES, ("nobody", "192.0.2.1")).name == "a"
    assert choose_node(NODES, ("127.0.0.1",)).name == "c"  # the one without an address is the server's machine
    assert choose_node(NODES, ("c",)).name == "c"
    assert not is_called(NODES[0], "127.0.0.1") and not is_called(NODES[2], "192.0.2.1")


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("/run/w/http.sock", "/run/w/http.sock"),
        ("192.0.2.1:80", HostPort("192.0.2.1", 80)),
        ("[::1]:8000", HostPort("::1", 8000)),
    ],
)
def test_addresses_of_workers(address: str, place: object) -> None:
    assert read_address(address) == place


@pytest.mark.parametrize("address", ["", "attic", "attic:", ":80", "attic:http", "http.sock"])
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(ValueError, match="neither an absolute path nor host:port"):
        read_address(address)
