"""Journal: a small preallocated file that takes what ended, so that closing never waits for the record (law
5).

The file is mapped into memory, so an entry is in the kernel's hands when `append` returns, full disk or not:
it survives the death of the process, though not a power cut (after which every open session is closed as lost
anyway). An entry stands in the journal until the record has it.

The file is two halves of equal size, each a multiple of 8 bytes. Entries go to one half, the active one. When
the next does not fit there and the record has everything in the other half, that one becomes active: so the
journal fills only when the record is more than half of the file behind. Layout of a half, little-endian: 8
bytes generation; then for each entry a 4-byte length, a 4-byte CRC and the body (JSON). The CRC is CRC-32 of
the body with the low 32 bits of the generation as its starting value: what an earlier generation left behind
is not taken for an entry. A zero length, a wrong CRC or the end of the half ends it.

Each time a half is begun anew it takes the highest generation so far plus one, and nothing else of it needs
to change. The half with the higher generation is the active one (the first, when equal). The other still
counts if its generation is one less; otherwise everything in it had been entered when the active half was
begun.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Annotated, Literal

import structlog
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from auth.personal import Personal
from auth.principal import PartyId
from broker.audit.record import Draft, RecordError
from broker.core.commands import (
    EndEverySignIn,
    EndSignIn,
    EndSignInsOf,
    EndVisit,
    NarrowingWrite,
    RemoveSecurityKey,
    RevokeInvitation,
)

_GENERATION = struct.Struct("<Q")
_ENTRY = struct.Struct("<II")
_END = bytes(_ENTRY.size)
_MIN_FILE_BYTES = 2 * (_GENERATION.size + _ENTRY.size)
_MAX_GENERATION = 2**53
"""Not reached in any life of the product: a higher one is damage."""
_MAX_WALL_MS = 253_402_300_799_999
"""The last millisecond of the year 9999."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the journal: everything of earlier generations, and so many entries of this one."""

    generation: int
    entered: int


@dataclass(frozen=True, slots=True)
class JournalEntry:
    wall_ms: int
    records: tuple[Draft, ...]
    writes: tuple[NarrowingWrite, ...]


@dataclass(slots=True)
class _Half:
    start: int
    generation: int
    end: int
    """Where the next entry goes."""
    written: int = 0
    entered: int = 0
    """How many of them the record has."""

    @property
    def free(self) -> bool:
        return self.entered == self.written


class Journal:
    """Entries wait here in order, until the record has them.

    A file that exists keeps its size until nothing in it is outstanding; then it takes `size_bytes`.
    """

    def __init__(self, path: Path, size_bytes: int) -> None:
        self._path = path
        self._size_bytes = size_bytes
        if not path.exists() or path.stat().st_size < _MIN_FILE_BYTES:
            _create(path, size_bytes, 0)
        self._open()

    def _open(self) -> None:
        self._descriptor = os.open(self._path, os.O_RDWR)
        size_bytes = os.fstat(self._descriptor).st_size
        os.posix_fallocate(self._descriptor, 0, size_bytes)  # a copy that was put back may have holes
        self._map = mmap.mmap(self._descriptor, size_bytes)
        self._half_bytes = size_bytes // 16 * 8
        found = [self._found(0), self._found(self._half_bytes)]
        self._active, self._other = sorted(found, key=lambda half: half.generation, reverse=True)
        if self._active.generation > _MAX_GENERATION:
            self._set_aside(0)
            self._replace(0)
            return
        if self._other.generation != self._active.generation - 1:
            self._other.entered = self._other.written

    def close(self) -> None:
        self._map.close()
        os.close(self._descriptor)

    def left_over(self, entered: Mark) -> tuple[list[JournalEntry], Mark]:
        """Entries of the previous run that the record does not have, given how far it does, and the mark to
        give to `entered` once it has them. They stay in the file until then.

        The mark may be ahead of the file: after a power cut, or when the file is a new one. An entry that
        cannot be read is left out, and the file kept under another name.
        """
        self.entered(entered)
        left: list[JournalEntry] = []
        unreadable = 0
        for half in (self._other, self._active):
            for body, _ in islice(self._bodies(half), half.entered, half.written):
                try:
                    left.append(_decode(body))
                except UnreadableEntryError:
                    unreadable += 1
        if unreadable:
            self._set_aside(unreadable)
        if not left:
            self._begin_again(max(entered.generation, self._active.generation) + 1)
        return left, Mark(self._active.generation, self._active.written)

    def append(self, entry: JournalEntry) -> Mark | None:
        """Keep the entry; None when it does not fit. Overflow rule: it then reaches the record only while the
        store is well, unprotected against the death of the process, and is counted as missed during an
        outage."""
        body = _encode(entry)
        needed = _ENTRY.size + len(body) + _ENTRY.size
        if self._active.end + needed > self._active.start + self._half_bytes:
            if not self._other.free or _GENERATION.size + needed > self._half_bytes:
                return None
            self._active, self._other = self._other, self._active
            self._begin(self._active, self._other.generation + 1)
        half = self._active
        at, end = half.end, half.end + _ENTRY.size + len(body)
        # The length comes last: until then the entry is not there.
        self._map[end : end + _ENTRY.size] = _END
        self._map[at + _ENTRY.size : end] = body
        self._map[at : at + _ENTRY.size] = _ENTRY.pack(len(body), _checksum(body, half.generation))
        half.end = end
        half.written += 1
        return Mark(half.generation, half.written)

    def entered(self, mark: Mark) -> None:
        """The record has everything up to this mark."""
        for half in (self._other, self._active):
            if half.generation < mark.generation:
                half.entered = half.written
            elif half.generation == mark.generation:
                half.entered = max(half.entered, min(mark.entered, half.written))
        outstanding = not (self._active.free and self._other.free)
        if not outstanding and (self._active.written or self._other.written):
            self._begin_again(self._active.generation + 1)

    def _begin_again(self, generation: int) -> None:
        """Nothing is outstanding: use the active half from its start."""
        if len(self._map) != self._size_bytes:
            self._replace(generation)
            return
        self._begin(self._active, generation)
        self._other.written = self._other.entered = 0

    def _replace(self, generation: int) -> None:
        _create(self._path, self._size_bytes, generation)
        self.close()
        self._open()

    def _begin(self, half: _Half, generation: int) -> None:
        header_end = half.start + _GENERATION.size
        self._map[half.start : header_end] = _GENERATION.pack(generation)
        half.generation, half.end = generation, header_end
        half.written = half.entered = 0

    def _found(self, start: int) -> _Half:
        """The half that begins here, as it stands in the file."""
        half = _Half(start, _GENERATION.unpack_from(self._map, start)[0], start + _GENERATION.size)
        for _, end in self._bodies(half):
            half.end = end
            half.written += 1
        return half

    def _bodies(self, half: _Half) -> Iterator[tuple[bytes, int]]:
        """The body of each entry and where it ends, up to the first that is not whole."""
        at, limit = half.start + _GENERATION.size, half.start + self._half_bytes
        while at + _ENTRY.size <= limit:
            length, checksum = _ENTRY.unpack_from(self._map, at)
            end = at + _ENTRY.size + length
            if length == 0 or end > limit:
                return
            body = self._map[at + _ENTRY.size : end]
            if _checksum(body, half.generation) != checksum:
                return
            yield body, end
            at = end

    def _set_aside(self, entries: int) -> None:
        """Keep the whole file under a name that is not taken: its unreadable entries are nowhere else."""
        for number in count(1):
            target = self._path.with_name(f"{self._path.name}.unreadable-{number}")
            try:
                descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            except FileExistsError:
                continue
            with os.fdopen(descriptor, "wb") as file:
                file.write(self._map)
                file.flush()
                os.fsync(descriptor)
            log.critical("journal.unreadable", path=str(target), entries=entries)
            return


