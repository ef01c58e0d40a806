"""Latches: emergency stops as files of one directory, so that pressing the button needs neither the directory
of people, nor the database, nor room on the disk, nor a running edge.

A file whose name begins with `stop` is a stop: `stop-zone:finance` that of the zone, and every other name,
`stop` and `stop.txt` included, that of everything. What the file holds is a note, `{"by": "...", "reason":
"..."}` or nothing. It stays until the stop is lifted. A file `drill-SCOPE` asks for a rehearsal and is taken
away. `status.json` is what the edge last said of all this.
"""

from __future__ import annotations

import json
import os
import stat
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated
from urllib.parse import quote, unquote

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from auth.personal import Personal
from broker.core.events import LatchFound
from broker.policy.stop import ALL, Scope, ScopeError, Stop, parse_scope

PATIENCE_SECONDS = 0.05
"""What a stop waits for its file: a disk that takes longer finishes behind it."""
MAX_NOTE_BYTES = 4096
EMERGENCY_DIRECTORY = "emergency"
"""In the data directory."""
STATUS = "status.json"
_STOP, _DRILL = "stop", "drill-"

log = structlog.get_logger(__name__)


class Note(BaseModel):
    """What a latch says of itself."""

    model_config = ConfigDict(extra="ignore", strict=True)
    by: Annotated[str, Field(max_length=256)] | None = None
    reason: Annotated[str, Field(max_length=1000)] | None = None


def latch_name(scope: Scope) -> str:
    """The name of a scope's file."""
    return f"{_STOP}-{quote(str(scope), safe=':')}"


def scope_of(name: str) -> Scope | None:
    """What a file of this name stops; None for one that is no latch."""
    if not name.lower().startswith(_STOP):
        return None
    try:
        return parse_scope(unquote(name.removeprefix(f"{_STOP}-"), errors="strict"))
    except (ScopeError, UnicodeError):
        return ALL


def note_of(content: bytes) -> Note:
    """What the bytes of a latch say; those that say nothing are an empty note."""
    try:
        return Note.model_validate_json(content)
    except ValidationError:
        return Note()


class Latches:
    """The files. `put` and `remove` are the event loop's; everything else may wait for the disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.written: set[Scope] = set()
        """What was written and has not been seen there yet."""
        self._told: set[str] = set()
        """What was complained of, once."""

    def on_disk(self) -> tuple[LatchFound, ...]:
        """What is latched at the start, and the directory, so that anybody can put a latch there from then
        on. Raises OSError: an edge that cannot tell does not start."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        return tuple(self.read(scope, name) for scope, name in self.found().items())

    def found(self) -> dict[Scope, str]:
        """The scopes that are latched, each with the name of a file that says so. Raises OSError where that
        cannot be told."""
        names = self._names()
        return {scope: name for name in names if (scope := scope_of(name)) is not None}

    def drills(self) -> list[Scope]:
        """The rehearsals that were asked for; what asked is taken away."""
        asked = []
        for name in self._names():
            if not name.startswith(_DRILL) or name in self._told:
                continue
            try:
                (self._folder / name).unlink()
                asked.append(parse_scope(unquote(name.removeprefix(_DRILL), errors="strict")))
            except (OSError, ScopeError, UnicodeError) as error:
                self._complain(name)
                log.warning("emergency.drill_unreadable", why=type(error).__name__)
        return asked

    def _complain(self, what: str) -> None:
        """Once of each; a directory full of nonsense takes no more memory than that."""
        if len(self._told) < 1000:
            self._told.add(what)

    def _names(self) -> list[str]:
        try:
            return sorted(path.name for path in self._folder.iterdir())
        except FileNotFoundError:
            return []

    def read(self, scope: Scope, name: str) -> LatchFound:
        """What the file says beside its name; what cannot be read, or is no file, says nothing."""
        note = Note()
        try:
            descriptor = os.open(self._folder / name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb") as file:
                if stat.S_ISREG(os.fstat(descriptor).st_mode):
                    note = note_of(file.read(MAX_NOTE_BYTES))
        except OSError:
            pass
        return LatchFound(scope, _personal(note.by), _personal(note.reason))

    def put(self, stop: Stop) -> bool:
        """Latch a stop, unless it is; False when that is impossible, which is said loudly. Waits for the disk
        for `PATIENCE_SECONDS`: what takes longer is done all the same."""
        done: list[bool] = []
        writing = threading.Thread(target=lambda: done.append(self._put(stop)), name="latch", daemon=True)
        writing.start()
        writing.join(PATIENCE_SECONDS)
        return done != [False]

    def _put(self, stop: Stop) -> bool:
        told = {"by": stop.by or (stop.told_by and stop.told_by.reveal())}
        told |= {"reason": stop.reason and stop.reason.reveal()}
        try:
            if stop.scope not in self.found():
                put_file(self._folder, latch_name(stop.scope), json.dumps(told))
        except OSError as error:
            log.critical("emergency.not_latched", scope=stop.scope.kind.value, error=error.strerror)
            return False
        self.written.add(stop.scope)
        threading.Thread(target=self._settle, name="latch-settle", daemon=True).start()
        return True

    def _settle(self) -> None:
        """What was written outlives a power cut."""
        try:
            settle(self._folder, [name for name in self._names() if scope_of(name) is not None])
        except OSError as error:
            log.critical("emergency.latch_not_durable", error=error.strerror)

    def remove(self, scope: Scope) -> bool:
        """Take every file away that latches this scope; whether none is left."""
        try:
            for name in self._names():
                if scope_of(name) == scope:
                    (self._folder / name).unlink()
        except OSError as error:
            log.critical("emergency.not_lifted", scope=scope.kind.value, error=error.strerror)
            return False
        return True

    def tell(self, status: str) -> bool:
        """Put down what `turngate emergency status` shows; whether that was possible."""
        try:
            _replace(self._folder, STATUS, status)
        except OSError as error:
            if STATUS not in self._told:
                self._complain(STATUS)
                log.warning("emergency.status_unwritten", error=error.strerror)
            return False
        self._told.discard(STATUS)
        return True


def _personal(text: str | None) -> Personal | None:
    return None if text is None else Personal(text)


def put_file(folder: Path, name: str, text: str) -> None:
    """Whole or, where the disk has no room for its text, empty. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        _replace(folder, name, text)
    except OSError:
        os.close(os.open(folder / name, os.O_WRONLY | os.O_CREAT, 0o600))


def settle(folder: Path, names: Iterable[str]) -> None:
    """These files outlive a power cut, whatever they are; never waits for a pipe's writer. Raises the first
    OSError, and not before it has done what it could."""
    failed: OSError | None = None
    for path in (*(folder / name for name in names), folder):
        try:
            _sync(path)
        except OSError as error:
            failed = failed or error
    if failed is not None:
        raise failed


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISREG(mode) or stat.S_ISDIR(mode):  # of anything else there is only the name to keep
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _replace(folder: Path, name: str, text: str) -> None:
    new = folder / f".new-{os.getpid()}-{threading.get_ident()}"
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        new.replace(folder / name)
    except OSError:
        new.unlink(missing_ok=True)
        raise
