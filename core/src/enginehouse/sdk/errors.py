"""The one tree of errors, and the shape they take on the wire.

EnginehouseError
|-- BadRequest                400  the caller's input is wrong
|   |-- ContextLengthExceeded
|   |-- UnknownOption
|   |-- NotSupported               understood, but this engine or model cannot do it
|   `-- CannotRun                  no engine can run this model, with every reason
|-- Unauthenticated           401  no key, or none that is valid
|-- NotAllowed                403
|-- ModelNotFound             404
|-- Conflict                  409
|-- TooLarge                  413
|-- Cancelled                 499
|-- Overloaded                429  the queue is full; try again
|-- LaunchFailed              503  a worker did not come up
|-- NotReady                  503  still loading
|-- WorkerLost                503  a worker died under a request
|-- EngineFailed              500  foreign code raised
`-- InvalidSpec               500  a plugin declares something impossible

A message says what happened, to what, and what to do.
"""

from __future__ import annotations

from typing import Any, ClassVar

from .credentials import hide_credentials


class EnginehouseError(Exception):
    """Base of all errors that Enginehouse raises on purpose."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    kind: ClassVar[str] = "server_error"

    def __init__(self, message: str, *, param: str | None = None, retry_after: int | None = None):
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[Any, ...]:
        return (_restore, (type(self), self.message, self.param, self.retry_after))


def _restore(kind: type[EnginehouseError], message: str, param: str | None, retry: int | None) -> EnginehouseError:
    return kind(message, param=param, retry_after=retry)


class BadRequest(EnginehouseError):
    status, code, kind = 400, "invalid_request", "invalid_request_error"


class ContextLengthExceeded(BadRequest):
    code = "context_length_exceeded"


class UnknownOption(BadRequest):
    code = "unknown_option"


class NotSupported(BadRequest):
    code = "not_supported"


class CannotRun(BadRequest):
    code = "cannot_run"


class Unauthenticated(EnginehouseError):
    status, code, kind = 401, "invalid_api_key", "authentication_error"


class NotAllowed(EnginehouseError):
    status, code, kind = 403, "not_allowed", "permission_error"


class ModelNotFound(EnginehouseError):
    status, code, kind = 404, "model_not_found", "invalid_request_error"


class Conflict(EnginehouseError):
    status, code, kind = 409, "conflict", "invalid_request_error"


class TooLarge(EnginehouseError):
    status, code, kind = 413, "request_too_large", "invalid_request_error"


class Cancelled(EnginehouseError):
    status, code, kind = 499, "cancelled", "cancelled"


class Overloaded(EnginehouseError):
    status, code, kind = 429, "overloaded", "overloaded_error"


class LaunchFailed(EnginehouseError):
    status, code = 503, "launch_failed"


class NotReady(EnginehouseError):
    status, code = 503, "model_loading"


class WorkerLost(EnginehouseError):
    status, code = 503, "worker_lost"


class EngineFailed(EnginehouseError):
    code = "engine_failed"


class InvalidSpec(EnginehouseError):
    code = "invalid_spec"


def to_wire(error: EnginehouseError) -> dict[str, Any]:
    """The body of an error answer.

    OpenAI's clients read the `error` object, Xinference's read `detail`; both get theirs.
    """
    message = hide_credentials(error.message)
    inner = {"message": message, "type": error.kind, "param": error.param, "code": error.code}
    return {"error": inner, "detail": message}


def headers_of(error: EnginehouseError) -> dict[str, str]:
    """Extra HTTP headers of an error answer: `Retry-After` in seconds where waiting helps, what a 401 must say."""
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    return {**headers, "WWW-Authenticate": "Bearer"} if isinstance(error, Unauthenticated) else headers
