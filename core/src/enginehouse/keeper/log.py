"""The worker's output: a log file that never grows beyond its bound, and the last lines in memory."""

# pathlib would double the keeper's imports:
# ruff: noqa: PTH105

from __future__ import annotations

import os
from collections import deque

LINE_BYTES = 8_192  # a longer line is binary, or a data structure printed whole; its beginning tells which
TAIL_LINES = 50
TAIL_LINE_BYTES = 1_000  # 50 of these, each byte escaped as \u00xx, still fit the host's limit for one message
FILE_MODE = 0o600


class Lines:
    """Cuts a stream of bytes into lines of bounded length, and remembers the last ones."""

    def __init__(self) -> None:
        self._column = 0
        self._current = b""
        self._is_drawn_over = False  # a lone \r ended it: what follows replaces it on a screen, as progress bars do
        self._tail: deque[bytes] = deque(maxlen=TAIL_LINES)

    def feed(self, chunk: bytes) -> bytes:
        """What to write for these bytes: the same, but for what exceeds LINE_BYTES in one line."""
        return b"".join([self._shorten(piece) for piece in chunk.splitlines(keepends=True)])

    def tail(self) -> list[str]:
        """The last lines, the unfinished one too; of a progress bar only its last state."""
        lines = [*self._tail, self._current] if self._current.strip() else list(self._tail)
        return [line.strip(b"\r\n").decode("utf-8", "replace") for line in lines][-TAIL_LINES:]

    def _shorten(self, piece: bytes) -> bytes:
        self._remember(piece)
        text = piece.rstrip(b"\r\n")
        end = piece[len(text) :]
        room = LINE_BYTES - self._column
        self._column = 0 if end else self._column + len(text)
        if len(text) <= room:
            return piece
        return (text[:room] + b" [cut]" if room >= 0 else b"") + end

    def _remember(self, piece: bytes) -> None:
        if self._is_drawn_over and piece != b"\n":
            self._current = b""
        self._is_drawn_over = piece.endswith(b"\r")
        self._current = (self._current + piece)[:TAIL_LINE_BYTES]
        if piece.endswith(b"\n"):
            self._tail.append(self._current.rstrip(b"\r\n"))
            self._current = b""


class LogFile:
    """A file and its predecessor (`.1`), together at most `most` bytes. A disk that is full loses lines, not time."""

    def __init__(self, path: str, most: int) -> None:
        self._path = path
        self._most = max(most // 2, LINE_BYTES)
        self._lost = 0
        self._why = ""
        self._fd = -1
        self._size = 0
        self._ends_line = True

    def write(self, data: bytes) -> None:
        """Appends; what cannot be written is counted, and told in the file as soon as writing works again."""
        if not data:
            return
        try:
            self._make_room(len(data))
            if self._lost:
                self._tell_loss()
            self._append(data)
        except OSError as error:
            self._why = error.strerror or repr(error)
            self._lost += len(data)
            self._leave_file()  # opened anew for the next write: the file may have gone, or lie elsewhere

    def close(self) -> None:
        """Closes the file; a loss that was not told yet is told now if that works."""
        if self._lost:
            self.write(b"[keeper] end of the log\n")
        self._leave_file()

    def _leave_file(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _make_room(self, wanted: int) -> None:
        if self._fd >= 0 and self._size and self._size + wanted > self._most:
            self._leave_file()
            os.replace(self._path, self._path + ".1")
        if self._fd < 0:
            self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, FILE_MODE)
            self._size = os.fstat(self._fd).st_size

    def _tell_loss(self) -> None:
        lost, start = self._lost, "" if self._ends_line else "\n"
        self._append(f"{start}[keeper] {lost} bytes of output were lost here: {self._why}\n".encode())
        self._lost -= lost

    def _append(self, data: bytes) -> None:
        written = os.write(self._fd, data)
        self._size += written
        self._ends_line = data[:written].endswith(b"\n")
        if written < len(data):  # the disk became full in the middle
            self._lost += len(data) - written
            self._why = "the disk is full"
