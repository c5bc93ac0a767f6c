"""The server's application: the relay for tasks, the framework for everything else."""

from __future__ import annotations

import asyncio
from functools import partial

from fastapi import APIRouter, FastAPI
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ..host.admission import Admission
from ..host.audit import AuditLog
from ..host.house import House
from ..host.machine_load import LoadWatch
from ..sdk import AUXILIARY, TASKS, Task
from . import (
    abort,
    anthropic,
    autostart,
    cache,
    changes,
    cluster,
    declarations,
    engines,
    environments,
    families,
    keys,
    launch_history,
    models,
    nodes,
    plugins,
    registrations,
    replicas,
    request_progress,
    responses,
    tasks,
    versions,
    virtualenvs,
)
from .arrivals import read_heading
from .errors import handle_errors, send_error
from .gate import Gate
from .meters import Meters
from .openapi import build_openapi
from .permissions import Rules, all_routes, needs
from .relay import Relay
from .surface import Grounds
from .task_routes import TaskRoutes, not_post
from .tracing import Traces


class Application:
    """ASGI. Requests of tasks go straight to the relay: a framework in between would cost more than the relay.

    stopping: to be set when the server begins to leave.
    """

    def __init__(self, house: House, traces: Traces | None = None) -> None:
        meters = Meters(lambda uid: house.routing.get(uid) is not None)
        self.stopping = asyncio.Event()
        admission = Admission(house.routing, house.settings.demand_seconds, self.stopping)
        self.relay = Relay(house.routing, meters, house.settings.body_bytes, admission, traces)
        if traces is not None:
            house.deployments.load_listeners.append(traces.tell)
        self._tasks = TaskRoutes(house.catalog)
        self.rest = _build_rest(Grounds(house, meters, self.stopping, LoadWatch(house.clusters.nodes)), self.relay)
        self.audit = AuditLog(house.settings.home)
        self._gate = Gate(self._serve, Rules(self.rest.routes, self._tasks), house.keys, self.audit)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._gate(scope, receive, send)

    def close(self) -> None:
        """To be called when nothing is served any more."""
        self.relay.close()
        self.audit.close()

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            task = self._tasks.get(scope["path"])
            if task is not None and scope["method"] == "POST":
                return await self.relay.serve(task, scope, receive, send)
            if task is not None and self._tasks.is_contributed(task):
                return await send_error(send, not_post(scope), read_heading(scope["headers"]).request_id)
        await self.rest(scope, receive, send)


def _build_rest(grounds: Grounds, relay: Relay) -> FastAPI:
    app = FastAPI(
        title="Enginehouse",
        version=cluster.VERSION,
        description="A model server whose every engine is a plugin.",
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.grounds = grounds
    app.state.relay = relay
    for route in all_routes(app.routes):
        needs("public")(route.endpoint)  # the framework's own: they describe the API, which is no secret
    _add(app, cluster.router)
    _add(app, nodes.router)
    _add(app, plugins.router)
    _add(app, keys.router)
    _add(app, anthropic.router)
    _add(app, responses.router)
    _add(app, abort.router)  # before the models': a uid may hold slashes
    _add(app, replicas.router)  # before the models': a uid may hold slashes
    _add(app, families.router)
    _add(app, versions.router)  # before the models': a type and a name look like a uid with slashes
    _add(app, request_progress.router)
    _add(app, models.router)
    _add(app, changes.router)
    _add(app, declarations.router)
    _add(app, autostart.router)
    _add(app, launch_history.router)
    _add(app, environments.router)
    _add(app, virtualenvs.router)
    _add(app, engines.router)
    _add(app, registrations.router)
    _add(app, tasks.router)
    _add(app, cache.router)
    for task in (*TASKS.values(), *AUXILIARY.values()):
        app.router.routes.append(Route(task.route, needs("use")(_Endpoint(relay, task)), methods=["POST"]))
    handle_errors(app)
    app.openapi = partial(build_openapi, app, grounds.house.catalog)  # type: ignore[method-assign]
    return app


def _add(app: FastAPI, router: APIRouter) -> None:
    """Its routes as they are. To include the router would make each of them anew for each application, at the first
    request: some milliseconds a route."""
    app.router.routes.extend(router.routes)


class _Endpoint:
    """A task's route as the framework knows it, so that other methods are answered 405 and not 404."""

    def __init__(self, relay: Relay, task: Task) -> None:
        self._relay = relay
        self._task = task

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._relay.serve(self._task, scope, receive, send)
