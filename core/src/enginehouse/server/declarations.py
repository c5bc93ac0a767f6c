"""What was declared: every deployment's launch, as it would be launched again."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.responses import Response

from ..host.declarations import written
from .permissions import needs
from .schemas import Open
from .surface import TheHouse, answer

router = APIRouter(prefix="/v1/declarations", tags=["models"])


class Declaration(Open):
    """launch: a body of `POST /v1/models`, but for the engine's options, which stand in `options`."""

    model_uid: str
    status: str
    launch: dict[str, Any]


class Declarations(BaseModel):
    """All declared deployments, oldest first."""

    declarations: list[Declaration]


@router.get(
    "", response_model=Declarations, operation_id="list_declarations", summary="What was declared, to be kept in a file"
)
@needs("admin")  # variables of the environment may hold secrets
async def list_declarations(house: TheHouse) -> Response:
    """Only what was set, with the number of replicas that each was last scaled to."""
    declared = [
        {"model_uid": view.model_uid, "status": view.status, "launch": written(request, view.model_uid)}
        for view, request in house.deployments.declared()
    ]
    return answer({"declarations": declared})
