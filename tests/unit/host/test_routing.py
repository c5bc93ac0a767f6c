import pytest

from enginehouse.host.routing import Replica, Route, RoutingTable
from enginehouse.sdk import LaunchFailed, ModelNotFound, NotReady, NotSupported


def table(*replicas: Replica, failure: str | None = None) -> RoutingTable:
    routes = RoutingTable()
    routes.put(Route("m", ("chat",), replicas, failure=failure))
    return routes


def test_the_least_loaded_replica_is_picked() -> None:
    busy, idle = Replica("a", 0, "/a", in_flight=3), Replica("b", 1, "/b", in_flight=1)
    assert table(busy, idle).pick("m", "chat") is idle
    assert table(busy, idle).pick("m", "chat", tried={"b"}) is busy


def test_an_unknown_model_names_what_runs() -> None:
    with pytest.raises(ModelNotFound, match="Running models: m"):
        table(Replica("a", 0, "/a")).pick("x", "chat")


def test_a_task_the_model_lacks_is_refused() -> None:
    with pytest.raises(NotSupported, match="it does: chat"):
        table(Replica("a", 0, "/a")).pick("m", "embed")


def test_a_loading_model_says_when_to_come_again() -> None:
    with pytest.raises(NotReady) as caught:
        table().pick("m", "chat")
    assert caught.value.retry_after


def test_a_model_that_is_down_says_why() -> None:
    with pytest.raises(LaunchFailed, match="no such disk"):
        table(failure="no such disk.").pick("m", "chat")


def test_a_dropped_route_is_unknown() -> None:
    routes = table(Replica("a", 0, "/a"))
    assert routes.ready() == ["m"]
    routes.drop("m")
    with pytest.raises(ModelNotFound, match="none"):
        routes.pick("m", "chat")
