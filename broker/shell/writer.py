"""Writer: the one thread that commits, as many entries at once as have gathered while the last commit ran.

One queue in, one message out per batch. Entries are written in the order in which they were put. An entry
with a ticket is tried once: its failure is an answer. An entry that is owed is tried again, ahead of
everything that came after it, until the record has it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import structlog
from sqlalchemy.exc import DatabaseError, DataError, IntegrityError, InterfaceError, ProgrammingError

from broker.audit.heads_file import EMIT_INTERVAL_SECONDS, HeadsFile
from broker.core.gate import Receipt
from broker.shell.journal import Mark
from broker.shell.store import Entry, Store

MAX_BATCH_ENTRIES = 512
RETRY_SECONDS = 1.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of some entries: the tickets in the order they were put, and a receipt for each, None if it
    failed."""

    receipts: tuple[tuple[int, Receipt | None], ...]
    entered: Mark | None
    """How far the journal is in the record now, if this batch held entries of it."""
    healthy: bool
    """Whether the store took the batch."""


@dataclass(frozen=True, slots=True)
class _Item:
    ticket: int | None
    """None for what is owed."""
    entry: Entry


class Writer:
    """`settled` is called in the writer's thread with each batch's outcome, in order."""

    def __init__(self, store: Store, heads: HeadsFile, settled: Callable[[Settled], None]) -> None:
        self._store = store
        self._heads = heads
        self._settled = settled
        self._condition = threading.Condition()
        self._queue: deque[_Item] = deque()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_seconds: float) -> bool:
        """Write what waits, then end the thread; False if it was still busy after the timeout."""
        with self._condition:
            self._stopping = True
            self._condition.notify()
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def put(self, ticket: int, entry: Entry) -> None:
        """An entry whose outcome someone waits for. The driver bounds how many there are."""
        self._append(_Item(ticket, entry))

    def owe(self, entry: Entry) -> None:
        """An entry that is written however long it takes. The journal's size bounds them."""
        self._append(_Item(None, entry))

    def _append(self, item: _Item) -> None:
        with self._condition:
            self._queue.append(item)
            self._condition.notify()

    def _run(self) -> None:
        failing = False
        while True:
            batch = self._gather(failing)
            if batch:
                failing = not self._write(batch)
            elif self._stopping:
                return
            # Not under the lock: whoever puts an entry never waits for the heads file's disk.
            self._emit(lambda: self._heads.catch_up(time.monotonic()))

    def _gather(self, failing: bool) -> list[_Item]:
        """The next entries, after a wait while there are none, or while the store is failing. Empty: look
        again."""
        with self._condition:
            if self._stopping and failing and all(item.ticket is None for item in self._queue):
                return []
            if failing and not self._stopping:
                self._condition.wait_for(lambda: self._stopping, RETRY_SECONDS)
            elif not self._queue and not self._stopping:
                self._condition.wait(EMIT_INTERVAL_SECONDS)
            return [self._queue[at] for at in range(min(len(self._queue), MAX_BATCH_ENTRIES))]

    def _write(self, batch: list[_Item]) -> bool:
        """Write the first entries of the queue; whether the store is well."""
        try:
            receipt, head_note = self._store.commit([item.entry for item in batch])
        except (DatabaseError, InterfaceError) as failure:
            defect = isinstance(failure, IntegrityError | DataError | ProgrammingError)
            if defect and (len(batch) > 1 or batch[0].ticket is not None):
                return self._write_singly(batch, failure)
            return self._outage(failure)
        except Exception as failure:  # a defect in one entry must not end the thread that writes all others
            return self._write_singly(batch, failure)
        self._forget(len(batch))
        if head_note is not None:
            self._emit(partial(self._heads.offer, head_note, time.monotonic()))
        marks = [item.entry.mark for item in batch if item.entry.mark is not None]
        self._settled(Settled(_receipts(batch, receipt), marks[-1] if marks else None, True))
        return True

    def _outage(self, failure: Exception) -> bool:
        """The store takes nothing: everyone who waits is told, what is owed stays in order."""
        with self._condition:
            waiting = [item for item in self._queue if item.ticket is not None]
            owed = [item for item in self._queue if item.ticket is None]
            self._queue = deque(owed)
        log.error("record.commit_failed", refused=len(waiting), owed=len(owed), exc_info=failure)
        self._settled(Settled(_receipts(waiting, None), None, False))
        return False

    def _write_singly(self, batch: list[_Item], failure: Exception) -> bool:
        """One entry of the batch is a defect of ours: it alone fails, an owed one for good."""
        log.critical("record.impossible", entries=len(batch), exc_info=failure)
        if len(batch) > 1:
            return all(self._write([item]) for item in batch)  # stops at an outage: the rest is still queued
        self._forget(1)
        self._settled(Settled(_receipts(batch, None), batch[0].entry.mark, True))
        return True

    def _emit(self, emit: Callable[[], None]) -> None:
        """Signed heads leave by this thread too: a full disk there is an alarm, not a reason to stop
        recording."""
        try:
            emit()
        except OSError:
            log.exception("record.head_not_emitted")

    def _forget(self, count: int) -> None:
        """Take the first entries out of the queue."""
        with self._condition:
            for _ in range(count):
                self._queue.popleft()


def _receipts(batch: list[_Item], receipt: Receipt | None) -> tuple[tuple[int, Receipt | None], ...]:
    return tuple((item.ticket, receipt) for item in batch if item.ticket is not None)
