"""Verification, offline: was the record altered, and where first? Needs the database and the public key,
reads everything once in order, and trusts nothing it reads.

Records up to a head that the key signed, and whose root the records' own text gives, are exactly what was
signed. Beyond the last such head, what is stored beside a record (its hash, the columns, the personal
values) says which one is bad.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, TextClause, text

from broker.audit.checkpoint import CheckpointError, VerifierKey
from broker.audit.merkle import Frontier, leaf_hash
from broker.audit.record import VERSION, RecordError, commitment, timestamp

# Plain SQL: the column types of SQLAlchemy would convert, and fail on, cells that were tampered with.
_RECORDS = text("SELECT seq, ts_ms, type, session_id, leaf, body FROM records ORDER BY seq")
_PERSONAL = text("SELECT seq, name, salt, value FROM personal ORDER BY seq, name")
_HEADS = text("SELECT size, note FROM heads ORDER BY size")
_HEAD = text("SELECT note FROM heads WHERE size = :size")
_STREAMED = {"stream_results": True, "yield_per": 500}
_MEMBERS = {"fields", "node", "personal", "seq", "session", "ts", "type", "v"}


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found. `problem` is a sentence about the first thing that is wrong, in printable ASCII."""

    ok: bool
    records: int
    """How many records were read before the end or the first bad one."""
    proven: int
    """Records 1 to this one are exactly what the key signed."""
    redacted: int
    """Personal values of these records that were deleted; that is no problem."""
    first_bad_seq: int | None = None
    """The first record known to be altered, missing or not vouched for. Those between `proven` and it look
    sound, but no head proves them any more. None when every record is proven and something else is
    damaged."""
    problem: str | None = None


class _Head(NamedTuple):
    size: int
    root: bytes | None
    """None when the stored note is not a signed head of this size."""
    agreed: int | None = None
    """Of an external head: the size of the last external one before it that the database has too."""


class _BadRecordError(Exception):
    def __init__(self, seq: int, sentence: str) -> None:
        super().__init__(sentence)
        self.seq = seq


def verify(connection: Connection, key: VerifierKey, external_heads: Iterable[str] = ()) -> Verification:
    """Verify everything. `connection` comes from `read_only_engine`; `external_heads` are notes that left
    the host."""
    return _Verifier(connection, key).run(external_heads)


