"""The control socket: whoever knows the token claims the worker, renews its lease and stops it.

Lines of JSON, as told in sdk.worker. Nothing a peer does or omits can block the keeper.
"""

# pathlib would double the keeper's imports:
# ruff: noqa: PTH108

from __future__ import annotations

import contextlib
import json
import math
import os
import socket
from _operator import _compare_digest as compare_digest  # hmac's own, without the 4 MB of OpenSSL that hmac loads
from collections.abc import Callable

from .loop import READ, WRITE, Loop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

COMMANDS = ("claim", "renew", "stop")
LINE_BYTES = 4_096  # the longest line a peer may send
REPLY_BYTES = 65_536  # replies that wait for a peer that does not read; beyond, it is dropped
MOST_PEERS = 64  # a host uses one; more are mistakes, and the oldest unclaimed one gives way
BACKLOG = 128  # a non-blocking connect fails at once when it is full
REFUSED = {"event": "refused"}


class SocketInUse(Exception):
    """Another keeper listens on the control socket."""


class Command:
    """What a peer wants. grace: seconds, None for the order's own."""

    __slots__ = ("do", "grace", "token")

    def __init__(self, do: str, token: str | None, grace: float | None) -> None:
        self.do, self.token, self.grace = do, token, grace


def parse_command(line: bytes) -> Command | None:
    """The command in a line; None when it is none."""
    try:
        message = json.loads(line)
        do, token, grace = message["do"], message.get("token"), message.get("grace")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    if do not in COMMANDS or not isinstance(token, str | None):
        return None
    if grace is None:
        return Command(do, token, None)
    if isinstance(grace, bool) or not isinstance(grace, int | float) or not (math.isfinite(grace) and grace >= 0):
        return None
    return Command(do, token, min(float(grace), 1e6))


class Peer:
    """One connection."""

    __slots__ = ("claimed", "closing", "inbox", "outbox", "socket")

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.inbox = b""
        self.outbox = b""
        self.claimed = False
        self.closing = False


class Control:
    """Listens, and passes the commands of claimed peers on.

    obey: called with each command of a peer that knows the token, a claim too; returns the answer, or None.
    """

    def __init__(self, loop: Loop, path: str, token: str, obey: Callable[[Command], dict[str, Any] | None]) -> None:
        self._loop = loop
        self._token = token.encode()
        self._obey = obey
        self._peers: dict[Peer, None] = {}  # in order of arrival
        self._listener = _listen(path)
        self._path = path
        self._flushed: Callable[[], None] | None = None
        loop.watch(self._listener.fileno(), READ, self._accept)

    def tell_all(self, message: dict[str, Any]) -> None:
        """Sends an event to every claimed peer."""
        for peer in list(self._peers):
            if peer.claimed:
                self._send(peer, message)

    def when_flushed(self, call: Callable[[], None]) -> None:
        """Calls `call()` as soon as no claimed peer has anything to come any more; maybe at once."""
        self._flushed = call
        self._check_flushed()

    def close(self) -> None:
        """Removes the socket's file, so that nobody new finds it; those connected stay connected."""
        if self._listener.fileno() >= 0:
            self._loop.unwatch(self._listener.fileno())
            self._listener.close()
            with contextlib.suppress(OSError):
                os.unlink(self._path)

    def _accept(self, events: int) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:  # it left already, or this process has no files left: let go of somebody
            self._drop_oldest()
            return
        connection.setblocking(False)
        if len(self._peers) >= MOST_PEERS and not self._drop_oldest():
            connection.close()
            return
        peer = Peer(connection)
        self._peers[peer] = None
        self._watch(peer)

    def _drop_oldest(self) -> bool:
        for peer in self._peers:
            if not peer.claimed:
                self._drop(peer)
                return True
        return False

    def _watch(self, peer: Peer) -> None:
        reading = 0 if peer.closing else READ
        writing = WRITE if peer.outbox else 0
        self._loop.watch(peer.socket.fileno(), reading | writing, lambda events: self._serve(peer, events))

    def _serve(self, peer: Peer, events: int) -> None:
        if peer in self._peers and events & WRITE:
            self._flush(peer)
        if peer in self._peers and events & READ:
            self._read(peer)

    def _read(self, peer: Peer) -> None:
        try:
            received = peer.socket.recv(LINE_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            received = b""
        if not received:
            self._drop(peer)
            return
        *lines, peer.inbox = (peer.inbox + received).split(b"\n")
        if len(peer.inbox) > LINE_BYTES:
            lines.append(b"")  # no command: refused
        for line in lines:
            if peer in self._peers and not peer.closing:
                self._take(peer, line)

    def _take(self, peer: Peer, line: bytes) -> None:
        command = parse_command(line)
        if command and command.do == "claim":
            peer.claimed = command.token is not None and compare_digest(_bytes(command.token), self._token)
        if command and peer.claimed:
            answer = self._obey(command)
            if answer:
                self._send(peer, answer)
            return
        peer.claimed, peer.closing = False, True
        self._send(peer, REFUSED)

    def _send(self, peer: Peer, message: dict[str, Any]) -> None:
        if len(peer.outbox) > REPLY_BYTES:
            self._drop(peer)
            return
        peer.outbox += json.dumps(message).encode() + b"\n"
        self._flush(peer)

    def _flush(self, peer: Peer) -> None:
        try:
            sent = peer.socket.send(peer.outbox) if peer.outbox else 0
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self._drop(peer)
            return
        peer.outbox = peer.outbox[sent:]
        if peer.closing and not peer.outbox:
            self._drop(peer)
        else:
            self._watch(peer)
            self._check_flushed()

    def _drop(self, peer: Peer) -> None:
        del self._peers[peer]
        self._loop.unwatch(peer.socket.fileno())
        peer.socket.close()
        self._check_flushed()

    def _check_flushed(self) -> None:
        if self._flushed and not any(peer.outbox for peer in self._peers if peer.claimed):
            self._flushed()


def _bytes(token: str) -> bytes:
    return token.encode("utf-8", "surrogatepass")  # JSON can carry half a surrogate pair


def _listen(path: str) -> socket.socket:
    """A listening socket that this user alone may use. Raises SocketInUse, OSError."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_stale(path)
        before = os.umask(0o177)
        try:
            listener.bind(path)
        finally:
            os.umask(before)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except BaseException:  # whatever it was, no socket stays
        listener.close()
        raise
    return listener


def _remove_stale(path: str) -> None:
    """Removes what a dead keeper left there. Raises SocketInUse when the keeper lives."""
    if not os.path.lexists(path):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe, contextlib.suppress(OSError):
        probe.setblocking(False)
        probe.connect(path)
        raise SocketInUse(f"another keeper listens on {path}")
    os.unlink(path)