def _create(path: Path, size_bytes: int, generation: int) -> None:
    """Put an empty journal in the place of whatever is there, in one step."""
    new = path.with_name(f"{path.name}.new")
    descriptor = os.open(new, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, size_bytes)
        os.pwrite(descriptor, _GENERATION.pack(generation), 0)
    finally:
        os.close(descriptor)
    new.replace(path)


def _checksum(body: bytes, generation: int) -> int:
    return zlib.crc32(body, generation & 0xFFFFFFFF)


class UnreadableEntryError(ValueError):
    """The body of an entry is not what this version writes."""


_WRITES: dict[str, Callable[[str], NarrowingWrite]] = {
    "EndSignIn": EndSignIn,
    "EndSignInsOf": lambda party: EndSignInsOf(PartyId(party)),
    "EndEverySignIn": lambda _: EndEverySignIn(),
    "RemoveSecurityKey": RemoveSecurityKey,
    "RevokeInvitation": RevokeInvitation,
    "EndVisit": lambda guest: EndVisit(PartyId(guest)),
}


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    type: str
    session: str | None
    fields: dict[str, JsonValue]
    personal: dict[str, str]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    wall_ms: Annotated[int, Field(ge=0, le=_MAX_WALL_MS)]
    records: list[_Record]
    writes: list[
        tuple[
            Literal[
                "EndSignIn",
                "EndSignInsOf",
                "EndEverySignIn",
                "RemoveSecurityKey",
                "RevokeInvitation",
                "EndVisit",
            ],
            str,
        ]
    ]


def _encode(entry: JournalEntry) -> bytes:
    records = [
        {
            "type": draft.type,
            "session": draft.session_id,
            "fields": dict(draft.fields),
            "personal": {name: value.reveal() for name, value in draft.personal.items()},
        }
        for draft in entry.records
    ]
    writes: list[list[str]] = []
    for write in entry.writes:
        match write:
            case EndSignIn(token_digest=key) | RevokeInvitation(invitation_id=key) | EndVisit(guest=key):
                writes.append([type(write).__name__, key])
            case RemoveSecurityKey(credential_id=key):
                writes.append([type(write).__name__, key])
            case EndSignInsOf(party=key):
                writes.append([type(write).__name__, key])
            case EndEverySignIn():
                writes.append([type(write).__name__, ""])
    return json.dumps({"wall_ms": entry.wall_ms, "records": records, "writes": writes}).encode()


def _decode(body: bytes) -> JournalEntry:
    """Raises UnreadableEntryError, and nothing else, for any bytes."""
    try:
        value = _Body.model_validate_json(body)
        records = tuple(
            Draft(
                type=row.type,
                session_id=row.session,
                fields=row.fields,
                personal={name: Personal(text) for name, text in row.personal.items()},
            )
            for row in value.records
        )
    except (ValidationError, RecordError) as error:
        raise UnreadableEntryError("not an entry of this version") from error
    return JournalEntry(value.wall_ms, records, tuple(_WRITES[kind](key) for kind, key in value.writes))
