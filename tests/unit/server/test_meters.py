"""The meters' table, which must not grow with every model that ever ran."""

from __future__ import annotations

from enginehouse.server.meters import GONE_KEPT, Meters


def models(meters: Meters) -> list[str]:
    requests = next(family for family in meters.collect() if family.name == "enginehouse_requests")
    return [sample.labels["model"] for sample in requests.samples]


def ask(meters: Meters, model: str) -> None:
    meters.of("chat", model).count(200, 0.1, 1, 1)


def test_models_that_are_gone_are_forgotten_the_oldest_first():
    running = {"stays", "m0"}
    meters = Meters(running.__contains__)
    for model in ("stays", "", *(f"m{number}" for number in range(3 * GONE_KEPT))):
        ask(meters, model)
    kept = models(meters)
    assert kept[:3] == ["stays", "", "m0"]
    assert kept[-1] == f"m{3 * GONE_KEPT - 1}" and len(kept) <= GONE_KEPT + 4


def test_one_that_is_being_answered_is_not_forgotten():
    meters = Meters(lambda uid: False)
    meters.of("chat", "busy").in_flight = 1
    for number in range(2 * GONE_KEPT):
        ask(meters, f"m{number}")
    assert meters.of("chat", "busy").in_flight == 1


def test_one_that_is_launched_again_goes_on_counting():
    meters = Meters(lambda uid: False)
    ask(meters, "again")
    ask(meters, "again")
    assert meters.of("chat", "again").statuses == {200: 2}
