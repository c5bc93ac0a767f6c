"""Which task a path asks for: those of core, and those that plugins bring with their model types."""

from __future__ import annotations

from starlette.types import Scope

from ..host.contributions import Contributions
from ..sdk import AUXILIARY, TASKS, EnginehouseError, Task

CORE: dict[str, Task] = {task.route: task for task in (*TASKS.values(), *AUXILIARY.values())}


class NotPost(EnginehouseError):
    """A task's route was asked by another method."""

    status, code, kind = 405, "method_not_allowed", "invalid_request_error"


class TaskRoutes:
    """Read on every request. Plugins may come and go while the server runs."""

    def __init__(self, contributions: Contributions) -> None:
        self._contributions = contributions

    def get(self, path: str) -> Task | None:
        """The task at a path; None when it is no task's."""
        return CORE.get(path) or self._contributions.task_at(path)

    def __contains__(self, path: object) -> bool:
        return isinstance(path, str) and self.get(path) is not None

    def is_contributed(self, task: Task) -> bool:
        """Whether a plugin brings it, so that the framework has no route of it."""
        return task.route not in CORE


def not_post(scope: Scope) -> NotPost:
    return NotPost(
        f"{scope['method']} {scope['path']}: Method Not Allowed. Send a POST; the routes are listed at /docs."
    )
