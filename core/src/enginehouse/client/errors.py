"""What the client raises."""

from __future__ import annotations


class ClientError(RuntimeError):
    """A call did not succeed. Its text is "Failed to <do something>, detail: <detail>".

    status: of the HTTP answer; None when there was none, or when the failure came inside a stream.
    code: the server's machine-readable word ("model_not_found"), when it gave one.
    detail: what the server said, or what happened on the way to it.
    """

    def __init__(self, action: str, detail: str, *, status: int | None = None, code: str | None = None) -> None:
        super().__init__(f"Failed to {action}, detail: {detail}")
        self.status = status
        self.code = code
        self.detail = detail


class ServerUnreachable(ClientError):
    """No connection to the server could be made."""
