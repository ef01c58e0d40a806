"""Journal: a small preallocated file that takes what ended, so that closing never waits for the record (law
5).

The file is mapped into memory, so an entry is in the kernel's hands when `append` returns, full disk or not:
it survives the death of the process, though not a power cut (after which every open session is closed as lost
anyway). An entry stands in the journal until the record has it. Layout, little-endian: 8 bytes generation;
then for each entry a 4-byte length, a 4-byte CRC-32 of the body and the body (JSON); a zero length ends the
journal.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from auth.personal import Personal
from auth.principal import PartyId
from broker.audit.record import Draft
from broker.core.commands import EndSignIn, EndVisit, NarrowingWrite, RevokeInvitation

_HEADER = struct.Struct("<Q")
_ENTRY = struct.Struct("<II")


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the journal: the generation, and how many of its entries are meant."""

    generation: int
    entered: int


@dataclass(frozen=True, slots=True)
class JournalEntry:
    wall_ms: int
    records: tuple[Draft, ...]
    writes: tuple[NarrowingWrite, ...]


class Journal:
    """Entries wait here in order. When all have been entered the file is used from the start again."""

    def __init__(self, path: Path, size_bytes: int) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.posix_fallocate(self._descriptor, 0, size_bytes)
        self._map = mmap.mmap(self._descriptor, size_bytes)
        self._generation: int = _HEADER.unpack_from(self._map, 0)[0]
        self._written = 0
        self._end = _HEADER.size

    def close(self) -> None:
        self._map.close()
        os.close(self._descriptor)

    def left_over(self, entered: Mark) -> tuple[list[JournalEntry], Mark]:
        """Entries of the previous run that the record does not have, given how far it does, and the mark to
        give to `entered` once it has them. They stay in the file until then."""
        entries: list[JournalEntry] = []
        for entry, end in self._entries():
            entries.append(entry)
            self._end = end
        self._written = len(entries)
        done = entered.entered if entered.generation == self._generation else 0
        return entries[done:], Mark(self._generation, self._written)

    def append(self, entry: JournalEntry) -> Mark | None:
        """Keep the entry; None when it does not fit. Overflow rule: it then reaches the record only while the
        store is well, unprotected against the death of the process, and is counted as missed during an
        outage."""
        body = _encode(entry)
        end = self._end + _ENTRY.size + len(body)
        if end + _ENTRY.size > len(self._map):
            return None
        _ENTRY.pack_into(self._map, end, 0, 0)
        self._map[self._end + _ENTRY.size : end] = body
        _ENTRY.pack_into(self._map, self._end, len(body), zlib.crc32(body))
        self._end = end
        self._written += 1
        return Mark(self._generation, self._written)

    def entered(self, mark: Mark) -> None:
        """The record has everything up to this mark."""
        if mark.generation == self._generation and mark.entered == self._written:
            self._rewind()

    def _rewind(self) -> None:
        self._generation += 1
        _ENTRY.pack_into(self._map, _HEADER.size, 0, 0)
        _HEADER.pack_into(self._map, 0, self._generation)
        self._written = 0
        self._end = _HEADER.size

    def _entries(self) -> Iterator[tuple[JournalEntry, int]]:
        """Each entry and where it ends, up to the first that is not whole."""
        at = _HEADER.size
        while at + _ENTRY.size <= len(self._map):
            length, checksum = _ENTRY.unpack_from(self._map, at)
            end = at + _ENTRY.size + length
            body = self._map[at + _ENTRY.size : end]
            if length == 0 or len(body) != length or zlib.crc32(body) != checksum:
                return
            yield _decode(body), end
            at = end


_WRITES: dict[str, Callable[[str], NarrowingWrite]] = {
    "EndSignIn": EndSignIn,
    "RevokeInvitation": RevokeInvitation,
    "EndVisit": lambda guest: EndVisit(PartyId(guest)),
}


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
    return json.dumps({"wall_ms": entry.wall_ms, "records": records, "writes": writes}).encode()


def _decode(body: bytes) -> JournalEntry:
    value = json.loads(body)
    records = tuple(
        Draft(
            type=row["type"],
            session_id=row["session"],
            fields=row["fields"],
            personal={name: Personal(text) for name, text in row["personal"].items()},
        )
        for row in value["records"]
    )
    writes: list[NarrowingWrite] = []
    for kind, key in value["writes"]:
        writes.append(_WRITES[kind](key))
    return JournalEntry(value["wall_ms"], records, tuple(writes))
