"""The worker as a process: started with its own session and group, held by a pipe, killed as a whole."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys

DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of Linux's <sys/prctl.h>
DEFAULT_SIGNALS = (signal.SIGPIPE, signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)


class NotStarted(Exception):
    """The command could not be run; the text says which, why, and what to do."""


class Ending:
    """How a process ended: an exit status, or the name of the signal that ended it."""

    def __init__(self, status: int) -> None:
        code = os.waitstatus_to_exitcode(status)
        self.code = code if code >= 0 else None
        self.signal = _signal_name(-code) if code < 0 else None


class Child:
    """A running worker. output: its stdout and stderr, non-blocking; _stdin is held so that its end tells our death."""

    def __init__(self, pid: int, stdin: int, output: int) -> None:
        self.pid = pid
        self.output = output
        self._stdin = stdin

    def signal_group(self, number: int) -> None:
        """Signals the worker and everything it started that is still in its group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS says EPERM of a group of zombies
            os.killpg(self.pid, number)

    def reap(self) -> Ending | None:
        """None while it runs. When it has ended, kills what is left of its group and says how it ended.

        The group is killed before the number of its dead leader is given back, so that it cannot be another's.
        """
        if hasattr(os, "waitid"):
            if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                return None
            self.signal_group(signal.SIGKILL)
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if not pid:
            return None
        self.signal_group(signal.SIGKILL)
        return Ending(status)


def start_child(argv: list[str], environment: dict[str, str]) -> Child:
    """Starts the command with this process's environment and `environment` added. Raises NotStarted.

    fork and exec by hand: `subprocess` would double the keeper's start and cannot set a death signal cheaply.
    """
    stdin_read, stdin_write = os.pipe()
    output_read, output_write = os.pipe()
    failed_read, failed_write = os.pipe()  # closed by a successful exec, else carries the error's number
    os.set_blocking(output_read, False)
    held = signal.pthread_sigmask(signal.SIG_BLOCK, DEFAULT_SIGNALS)  # the child must not write into our wake-up pipe
    try:
        pid = _fork(argv[0])
        if pid == 0:
            _become(argv, {**os.environ, **environment}, (stdin_read, output_write, failed_write))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
    for fd in (stdin_read, output_write, failed_write):
        os.close(fd)
    number = os.read(failed_read, 16)
    os.close(failed_read)
    if number:
        os.waitpid(pid, 0)
        os.close(stdin_write)
        os.close(output_read)
        raise NotStarted(_explain(argv[0], int(number)))
    return Child(pid, stdin_write, output_read)


def _fork(command: str) -> int:
    try:
        return os.fork()
    except OSError as error:
        raise NotStarted(_explain(command, error.errno or errno.EAGAIN)) from error


def _become(argv: list[str], environment: dict[str, str], files: tuple[int, int, int]) -> None:
    """In the child: turns into the command, or reports the error's number and ends. Never returns."""
    stdin, output, failed = files
    number = errno.EINVAL
    try:
        keeper = os.getppid()
        os.setsid()
        _die_with(keeper)
        for source, target in ((stdin, 0), (output, 1), (output, 2)):
            os.dup2(source, target)
        for each in DEFAULT_SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.execvpe(argv[0], argv, environment)
    except OSError as error:
        number = error.errno or number
    except Exception:  # noqa: BLE001 - this is a forked copy of the keeper: it must not run on, whatever happened
        pass
    finally:
        os.write(failed, str(number).encode())
        os._exit(127)


def _die_with(keeper: int) -> None:
    """Linux sends the worker SIGTERM when its keeper dies, for commands that do not watch their stdin."""
    if sys.platform != "linux":
        return
    with contextlib.suppress(ImportError, OSError, AttributeError):  # a musl or a build without ctypes goes without
        import ctypes  # noqa: PLC0415 - 5 ms and half a megabyte, paid in the child only, which forgets it at exec

        ctypes.CDLL(None).prctl(DEATH_SIGNAL, int(signal.SIGTERM), 0, 0, 0)
    if os.getppid() != keeper:  # it died before the call took effect
        os._exit(127)


def _explain(command: str, number: int) -> str:
    hints = {
        errno.ENOENT: "It does not exist; check the engine's installation or its environment.",
        errno.EACCES: "It is not executable; check the permissions of the file and its folders.",
        errno.ENOEXEC: "It is not a program for this machine.",
        errno.E2BIG: "Its arguments and environment are too long.",
        errno.ENOMEM: "The machine has no memory left.",
        errno.EAGAIN: "This user may not start more processes.",
    }
    return (
        f"The worker's command {command!r} could not be started: {os.strerror(number)}. {hints.get(number, '')}".strip()
    )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"SIG{number}"
