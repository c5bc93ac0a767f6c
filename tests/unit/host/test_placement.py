import pytest

from enginehouse.host.launch_request import LaunchRequest
from enginehouse.host.placement import (
    MOST_REPLICAS,
    Place,
    check_uid_free,
    first_places,
    free_id,
    parse_place,
    request_at,
)
from enginehouse.sdk import BadRequest

REQUEST = LaunchRequest(model_name="m", replica=3, n_gpu=2)


def test_a_launch_asks_for_replicas_from_0() -> None:
    assert [place.replica_id for place in first_places(REQUEST)] == [0, 1, 2]


@pytest.mark.parametrize(
    "body", [{}, {"replica_config": None}, {"replica_config": {}}, {"replica_config": {"devices": []}}]
)
def test_nothing_said_is_nothing_chosen(body) -> None:
    assert not parse_place(body).pinned and request_at(REQUEST, parse_place(body)) is REQUEST


def test_devices_are_chosen_for_one_replica() -> None:
    place = parse_place({"replica_config": {"devices": [{"n_gpu": 1, "gpu_idx": [3]}]}})
    request = request_at(REQUEST, place)
    assert place.pinned and (request.n_gpu, request.gpu_idx, request.replica) == (1, [3], 1)


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"replica_config": 3},
        {"replica_config": {"wings": 2}},
        {"replica_config": {"replica_uid": ""}},
        {"replica_config": {"replica_uid": 3}},
        {"replica_config": {"devices": [{}, {}]}},
        {"replica_config": {"devices": [{"worker_ip": "10.0.0.1"}]}},
        {"replica_config": {"devices": [{"gpu_idx": "0"}]}},
    ],
)
def test_what_cannot_be_says_why(body) -> None:
    with pytest.raises(BadRequest, match=r"\w"):
        parse_place(body)


def test_replicas_have_the_names_that_they_were_given() -> None:
    config = [{"replica_uid": "left", "devices": [{}]}, {"devices": [{"worker_ip": "127.0.0.1:9997"}]}]
    request = LaunchRequest(model_name="m", replica=2, replica_config=config)
    places = first_places(request)
    assert [(place.replica_id, place.replica_uid, place.pinned) for place in places] == [
        (0, "left", False),
        (1, None, False),
    ]
    more = parse_place({"replica_config": {"replica_uid": "left", "devices": [{"worker_ip": "localhost"}]}})
    assert more.replica_uid == "left" and not more.pinned
    with pytest.raises(BadRequest, match="Replica 0 of 'm' is called 'left' already"):
        check_uid_free(more, places, "m")
    check_uid_free(Place(-1), places, "m")


def test_the_lowest_free_number_is_taken() -> None:
    places = (Place(0), Place(2))
    assert free_id(places, ()) == 1
    assert free_id(places, {1}) == 3
    with pytest.raises(BadRequest, match=str(MOST_REPLICAS)):
        free_id(tuple(Place(number) for number in range(MOST_REPLICAS)), ())
