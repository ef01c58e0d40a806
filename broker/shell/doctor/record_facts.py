"""Looking at the record, its key and its heads, on a read-only connection."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from broker.audit.checkpoint import CheckpointError, SigningKey
from broker.audit.heads_file import last_note
from broker.audit.ledger import DamagedLedgerError, Ledger
from broker.audit.places import NODE
from broker.audit.reading import NoSuchRecordError, read_only_engine
from broker.audit.schema import heads
from broker.shell.doctor.record import HeadsFacts, KeyFacts, LedgerFacts


def load_key(path: Path) -> tuple[SigningKey | None, KeyFacts]:
    """The key itself, to take the record's end up with, and what is told of it. Raises OSError."""
    try:
        key = SigningKey.load(NODE, path)
    except FileNotFoundError:
        return None, KeyFacts(None, is_missing=True)
    except CheckpointError as unusable:
        return None, KeyFacts(None, str(unusable))
    return key, KeyFacts(key.verifier)


def look_at_record(
    database: str, heads_path: Path, key: SigningKey | None, key_facts: KeyFacts
) -> tuple[LedgerFacts, HeadsFacts]:
    """The heads are read first: a head that leaves while this looks is in the database before."""
    is_missing = not heads_path.exists()
    writable = is_missing or os.access(heads_path, os.W_OK)
    try:
        last = None if is_missing else last_note(heads_path)
    except OSError:
        last, writable = None, False
    found = HeadsFacts(str(heads_path), is_missing, writable, last)
    if key is None:
        return LedgerFacts(is_missing=True) if key_facts.is_missing else LedgerFacts(), found
    size = _size_of(last, key)
    ledger = Ledger(NODE, key, secrets.token_bytes)
    try:
        with read_only_engine(database).connect() as connection:
            ledger.load(connection)
            of_that_size = connection.execute(select(heads.c.note).where(heads.c.size == size)).scalar()
    except NoSuchRecordError:
        return LedgerFacts(is_missing=True), found
    except DamagedLedgerError as damaged:
        return LedgerFacts(problem=str(damaged)), found
    except SQLAlchemyError as unreadable:
        # Its first line names the fault; the rest is the statement.
        return LedgerFacts(problem=str(unreadable).partition("\n")[0]), found
    return LedgerFacts(ledger.size), HeadsFacts(
        str(heads_path), is_missing, writable, last, str(of_that_size) if of_that_size else None
    )


def _size_of(note: str | None, key: SigningKey) -> int:
    try:
        return key.verifier.open(note or "").size
    except CheckpointError:
        return -1