class _Verifier:
    def __init__(self, connection: Connection, key: VerifierKey) -> None:
        self._connection = connection
        self._key = key
        self._records = 0
        self._proven = 0
        self._redacted = 0
        self._damaged_head: str | None = None
        self._disputed: _Head | None = None
        """The first head that the records before it do not have the root of."""
        self._frontier = Frontier()
        self._leaves: list[bytes] = []
        self._stray: tuple[int | None, str] | None = None
        """What is there beside the record: a number, where it has one, and a sentence."""

    def run(self, external_heads: Iterable[str]) -> Verification:
        heads = heapq.merge(
            self._stored_heads(), self._foreign_heads(external_heads), key=lambda head: head.size
        )
        head = next(heads, None)
        try:
            for row in self._sound_rows():
                self._records = row.seq
                while head is not None and head.size <= row.seq:
                    self._meet(head)
                    head = next(heads, None)
        except _BadRecordError as bad:
            if self._disputed is None or bad.seq <= self._disputed.size:
                return self._bad(bad.seq, str(bad))
        if self._disputed is not None:
            first, size = self._proven + 1, self._disputed.size
            sentence = f"records {first} to {size} are not those that the signed head of {size} records"
            return self._bad(first, f"{sentence} vouches for")
        vouched = 0
        while head is not None:
            if head.root is None:
                self._note_damage(head)
            else:
                vouched = head.size
            head = next(heads, None)
        return self._conclude(vouched)

    def _conclude(self, vouched: int) -> Verification:
        """Every stored record is sound in itself; `vouched` is the size of the largest head beyond them, or
        0."""
        count, unproven = self._records, self._proven + 1
        if vouched:
            sentence = f"records {count + 1} to {vouched} are missing: a signed head vouches for them"
            return self._bad(count + 1, sentence)
        if unproven <= count:
            why = f" ({self._damaged_head})" if self._damaged_head else ""
            return self._bad(unproven, f"no signed head vouches for records {unproven} to {count}{why}")
        if self._stray is not None:
            return self._bad(*self._stray)
        if self._damaged_head:
            return self._bad(None, f"every record is proven, but {self._damaged_head}")
        return Verification(True, count, self._proven, self._redacted)

    def _bad(self, seq: int | None, sentence: str) -> Verification:
        if seq is not None and seq > self._proven + 1:
            sentence += f"; records {self._proven + 1} to {seq - 1} before it are not proven by a head"
        return Verification(False, self._records, self._proven, self._redacted, seq, sentence)

    def _stored_heads(self) -> Iterator[_Head]:
        for row in self._connection.execute(_HEADS, execution_options=_STREAMED):
            head = self._open(row.note)
            if head is not None and head.size == row.size:
                yield head
            else:
                yield _Head(row.size if isinstance(row.size, int) else 0, None)

    def _foreign_heads(self, notes: Iterable[str]) -> list[_Head]:
        """Those of the external heads that the database does not have, by size. While nothing was cut off or
        rewritten there are hardly any, so that a long file costs no memory."""
        foreign = []
        agreed = 0
        for note in notes:
            head = self._open(note)
            if head is None:
                self._damaged_head = self._damaged_head or "an external head is not signed by this key"
            elif self._connection.execute(_HEAD, {"size": head.size}).scalar() == note:
                agreed = head.size
            else:
                foreign.append(head._replace(agreed=agreed))
        return sorted(foreign, key=lambda head: head.size)

    def _open(self, note: object) -> _Head | None:
        try:
            head = self._key.open(note if isinstance(note, str) else "")
        except CheckpointError:
            return None
        return _Head(head.size, head.root)

    def _meet(self, head: _Head) -> None:
        """Compare the tree of the records so far with a head of that size."""
        if head.root is None or head.size < self._records:
            self._note_damage(head)
            return
        self._frontier = self._frontier.extended(self._leaves)
        self._leaves.clear()
        agrees = self._frontier.root == head.root
        if agrees and self._disputed is None:
            self._proven = head.size
        elif agrees or head.size == self._proven:
            # The key signed both: what a head vouches for, and what stands in its place.
            disputed = self._disputed or head
            self._proven = self._proven if disputed.agreed is None else disputed.agreed
            signed = f"the head of {disputed.size} records is signed, and other records in their place are"
            raise _BadRecordError(self._proven + 1, f"{signed}: the log was rolled back and written anew")
        else:
            self._disputed = self._disputed or head

    def _note_damage(self, head: _Head) -> None:
        self._damaged_head = (
            self._damaged_head or f"the stored head of {head.size} records is not signed by this key"
        )

    def _sound_rows(self) -> Iterator[Row[Any]]:
        """The records in order, each checked against what is stored beside it; raises _BadRecordError at the
        first bad one."""
        kept = self._numbered(_PERSONAL, "personal value")
        value = next(kept, None)
        expected = 1
        for row in self._numbered(_RECORDS, "record"):
            if row.seq < expected:
                raise _BadRecordError(row.seq, f"there is a record {row.seq} outside of 1, 2, 3 and so on")
            if row.seq > expected:
                raise _BadRecordError(expected, f"record {expected} is missing")
            values = []
            while value is not None and value.seq <= row.seq:
                values.append(value)
                value = next(kept, None)
            self._check(row, values)
            self._leaves.append(row.leaf)
            expected += 1
            yield row
        if value is not None:
            self._stray = self._stray or (value.seq, _stray_sentence(value))

    def _numbered(self, statement: TextClause, what: str) -> Iterator[Row[Any]]:
        for row in self._connection.execute(statement, execution_options=_STREAMED):
            if isinstance(row.seq, int):
                yield row
            else:
                self._stray = self._stray or (None, f"there is a {what} whose number is no integer")

    def _check(self, row: Row[Any], values: list[Row[Any]]) -> None:
        if not isinstance(row.body, bytes) or leaf_hash(row.body) != row.leaf:
            raise _BadRecordError(
                row.seq, f"record {row.seq} was changed: its text does not have the hash beside it"
            )
        committed = _read_body(row)
        for value in values:
            if value.seq != row.seq:
                raise _BadRecordError(value.seq, _stray_sentence(value))
            if not _is_committed(value, committed):
                name = ascii(value.name)
                raise _BadRecordError(
                    row.seq, f"the personal value {name} of record {row.seq} is not the recorded one"
                )
        self._redacted += len(committed) - len({value.name for value in values})


def _stray_sentence(value: Row[Any]) -> str:
    return f"there is a personal value for record {value.seq}, which does not exist"


def _read_body(row: Row[Any]) -> dict[str, Any]:
    """The commitments in a body, once the body has been found to say what the columns say."""
    try:
        body = json.loads(row.body)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict) or body.keys() != _MEMBERS or not isinstance(body["personal"], dict):
        raise _BadRecordError(row.seq, f"record {row.seq} is not a record of version {VERSION}")
    try:
        time_text = timestamp(row.ts_ms)
    except (TypeError, ValueError, OverflowError, OSError):
        time_text = ""
    said = (body["v"], body["seq"], body["type"], body["session"], body["ts"])
    if said != (VERSION, row.seq, row.type, row.session_id, time_text):
        raise _BadRecordError(row.seq, f"the columns of record {row.seq} do not say what its text says")
    return body["personal"]


def _is_committed(value: Row[Any], committed: dict[str, Any]) -> bool:
    if not isinstance(value.salt, bytes) or not isinstance(value.value, str):
        return False
    try:
        return committed.get(value.name) == commitment(value.salt, value.value).hex()
    except RecordError:
        return False
