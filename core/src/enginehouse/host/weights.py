"""Weights: brought to this machine by the source plugin that their URI names."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import threading
from collections.abc import Callable
from pathlib import Path

from ..sdk import Cancelled, EnginehouseError, FetchProgress, LaunchFailed
from .contributions import Contributions
from .targets import resolve

Report = Callable[[FetchProgress], None]

WEIGHTS_FOLDER = "weights"
STOP_SECONDS = 10.0  # a source asks every second whether it is still wanted; a kill takes milliseconds


async def fetch_weights(
    uri: str, contributions: Contributions, home: Path, report: Report, place: str = WEIGHTS_FOLDER
) -> Path:
    """The folder (or file) of the weights. `report` is called on the event loop.

    Callers that want the same at the same time share one fetch; when the last of them is cancelled it ends, and
    what came is kept for the next. place: the folder of the home that holds it. Raises EnginehouseError: the source's
    own, or LaunchFailed when it breaks.
    """
    scheme = uri.partition(":")[0]
    source = contributions.source(scheme)
    if source is None:
        raise LaunchFailed(f"No plugin brings a source for {uri!r}; install the one for {scheme!r}.")
    folder = folder_of(home / place, uri)
    flight = _flights.get(folder)
    if flight is None:
        flight = _flights[folder] = _Flight(uri, source.fetch, folder)
    return await flight.join(report)


def folder_of(root: Path, uri: str) -> Path:
    """Where the weights of a URI are kept: readable, and different for different URIs."""
    scheme, _, reference = uri.partition(":")
    readable = re.sub(r"[^\w.-]+", "--", reference)[:80]
    return root / scheme / f"{readable}.{hashlib.sha256(reference.encode()).hexdigest()[:12]}"


class _Flight:
    """One fetch, and all who wait for it. Lives in the table below from its start to its end."""

    def __init__(self, uri: str, target: str, folder: Path) -> None:
        self._uri = uri
        self._target = target
        self._folder = folder
        self._loop = asyncio.get_running_loop()
        self._reports: list[Report] = []
        self._last: dict[str, FetchProgress] = {}
        self._unwanted = threading.Event()
        self._outcome: asyncio.Future[Path] = self._loop.create_future()
        self._outcome.add_done_callback(self._land)
        # A thread of its own: downloads take hours, and the loop's few threads are everybody's.
        threading.Thread(target=self._run, name=f"fetch {uri}", daemon=True).start()

    async def join(self, report: Report) -> Path:
        """The weights, once they are here. Raises what the source raises."""
        self._reports.append(report)
        for progress in self._last.values():
            report(progress)
        try:
            return await asyncio.shield(self._outcome)
        finally:
            self._reports.remove(report)
            if not self._reports and not self._outcome.done():
                await self._give_up()

    async def _give_up(self) -> None:
        self._unwanted.set()
        _flights.pop(self._folder, None)
        await asyncio.wait({self._outcome}, timeout=STOP_SECONDS)

    def _land(self, outcome: asyncio.Future[Path]) -> None:
        if _flights.get(self._folder) is self:
            del _flights[self._folder]
        if not outcome.cancelled():
            outcome.exception()  # nobody may be left to hear it

    def _run(self) -> None:
        """In a thread."""
        path, error = None, None
        try:
            path = Path(resolve(self._target)(self._uri.partition(":")[2], self._folder, self._relay))
        except EnginehouseError as raised:
            error = raised
        except Exception as raised:  # noqa: BLE001 - a source is foreign code
            error = LaunchFailed(f"The weights {self._uri!r} could not be fetched: {type(raised).__name__}: {raised}")
            error.__cause__ = raised
        with contextlib.suppress(RuntimeError):  # the loop has closed: the server has left
            self._loop.call_soon_threadsafe(self._end, path, error)

    def _relay(self, progress: FetchProgress) -> None:
        if self._unwanted.is_set():
            raise Cancelled(f"The download of {self._uri!r} was cancelled.")
        self._loop.call_soon_threadsafe(self._tell, progress)

    def _tell(self, progress: FetchProgress) -> None:
        if progress.file and self._last.get(progress.file) != progress:
            self._last[progress.file] = progress
            for report in tuple(self._reports):
                report(progress)

    def _end(self, path: Path | None, error: Exception | None) -> None:
        if self._outcome.done():
            return
        if path is not None:
            self._outcome.set_result(path)
        else:
            self._outcome.set_exception(error or LaunchFailed(f"The weights {self._uri!r} did not come."))


_flights: dict[Path, _Flight] = {}
