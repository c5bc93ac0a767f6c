"""Runs the server: one process, one event loop, until it is told to leave."""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import signal
import socket
import sys
from types import FrameType

import uvicorn
import uvloop

from ..host.audit import Act
from ..host.house import Departure, open_house
from ..host.keys import MadeKey, check_openness
from ..host.settings import Settings
from ..sdk import EnginehouseError
from .application import Application
from .tracing import Traces, open_traces

BACKLOG = 2048  # connections that may wait to be accepted: a burst of clients, not an error
KEEP_ALIVE_SECONDS = 75  # idle connections are cheap; clients that reuse one must not find it closing under them

FIRST_KEY = """
This server asks for keys and had none, so it made one for you, the administrator. It is shown only now:

    {secret}

Keep it with `enginehouse login`, and make keys for others with `enginehouse keys create NAME`.
"""

OFFLINE = "enginehouse keys create NAME --admin --local"

logger = logging.getLogger(__name__)


class AddressTaken(EnginehouseError):
    """The address cannot be listened on."""

    code = "address_taken"


def serve(settings: Settings) -> int:
    """Serves until SIGTERM or SIGINT; the process's exit status. What keeps it from starting goes to stderr."""
    _raise_file_limit()
    try:
        check_openness(settings)
        with contextlib.closing(listen(settings.host, settings.port)) as listener:
            traces = open_traces(os.environ)
            try:
                uvloop.run(_serve(settings, listener, traces))
            finally:
                if traces is not None:
                    traces.close()
    except EnginehouseError as error:
        sys.stderr.write(f"enginehouse: {error.message}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


async def _serve(settings: Settings, listener: socket.socket, traces: Traces | None) -> None:
    departure = Departure()
    async with open_house(settings, departure) as house:
        application = Application(house, traces)
        first = await house.keys.create_first()
        if first is not None:
            made = {"key_id": first.key.key_id}
            application.audit.write(Act(act="create_first_key", who="the server itself", on=made))
        elif house.keys.required and not house.keys.has_admin():
            logger.warning("There is no valid admin key. Stop the server and make one: %s", OFFLINE)
        config = uvicorn.Config(
            application,
            loop="none",
            http="httptools",
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=max(1, round(settings.drain_seconds)),
        )
        try:
            await _Server(config, application, departure, first).serve(sockets=[listener])
        finally:
            application.close()


class _Server(uvicorn.Server):
    """Leaves with status 0 on a signal, drains no longer than told, and ends at once on a second signal.

    An interrupt takes the workers along; a termination leaves them to the next server.
    """

    def __init__(
        self, config: uvicorn.Config, application: Application, departure: Departure, first: MadeKey | None
    ) -> None:
        super().__init__(config)
        self._application = application
        self._departure = departure
        self._first = first

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or ():
            sys.stdout.write(f"Enginehouse is ready at {_url(listener)}\n")
        if self._first is not None:
            sys.stdout.write(FIRST_KEY.format(secret=self._first.secret))
        sys.stdout.flush()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._application.stopping.set()
        await super().shutdown(sockets)
        for task in list(self.server_state.tasks):
            task.cancel()  # a second signal came: what still runs hangs up on its worker

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._departure.leave_workers = sig != signal.SIGINT
        self.force_exit = self.should_exit
        self.should_exit = True


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises AddressTaken. Of a name's addresses an IPv4 one is preferred, as clients do."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise AddressTaken(f"{host}:{port} is no address to listen on: {error}. Give another with --host.") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise AddressTaken(
            f"Cannot listen on {host}:{port}: {error.strerror}. Another server may run there already; stop it, or "
            "choose another address with --host and --port."
        ) from error
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _raise_file_limit() -> None:
    """Every client and every request to a worker holds a descriptor; the default of 1024 is soon used up."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):  # macOS calls its limit infinite and refuses it
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
