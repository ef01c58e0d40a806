"""Emergency files: what `turngate emergency` finds and leaves in a data directory, whether or not an edge
runs on it."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field

from broker.policy.stop import Scope
from broker.shell import latches
from broker.shell.latches import EMERGENCY_DIRECTORY, MAX_NOTE_BYTES, STATUS, Latches, latch_name, put_file

FOLDER = Path(EMERGENCY_DIRECTORY)
"""Relative: everything here is done from within the data directory (`at_the_edges`)."""
PATIENCE_SECONDS = 5.0
"""How long a running edge has for taking a file over; it looks 50 times a second."""
POLL_SECONDS = 0.02
MAX_STATUS_BYTES = 1 << 20
Told = TypeVar("Told")
Count = Annotated[int, Field(ge=0, le=1 << 62)]
LAST_MILLISECOND = 253_402_300_799_000
"""Of the year 9999, where `datetime` ends."""
Milliseconds = Annotated[int, Field(ge=0, le=LAST_MILLISECOND)]


class Said(BaseModel):
    """What the edge says, as far as it is shown."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)


class Counts(Said):
    """How much a stop ended, or would end."""

    calls: Count
    shares: Count
    connections: Count
    visits: Count

    def __str__(self) -> str:
        return (
            f"calls {self.calls}, shares {self.shares}, connections {self.connections}, visits {self.visits}"
        )


class SaidLift(Said):
    login: str
    until_ms: Milliseconds


class SaidStop(Said):
    scope: str
    since_ms: Milliseconds
    how: str
    by: str | None
    told_by: str | None
    reason: str | None
    known: bool
    settled: bool
    """Whether everything that the stop covers has ended by now."""
    ended: Counts | None
    """None where the stop is older than the edge's start, which found nothing to end."""
    packets: Count | None
    last_packet_ms: Milliseconds | None
    lift: SaidLift | None


class SaidDrill(Said):
    scope: str
    at_ms: Milliseconds
    would_end: Counts


class SaidAll(Said):
    """`status.json`."""

    stops: tuple[SaidStop, ...]
    drill: SaidDrill | None

    def about(self, scope: Scope) -> SaidStop | None:
        """The stop of this scope."""
        return next((stop for stop in self.stops if stop.scope == str(scope)), None)


@contextmanager
def at_the_edges(directory: Path) -> Iterator[None]:
    """Work in this data directory and, if we are root, as the user whose it is. Raises OSError.

    The edge has to be able to read and to remove what is put there, and whoever has taken the edge over must
    not have root follow a link of theirs. The user may have no way to the directory from outside: systemd
    keeps those of dynamic users in a place that only root can enter.
    """
    before, group = os.open(".", os.O_PATH), os.getegid()
    try:
        os.chdir(directory)
        owner = Path().stat()
        as_root = os.geteuid() == 0
        if as_root:
            os.setegid(owner.st_gid)
            os.seteuid(owner.st_uid)
        try:
            yield
        finally:
            if as_root:
                os.seteuid(0)
                os.setegid(group)
    finally:
        os.fchdir(before)
        os.close(before)


class EdgeState(StrEnum):
    """As the sentence goes: `... on this directory`."""

    RUNS = "an edge runs"
    DOWN = "no edge runs"
    NEVER = "NO EDGE HAS EVER RUN"


def edge_state() -> EdgeState:
    """Whether a process holds the data directory (`broker.shell.data_lock`). Raises OSError.

    Our own lock, of a moment, is a shared one: two commands at a time do not take each other for an edge.
    """
    try:
        descriptor = os.open("lock", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return EdgeState.NEVER
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return EdgeState.RUNS
    finally:
        os.close(descriptor)
    return EdgeState.DOWN


def read_said() -> SaidAll:
    """What the edge last said. Raises FileNotFoundError where it never did, and OSError or ValueError for
    what cannot be read; never waits for a writer."""
    descriptor = os.open(FOLDER / STATUS, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        return SaidAll.model_validate_json(file.read(MAX_STATUS_BYTES))


def said() -> SaidAll | None:
    """The same, or None."""
    try:
        return read_said()
    except (OSError, ValueError):
        return None


def wait_until_told(told: Callable[[SaidAll], Told | None]) -> Told | None:
    """What the running edge says of it; None if it has not within `PATIENCE_SECONDS`."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        now_said = said()
        found = told(now_said) if now_said is not None else None
        if found is not None or time.monotonic() > deadline:
            return found
        time.sleep(POLL_SECONDS)


def latch(scope: Scope, by: str, reason: str) -> bool:
    """Put the stop's file there, unless there is one; whether this did. Raises OSError."""
    if _is_latched(scope):
        return False
    put_file(FOLDER, latch_name(scope), _note(by, reason))
    return True


def _is_latched(scope: Scope) -> bool:
    try:
        return scope in Latches(FOLDER).found()
    except OSError:
        return False  # a folder that can be written and not listed


def _note(by: str, reason: str) -> str:
    """As much of the reason as the edge reads, in ASCII: the locale may know no more."""
    by, reason = (text.encode(errors="replace").decode() for text in (by[:100], reason[:1000]))
    while len(note := json.dumps({"by": by, "reason": reason or None})) > MAX_NOTE_BYTES:
        reason = reason[:-50]
    return note


def settle(scope: Scope) -> None:
    """Returns when a power cut takes the stop's file no more. Raises OSError."""
    latches.settle(FOLDER, [name for one, name in Latches(FOLDER).found().items() if one == scope])


@contextmanager
def drill_asked(scope: Scope) -> Iterator[None]:
    """Ask the edge for a rehearsal; what it has not taken by the end is taken back. Raises OSError."""
    name = f"drill-{quote(str(scope), safe=':')}"
    put_file(FOLDER, name, "")
    try:
        yield
    finally:
        (FOLDER / name).unlink(missing_ok=True)


def moment(milliseconds: int) -> str:
    """As the record writes it."""
    time_ = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return time_.isoformat(timespec="milliseconds").replace("+00:00", "Z")
