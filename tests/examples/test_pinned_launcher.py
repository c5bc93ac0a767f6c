"""A launcher of a third party whose models run with versions of their own, in an environment that is made for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from enginehouse.testing.houses import House

EXAMPLE = Path(__file__).parents[2] / "examples" / "pinned_launcher"


def test_its_models_run_with_the_version_that_it_pins(
    tmp_path: Path, new_house: Callable[..., House], install: Callable[..., None]
) -> None:
    install(EXAMPLE, tmp_path / "site")
    house = new_house(site=(tmp_path / "site",))
    named = {each["name"]: each for each in house.client.get("/v1/launchers").json()["launchers"]}
    assert named["stemmer"]["requirements"] == ["snowballstemmer==2.2.0"]
    model = {"model_name": "stems", "launcher": "stemmer", "launcher_args": {"language": "english"}}
    assert house.client.post("/v1/model_registrations/flexible", json={"model": model}).status_code == 200
    uid = house.launch("stems", model_type="flexible")
    answer = house.client.post("/v1/flexible/infers", json={"model": uid, "args": [["running", "horses"]]})
    assert answer.json() == {"stems": ["run", "hors"], "version": "2.2.0"}
    (made,) = (house.home / "environments").glob("*/environment.json")
    assert "snowballstemmer" in made.read_text()
