"""Plugins that are changed while the server runs, as far as nothing is installed."""

from __future__ import annotations

from typing import Any

import msgspec

from enginehouse.host.house import open_house
from enginehouse.host.settings import Settings

STARS = """
    import msgspec
    from enginehouse.sdk import ModelType, Task, hookimpl

    class Look(msgspec.Struct):
        model: str

    @hookimpl
    def enginehouse_model_types():
        task = Task(name="look", route="/v1/stars/looks", summary="s", request=Look, answer=dict)
        return [ModelType(name="stars", own_tasks=(task,))]
"""
UNUSED = ("transformers", "llamacpp", "sentence_transformers")  # each costs every start time


async def test_a_plugin_that_is_blocked_twice_keeps_its_routes(settings: Settings, install_plugin: Any) -> None:
    install_plugin("z_stars", STARS)
    async with open_house(msgspec.structs.replace(settings, blocked=UNUSED)) as house:
        first = await house.installer.block("z_stars")
        assert first.state == "blocked" and house.catalog.model_type("stars") is None
        assert await house.installer.block("z_stars") == first
        assert house.catalog.task_at("/v1/stars/looks") is not None, "workers that run its code run on"
        assert (await house.installer.unblock("z_stars")).state == "loaded"
        assert len([task for task in house.catalog.own_tasks if task.name == "look"]) == 1
