"""Processes of ours that do what the server's own must not: each in a session of its own, ended as a group."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping
from typing import NamedTuple

from ..sdk import LaunchFailed

TOLD_CHARACTERS = 2000  # of what a child said before it failed
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR")


class Child(NamedTuple):
    """A module to run. what: begins the sentence of an error; seconds: after which it is ended."""

    module: str
    arguments: tuple[str, ...]
    what: str
    seconds: float
    environment: Mapping[str, str]


async def run_child(child: Child) -> None:
    """Returns when it has ended well. Raises LaunchFailed with its last words, or that it took too long; whoever
    cancels this ends it."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", child.module, *child.arguments),
        env=dict(child.environment),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(child.seconds):
            said, _ = await process.communicate()
    except TimeoutError:
        raise LaunchFailed(f"{child.what} took longer than {child.seconds:g} s and was ended.") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)  # what it started, too
            await asyncio.shield(process.wait())
    if process.returncode:
        words = said.decode(errors="replace").strip()[-TOLD_CHARACTERS:] or "without a word"
        raise LaunchFailed(f"{child.what} ended with status {process.returncode}: {words}")


def bare_environment(**more: str) -> dict[str, str]:
    """What a process needs to run at all: none of the server's keys and settings."""
    return {**{name: os.environ[name] for name in PASSED_ON if name in os.environ}, **more}
