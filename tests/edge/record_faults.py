"""Faults of the record, injected where the database commits."""

from __future__ import annotations

import resource
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import OperationalError

from tests.edge.edge_bench import Bench


def writers_engine(bench: Bench) -> Engine:
    """The engine whose one connection is the writer's."""
    return bench.edge.facts._store._engine


@contextmanager
def failing_commits(bench: Bench, *, fail: bool = True) -> Iterator[None]:
    """Every commit fails as that of a broken disk does (or, for comparison, none)."""

    def broken(_: Connection) -> None:
        raise OperationalError("COMMIT", {}, sqlite3.OperationalError("disk I/O error"))

    engine = writers_engine(bench)
    if fail:
        event.listen(engine, "commit", broken)
    try:
        yield
    finally:
        if fail:
            event.remove(engine, "commit", broken)


@contextmanager
def held_commits(bench: Bench) -> Iterator[threading.Event]:
    """Every commit waits, in the writer's thread, until the event is set, at the latest by the body's end."""
    release = threading.Event()

    def wait(_: Connection) -> None:
        assert release.wait(30)

    engine = writers_engine(bench)
    event.listen(engine, "commit", wait)
    try:
        yield release
    finally:
        release.set()
        event.remove(engine, "commit", wait)


@contextmanager
def full_disk(bench: Bench) -> Iterator[None]:
    """No file may grow any more, as on a disk without a free block; what was preallocated can be used."""
    log = bench.house.database.with_name(bench.house.database.name + "-wal")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def full_database(bench: Bench) -> Iterator[None]:
    """The database may not grow by a single page: what fits into a page that it has is still written."""
    engine = writers_engine(bench)
    with engine.connect() as connection:
        pages = connection.execute(text("PRAGMA page_count")).scalar_one()
        connection.execute(text(f"PRAGMA max_page_count={pages}"))
    try:
        yield
    finally:
        with engine.connect() as connection:
            connection.execute(text("PRAGMA max_page_count=1073741823"))
