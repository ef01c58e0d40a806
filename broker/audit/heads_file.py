"""The file of signed heads that is meant to leave the host: one note a line, as a JSON string.

Whoever cuts records and their heads off the end of the database is found out by a head that already left.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

EMIT_INTERVAL_SECONDS = 1.0
TAIL_BYTES = 16_384
"""A note and what may be torn behind it."""


class HeadsFile:
    """Appends the newest head, at most once a second and at close. Heads in between are left out: a later
    head vouches for everything before it. Each method may raise OSError; a head that could not be written
    waits for the next call."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        self._waiting: str | None = None
        self._next_at_monotonic_seconds = float("-inf")

    def offer(self, note: str, monotonic_seconds: float) -> None:
        """Take a newer head; it is written now if the last one was a second ago, else it waits."""
        self._waiting = note
        self.catch_up(monotonic_seconds)

    def catch_up(self, monotonic_seconds: float) -> None:
        """Write the head that waits, if it is due. To be called about once a second."""
        if self._waiting is not None and monotonic_seconds >= self._next_at_monotonic_seconds:
            self._write(self._waiting)
            self._waiting = None
            self._next_at_monotonic_seconds = monotonic_seconds + EMIT_INTERVAL_SECONDS

    def close(self) -> None:
        """Write the head that waits, and close the file. Closing again does nothing."""
        if self._descriptor < 0:
            return
        try:
            if self._waiting is not None:
                self._write(self._waiting)
        finally:
            os.close(self._descriptor)
            self._descriptor = -1

    def _write(self, note: str) -> None:
        # One write call on a descriptor in append mode: a line is torn only by a full disk or a power cut.
        self._end_torn_line()
        line = json.dumps(note, ensure_ascii=False).encode() + b"\n"
        if os.write(self._descriptor, line) != len(line):
            raise OSError("the disk of the heads file is full")
        os.fsync(self._descriptor)

    def _end_torn_line(self) -> None:
        size = os.fstat(self._descriptor).st_size
        if size and os.pread(self._descriptor, 1, size - 1) != b"\n":
            os.write(self._descriptor, b"\n")


def read_heads(path: Path) -> Iterator[str]:
    """The notes in a file of heads, in its order; lines that are no JSON string (torn ones) are left out.

    The notes are whatever the file says: the verification opens each with the public key."""
    with path.open("rb") as file:
        for line in file:
            note = _note_in(line)
            if note is not None:
                yield note


def last_note(path: Path) -> str | None:
    """The last note in a file of heads, however long the file is; None where its end has none."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - TAIL_BYTES))
        lines = file.read(TAIL_BYTES).splitlines()
    notes = [note for line in lines if (note := _note_in(line)) is not None]
    return notes[-1] if notes else None


def _note_in(line: bytes) -> str | None:
    try:
        note = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return note if isinstance(note, str) else None
