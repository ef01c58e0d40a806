"""The writer's thread on a real SQLite store, with a disk that is slow or broken when the test says so."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from sqlalchemy import event, func, select
from sqlalchemy.exc import OperationalError

from auth.personal import Personal
from auth.principal import PartyId
from auth.throttle import SignInFailure
from broker.audit.checkpoint import SigningKey
from broker.audit.heads_file import HeadsFile
from broker.audit.ledger import Ledger
from broker.audit.record import Draft
from broker.audit.schema import records
from broker.core.commands import SaveMessage, SaveSignIn, SaveSignInFailure
from broker.core.stored import StoredSignIn
from broker.shell import writer as writer_module
from broker.shell.journal import Mark
from broker.shell.store import Entry, Store
from broker.shell.writer import MAX_BATCH_ENTRIES, Settled, Writer

WAIT_SECONDS = 10.0


class Disk:
    """Decides what each commit of the store does."""

    def __init__(self, store: Store) -> None:
        self.broken = False
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Semaphore(0)
        event.listen(store._engine, "commit", self._commit)

    def _commit(self, _: Any) -> None:
        self.entered.release()
        assert self.gate.wait(WAIT_SECONDS)
        if self.broken:
            raise OperationalError("COMMIT", {}, OSError(28, "No space left on device"))


class Bench:
    def __init__(self, folder: Path) -> None:
        key = SigningKey.load_or_create("test", folder / "key.pem")
        self.store = Store(f"sqlite:///{folder}/store.sqlite", Ledger("test", key, lambda n: bytes(n)))
        self.outcomes: SimpleQueue[Settled] = SimpleQueue()
        self.writer = Writer(self.store, HeadsFile(folder / "heads"), self.outcomes.put)
        self.disk = Disk(self.store)
        self.writer.start()

    def outcome(self) -> Settled:
        return self.outcomes.get(timeout=WAIT_SECONDS)

    def count(self) -> int:
        with self.store._reader.connect() as connection:
            return int(connection.execute(select(func.count()).select_from(records)).scalar_one())

    def bodies(self) -> list[str]:
        with self.store._reader.connect() as connection:
            return [
                bytes(body).decode()
                for body in connection.execute(select(records.c.body).order_by(records.c.seq)).scalars()
            ]


@pytest.fixture(autouse=True)
def retries_come_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "RETRY_SECONDS", 0.01)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.disk.gate.set()
    bench.disk.broken = False
    assert bench.writer.stop(WAIT_SECONDS)
    bench.store.close()


def note(number: int = 1, **extra: Any) -> Entry:
    return Entry(
        1_800_000_000_000 + number, (Draft("auth.ended", None, {"reason": f"test {number}"}),), (), **extra
    )


def test_an_entry_is_in_the_database_when_its_receipt_comes(bench: Bench) -> None:
    bench.writer.put(7, note())
    ((ticket, receipt),) = bench.outcome().receipts
    assert ticket == 7
    assert receipt is not None
    assert receipt.first_seq == 1
    assert bench.count() == 1


def test_rows_without_a_record_are_durable_and_no_head_is_signed_for_them(bench: Bench) -> None:
    failure = SignInFailure("digest", Personal("c00002"), 1, 2)
    bench.writer.put(7, Entry(1, (), (SaveSignInFailure(failure),)))
    ((_, receipt),) = bench.outcome().receipts
    assert receipt is not None
    assert (receipt.first_seq, receipt.last_seq) == (1, 0)
    assert bench.store.sign_in_failures() == [failure]
    assert bench.count() == 0
    bench.writer.put(8, note())
    ((_, receipt),) = bench.outcome().receipts
    assert receipt is not None
    assert (receipt.first_seq, receipt.last_seq) == (1, 1)


def test_entries_that_gather_during_a_commit_share_the_next(bench: Bench) -> None:
    bench.disk.gate.clear()
    bench.writer.put(0, note())
    assert bench.disk.entered.acquire(timeout=WAIT_SECONDS)
    for ticket in range(1, 100):
        bench.writer.put(ticket, note(ticket))
    bench.disk.gate.set()
    assert [ticket for ticket, _ in bench.outcome().receipts] == [0]
    assert [ticket for ticket, _ in bench.outcome().receipts] == list(range(1, 100))
    assert bench.count() == 100


def test_a_failed_commit_writes_nothing_and_the_next_one_continues_the_numbering(bench: Bench) -> None:
    bench.disk.broken = True
    bench.writer.put(1, note())
    settled = bench.outcome()
    assert settled.receipts == ((1, None),)
    assert not settled.healthy
    assert bench.count() == 0
    bench.disk.broken = False
    bench.writer.put(2, note())
    settled = bench.outcome()
    assert settled.healthy
    assert settled.receipts[0][1] is not None
    assert settled.receipts[0][1].first_seq == 1


def test_what_is_owed_is_tried_until_the_record_has_it(bench: Bench) -> None:
    bench.disk.broken = True
    bench.writer.owe(note(mark=Mark(1, 1)))
    assert not bench.outcome().healthy
    bench.disk.broken = False
    while not (settled := bench.outcome()).healthy:
        pass
    assert settled.entered == Mark(1, 1)
    assert bench.count() == 1
    assert bench.store.journal_mark() == Mark(1, 1)


def test_entries_are_recorded_in_the_order_they_were_put(bench: Bench) -> None:
    bench.disk.gate.clear()
    bench.writer.put(0, note(0))
    assert bench.disk.entered.acquire(timeout=WAIT_SECONDS)
    bench.writer.put(1, note(1))
    bench.writer.owe(note(2, mark=Mark(1, 1)))
    bench.writer.put(3, note(3))
    bench.disk.gate.set()
    bench.outcome()
    settled = bench.outcome()
    assert settled.entered == Mark(1, 1)
    assert len(settled.receipts) == 2
    assert [f"test {n}" in body for n, body in enumerate(bench.bodies())] == [True] * 4


def test_what_is_owed_keeps_its_order_through_an_outage(bench: Bench) -> None:
    bench.disk.broken = True
    bench.disk.gate.clear()
    bench.writer.put(0, note(0))
    assert bench.disk.entered.acquire(timeout=WAIT_SECONDS)
    bench.writer.owe(note(1, mark=Mark(1, 1)))
    bench.writer.put(9, note(9))
    bench.writer.owe(note(2, mark=Mark(1, 2)))
    bench.disk.gate.set()
    settled = bench.outcome()
    assert not settled.healthy
    assert settled.receipts == ((0, None), (9, None))
    bench.disk.broken = False
    while not (settled := bench.outcome()).healthy:
        pass
    assert settled.entered == Mark(1, 2)
    assert ["test 1" in bench.bodies()[0], "test 2" in bench.bodies()[1]] == [True, True]


def test_a_request_behind_more_than_a_batch_of_owed_entries_is_answered_in_an_outage(bench: Bench) -> None:
    bench.disk.broken = True
    for number in range(2 * MAX_BATCH_ENTRIES):
        bench.writer.owe(note(number))
    bench.writer.put(7, note())
    answered: list[tuple[int, Any]] = []
    while not answered:
        settled = bench.outcome()
        assert not settled.healthy
        answered += settled.receipts
    assert answered == [(7, None)]


def test_a_stalled_heads_file_stops_nobody_from_putting_entries(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    stalled, released = threading.Event(), threading.Event()

    def stall(self: HeadsFile, monotonic_seconds: float) -> None:
        stalled.set()
        assert released.wait(WAIT_SECONDS)

    monkeypatch.setattr(HeadsFile, "catch_up", stall)
    bench.writer.put(1, note())
    assert stalled.wait(WAIT_SECONDS)
    putting = threading.Thread(target=bench.writer.put, args=(2, note()))
    putting.start()
    putting.join(WAIT_SECONDS / 2)
    assert not putting.is_alive()
    released.set()


def test_one_impossible_entry_fails_alone(bench: Bench) -> None:
    bench.disk.gate.clear()
    bench.writer.put(0, note())
    assert bench.disk.entered.acquire(timeout=WAIT_SECONDS)
    one, other = (
        SaveSignIn(StoredSignIn("s-1", digest, PartyId("u-1"), Personal("192.0.2.0/24"), "", 1, 1, 1))
        for digest in ("one", "other")
    )
    bench.writer.put(1, Entry(1, note().records, (one, other)))
    bench.writer.put(2, note(2))
    bench.disk.gate.set()
    outcomes = [bench.outcome(), bench.outcome(), bench.outcome()]
    results = {ticket: receipt is not None for settled in outcomes for ticket, receipt in settled.receipts}
    assert results == {0: True, 1: False, 2: True}
    assert all(settled.healthy for settled in outcomes)
    assert bench.count() == 2


def test_a_message_sent_twice_is_stored_once(bench: Bench) -> None:
    message = SaveMessage("m-1", PartyId("u-1"), PartyId("u-2"), Personal("hello"), 5)
    for ticket in (1, 2):
        bench.writer.put(ticket, Entry(1, note(ticket).records, (message,)))
    received = 0
    while received < 2:
        received += len(bench.outcome().receipts)
    waiting = bench.store.waiting_messages(PartyId("u-2"), 100)
    assert [m.text.reveal() for m in waiting] == ["hello"]


def test_stopping_writes_what_waits(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    for ticket in range(50):
        bench.writer.put(ticket, note(ticket))
    assert bench.writer.stop(WAIT_SECONDS)
    assert bench.count() == 50
