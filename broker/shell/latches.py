"""Latches: emergency stops as files of one directory, so that pressing the button needs neither the directory
of people, nor the database, nor room on the disk, nor a running edge.

A file whose name begins with `stop` is a stop: `stop-zone:finance` that of the zone, and every other name,
`stop` and `stop.txt` included, that of everything. What the file holds is a note, `{"by": "...", "reason":
"..."}` or nothing. It stays until the stop is lifted. A file `drill-SCOPE` asks for a rehearsal and is taken
away. `status.json` is what the edge last said of all this.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated
from urllib.parse import quote, unquote

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from auth.personal import Personal
from broker.core.events import DrillFound, LatchFound, LatchMissing
from broker.policy.stop import ALL, Scope, ScopeError, Stop, parse_scope
from broker.shell.driver import Driver

LOOK_SECONDS = 0.02
"""How often the directory is looked at: a stop by file waits at most so long."""
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
    except (ScopeError, UnicodeDecodeError):
        return ALL


def note_of(content: bytes) -> Note:
    """What the bytes of a latch say; those that say nothing are an empty note."""
    try:
        return Note.model_validate_json(content)
    except ValidationError:
        return Note()


class Latches:
    """The files. Each call touches the disk for a moment; none waits until something is durable there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._status: str | None = ""
        """What was told last; None where that could not be written."""

    def found(self) -> dict[Scope, str]:
        """The scopes that are latched, each with the name of a file that says so. Raises OSError where that
        cannot be told."""
        names = self._names()
        return {scope: name for name in names if (scope := scope_of(name)) is not None}

    def on_disk(self) -> tuple[LatchFound, ...]:
        """What is latched at the start, and the directory, so that anybody can put a latch there from then
        on. Raises OSError: an edge that cannot tell does not start."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        return tuple(self.read(scope, name) for scope, name in self.found().items())

    def drills(self) -> list[Scope]:
        """The rehearsals that were asked for, each once."""
        asked = []
        for name in self._names():
            if not name.startswith(_DRILL):
                continue
            try:
                (self._folder / name).unlink()
                asked.append(parse_scope(unquote(name.removeprefix(_DRILL), errors="strict")))
            except (OSError, ScopeError, UnicodeDecodeError):
                log.warning("emergency.drill_unreadable", name=ascii(name[:80]))
        return asked

    def _names(self) -> list[str]:
        try:
            return sorted(path.name for path in self._folder.iterdir())
        except FileNotFoundError:
            return []

    def read(self, scope: Scope, name: str) -> LatchFound:
        """What the file says beside its name; what cannot be read says nothing."""
        try:
            with (self._folder / name).open("rb") as file:
                note = note_of(file.read(MAX_NOTE_BYTES))
        except OSError:
            note = Note()
        return LatchFound(scope, _personal(note.by), _personal(note.reason))

    def put(self, stop: Stop) -> bool:
        """Latch a stop, unless it is; False when that is impossible, which is said loudly."""
        told = {"by": stop.by or (stop.told_by and stop.told_by.reveal())}
        told |= {"reason": stop.reason and stop.reason.reveal()}
        try:
            if stop.scope not in self.found():
                put_file(self._folder, latch_name(stop.scope), json.dumps(told))
        except OSError as error:
            log.critical("emergency.not_latched", scope=stop.scope.kind.value, error=error.strerror)
            return False
        # The stop does not wait for the disk: whoever needs that waits for the thread.
        threading.Thread(target=_settle, args=(self._folder,), name="latch-settle").start()
        return True

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

    def tell(self, status: str) -> None:
        """What `turngate emergency status` shows, if it is another than before."""
        if status == self._status:
            return
        try:
            _replace(self._folder, STATUS, status)
        except OSError as error:
            if self._status is not None:
                log.warning("emergency.status_unwritten", error=error.strerror)
            self._status = None
        else:
            self._status = status


def _personal(text: str | None) -> Personal | None:
    return None if text is None else Personal(text)


def put_file(folder: Path, name: str, text: str) -> None:
    """Whole or, where the disk has no room for its text, empty. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        _replace(folder, name, text)
    except OSError:
        os.close(os.open(folder / name, os.O_WRONLY | os.O_CREAT, 0o600))


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


def _settle(folder: Path) -> None:
    try:
        for path in (*_regular(folder), folder):
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
    except OSError as error:
        log.critical("emergency.latch_not_durable", error=error.strerror)


def _regular(folder: Path) -> Iterator[Path]:
    return (path for path in folder.iterdir() if path.name.lower().startswith(_STOP))


async def watch_latches(latches: Latches, driver: Driver) -> None:
    """Runs for ever: what appears and disappears there, as events."""
    readable = True
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        try:
            look(latches, driver)
            readable = True
        except OSError as error:
            if readable:
                log.critical("emergency.latches_unreadable", error=error.strerror)
            readable = False


def look(latches: Latches, driver: Driver) -> None:
    """Once. Raises OSError."""
    found = latches.found()
    for scope, name in found.items():
        if scope not in driver.stops:
            driver.submit(latches.read(scope, name))
    for scope in [scope for scope in driver.stops if scope not in found]:
        driver.submit(LatchMissing(scope))
    for scope in latches.drills():
        driver.submit(DrillFound(scope))
    latches.tell(driver.emergency_status())
