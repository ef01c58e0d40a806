"""Disk: whether what has to be kept can be written, fast enough, and by nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from broker.shell.doctor.finding import Finding, ill, look, well

GIB = 1 << 30
MIN_BYTES, MIN_INODES = GIB, 10_000
LOW_PERCENT = 5
SLOW_SYNC_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class RoomFacts:
    """What is left of a file system, for whoever is not root."""

    free_bytes: int
    total_bytes: int
    free_inodes: int
    total_inodes: int
    """0 where there is no such number."""


@dataclass(frozen=True, slots=True)
class FolderFacts:
    """A directory: whose it is, and what it can take."""

    path: Path
    kind: str
    """`directory`, `other` for something else of that name, `missing`."""
    owner: str = ""
    mode: int = 0
    writable: bool = True
    room: RoomFacts | None = None
    sync_seconds: float | None = None
    """How long it took to write a file to the disk; None where that failed or was not tried."""


def judge_data_directory(facts: FolderFacts) -> Iterator[Finding]:
    check = "data directory"
    if facts.kind == "missing":
        yield look(
            check,
            f"{facts.path} is not there yet: the service makes it when it starts.",
            "Nothing before the first start; after it, correct data_directory.",
        )
        return
    if facts.kind == "other":
        yield ill(check, f"{facts.path} is no directory.", "Correct data_directory.")
        return
    if facts.mode & 0o077:
        yield ill(
            check,
            f"Others than {facts.owner} may enter {facts.path} (mode {facts.mode & 0o7777:04o}): messages, "
            "personal data and keys are there.",
            f"chmod 700 {facts.path}",
        )
    elif facts.writable:
        yield well(check, f"{facts.path} is {facts.owner}'s alone, and can be written.")
    if not facts.writable:
        yield ill(
            check,
            f"{facts.path}, which is {facts.owner}'s, cannot be written.",
            "Run this as root or as the service's user; if it says the same then, give the service the "
            "directory (chown) and see whether the file system is read-only.",
        )


def judge_disk(facts: FolderFacts) -> Iterator[Finding]:
    """Room and speed of the file system that a directory is on."""
    check = f"disk of {facts.path}"
    if (room := facts.room) is not None:
        yield _judge_room(check, room)
    if (seconds := facts.sync_seconds) is not None:
        told = f"A file is on the disk after {seconds * 1000:.0f} ms."
        if seconds > SLOW_SYNC_SECONDS:
            change = "Put the record on a faster disk, or see what else writes to this one."
            yield look(f"{check}: speed", f"{told} Everything that opens waits for as long.", change)
        else:
            yield well(f"{check}: speed", told)


def _judge_room(check: str, room: RoomFacts) -> Finding:
    percent = 100 * room.free_bytes / max(1, room.total_bytes)
    found = f"{room.free_bytes / GIB:.1f} GiB are free ({percent:.0f} %)."
    more = "Make room: while the record cannot be written, nothing opens and calls end."
    if room.free_bytes < MIN_BYTES:
        return ill(f"{check}: room", found, more)
    if room.total_inodes and room.free_inodes < MIN_INODES:
        return ill(f"{check}: room", f"{room.free_inodes} more files fit (inodes).", more)
    few_inodes = 100 * room.free_inodes < LOW_PERCENT * room.total_inodes
    if percent < LOW_PERCENT or few_inodes:
        found = f"{room.free_inodes} more files fit (inodes)." if few_inodes else found
        return look(f"{check}: room", found, more)
    return well(f"{check}: room", found)
