"""Read-only connections to the record, for processes beside the edge: each sees one moment of a living
database."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry, NullPool


class NoSuchRecordError(Exception):
    """There is no database at this address."""


def read_only_engine(database: str) -> Engine:
    """An engine for the path or the URL of an SQLite file. Everything read on one of its connections, until
    its transaction ends, is of one moment. Raises NoSuchRecordError; a file that is no database makes the
    first statement raise SQLAlchemy's errors."""
    try:
        url = make_url(database if "://" in database else f"sqlite:///{database}")
    except ArgumentError:
        raise NoSuchRecordError("not a database URL") from None
    if url.get_backend_name() != "sqlite":
        raise NoSuchRecordError("only SQLite databases hold a record")
    path = Path(url.database or "")
    if not path.is_file():
        raise NoSuchRecordError(f"no database at {path}")
    address = f"{path.resolve().as_uri()}?mode=ro"
    engine = create_engine(
        "sqlite://", creator=lambda: sqlite3.connect(address, uri=True), poolclass=NullPool
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return engine


def _prepare_sqlite(driver: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    # No implicit transactions: BEGIN above makes all reads see the same moment.
    driver.isolation_level = None
    # A cell that is not UTF-8 was tampered with: it must come out as a wrong value, not as an error of the
    # driver.
    driver.text_factory = lambda cell: cell.decode("utf-8", "surrogateescape")
