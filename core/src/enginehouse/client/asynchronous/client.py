"""A server, seen from an asyncio program."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar

from ..call import Call
from ..calls import cluster, declarations, environments, keys, models, plugins, registrations, tasks, weights
from ..connection import client_key, dress, handle_kind
from ..contributed import contributed_handles
from .handles import AsyncModelHandle, handle_class
from .session import AsyncSession

P = ParamSpec("P")
T = TypeVar("T")


def _method(make: Callable[P, Call[T]]) -> Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]]:
    async def method(self: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._session.send(make(*args, **kwargs))

    dress(method, make)
    return method


class AsyncClient:
    """A server, seen from an asyncio program. Every failure is a ClientError (a RuntimeError).

    Parameters as `Client`'s. The constructor does not wait: whether the server asks for a key is found out
    with the first call (or on entering `async with`), for blocking there would stop the caller's event loop.
    """

    def __init__(self, base_url: str | None = None, api_key: str | None = None) -> None:
        self._session = AsyncSession(base_url, client_key(api_key))

    @property
    def base_url(self) -> str:
        return self._session.address

    list_models = _method(models.list_models)
    describe_model = _method(models.describe_model)
    launch_model = _method(models.launch_model)
    plan_model = _method(models.plan_model)
    terminate_model = _method(models.terminate_model)
    add_model_replica = _method(models.add_model_replica)
    terminate_model_replica = _method(models.terminate_model_replica)
    list_model_replicas = _method(models.list_model_replicas)
    get_launch_model_progress = _method(models.get_launch_model_progress)
    cancel_launch_model = _method(models.cancel_launch_model)
    abort_request = _method(models.abort_request)
    list_model_events = _method(models.list_model_events)
    get_replica_logs = _method(models.get_replica_logs)
    get_instance_info = _method(models.get_instance_info)

    register_model = _method(registrations.register_model)
    unregister_model = _method(registrations.unregister_model)
    list_model_registrations = _method(registrations.list_model_registrations)
    get_model_registration = _method(registrations.get_model_registration)
    inspect_model = _method(registrations.inspect_model)
    list_engines = _method(registrations.list_engines)
    query_engine_by_model_name = _method(registrations.query_engine_by_model_name)
    vllm_models = _method(registrations.vllm_models)

    list_tasks = _method(tasks.list_tasks)
    list_launchers = _method(tasks.list_launchers)

    list_cached_models = _method(weights.list_cached_models)
    list_deletable_models = _method(weights.list_deletable_models)
    confirm_and_remove_model = _method(weights.confirm_and_remove_model)

    get_progress = _method(cluster.get_progress)
    get_workers_info = _method(cluster.get_workers_info)
    get_supervisor_info = _method(cluster.get_supervisor_info)
    abort_cluster = _method(cluster.abort_cluster)
    get_autostart_config = _method(cluster.get_autostart_config)
    get_autostart_model_summary = _method(cluster.get_autostart_model_summary)
    upsert_autostart_model = _method(cluster.upsert_autostart_model)
    remove_autostart_model = _method(cluster.remove_autostart_model)
    list_declarations = _method(declarations.list_declarations)
    change_model = _method(declarations.change_model)
    renew_model = _method(declarations.renew_model)

    list_plugins = _method(plugins.list_plugins)
    describe_plugin = _method(plugins.describe_plugin)
    examine_plugin = _method(plugins.examine_plugin)
    install_plugin = _method(plugins.install_plugin)
    upgrade_plugin = _method(plugins.upgrade_plugin)
    remove_plugin = _method(plugins.remove_plugin)
    block_plugin = _method(plugins.block_plugin)
    unblock_plugin = _method(plugins.unblock_plugin)

    list_environments = _method(environments.list_environments)
    get_environment = _method(environments.get_environment)
    lock_environment = _method(environments.lock_environment)
    build_environment = _method(environments.build_environment)
    collect_environments = _method(environments.collect_environments)
    export_environment = _method(environments.export_environment)
    import_environment = _method(environments.import_environment)
    verify_environment = _method(environments.verify_environment)
    create_bundle = _method(environments.create_bundle)
    load_bundle = _method(environments.load_bundle)
    get_environment_work = _method(environments.get_environment_work)
    cancel_environment_work = _method(environments.cancel_environment_work)

    create_key = _method(keys.create_key)
    list_keys = _method(keys.list_keys)
    revoke_key = _method(keys.revoke_key)

    _get_supervisor_internal_address = _method(cluster.get_internal_address)

    @property
    def _cluster_authed(self) -> bool:
        return bool(self._session.asks_for_key)

    def _set_token(self, token: str | None) -> None:
        if token is not None:
            self._session.use_key(token)

    def _get_token(self) -> str | None:
        return self._session.key

    async def get_model(self, model_uid: str) -> AsyncModelHandle:
        """A handle of a running model, with the methods of what it can do. Raises ValueError when none suits."""
        kind = handle_kind(model_uid, await self.describe_model(model_uid), contributed_handles())
        return handle_class(kind)(model_uid, self._session)

    async def ask(self, route: str, body: dict[str, Any]) -> Any:
        """Asks a model at the route of any task, also one that a plugin brings; body: with `model`. The answer's JSON,
        or with `stream` in the body its events."""
        return await self._session.infer(tasks.ask(route, body))

    async def login(self, username: str, password: str) -> None:
        """For programs written for Xinference: the password is a key, the name anything."""
        await self._session.log_in(username, password)

    async def close(self) -> None:
        await self._session.close()

    async def __aenter__(self) -> AsyncClient:
        await self._session.prepare()
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self.close()
