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
    account, views = CALLER.get(), house.deployments.views()
    if not house.keys.required:
        return views
    return [view for view in views if account is not None and account.may_use(view.model_uid)]
