"""vLLM's sleep mode: weights go to the machine's memory, keys and values are forgotten, the process stays.

Asked of its engine client within the process. Its routes for it come only with VLLM_SERVER_DEV_MODE, which opens others
beside them that run any method in the engine.
"""

from __future__ import annotations

from typing import Any

from enginehouse.sdk import EngineFailed

KEEPING_WEIGHTS = 1  # vLLM's level: weights are kept in the machine's memory; at level 2 they would be read again


class Rest:
    """engine: vLLM's engine client (`EngineClient`)."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self.can_sleep = bool(getattr(engine.model_config, "enable_sleep_mode", False))

    async def sleep(self) -> None:
        """Returns when the devices' memory is given back."""
        await self._engine.sleep(level=KEEPING_WEIGHTS)

    async def wake(self) -> None:
        """Returns when the model answers again. Raises EngineFailed."""
        if await self._engine.wake_up() is False:  # versions before 0.30 say nothing
            raise EngineFailed("vLLM woke only in part: its weights or its cache found no room on the device.")
