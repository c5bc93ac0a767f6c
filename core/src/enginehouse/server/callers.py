"""Who asks, for routes that answer each caller differently."""

from __future__ import annotations

from collections.abc import Iterable

from ..host.house import House
from ..host.views import DeploymentView
from .billing import CALLER


def caller_id() -> str | None:
    """The id of the key that the request came with; None where no keys are asked for."""
    account = CALLER.get()
    return None if account is None else account.key.key_id


def visible(house: House) -> Iterable[DeploymentView]:
    """The models that the caller may use; for somebody without a key on a server that asks for keys there are none."""
    return [view for view in house.deployments.views() if may_see(house, view.model_uid)]


def may_see(house: House, *names: str) -> bool:
    """Whether the caller may use a model of one of these names."""
    account = CALLER.get()
    if not house.keys.required:
        return True
    return account is not None and any(account.may_use(name) for name in names)
