"""How refusals are told: at once of who holds a good credential, by network and minute of strangers."""

from __future__ import annotations

import asyncio

import pytest

from relay.meter import SessionCounters
from relay.relay_events import (
    MAX_EVENTS,
    MAX_REFUSAL_ROWS,
    OTHER_NETWORKS,
    REFUSAL_PERIOD_SECONDS,
    EventQueue,
    EventsLost,
    RefusalTable,
    RequesterRefused,
    SessionOver,
    StrangersRefused,
)
from relay.turn.events import Refused
from relay.turn.refusal import RefusalReason as Reason
from relay.vocabulary import Address, FiveTuple, Transport

SERVER = Address("192.0.2.1", 3478)
START = 5000.0
MINUTE = REFUSAL_PERIOD_SECONDS


def stranger(ip: str = "203.0.113.5", reason: Reason = Reason.WRONG_PASSWORD, port: int = 40000) -> Refused:
    return Refused(FiveTuple(Transport.UDP, Address(ip, port), SERVER), reason)


def requester(
    party: str = "alice",
    reason: Reason = Reason.PEER_NOT_IN_SESSION,
    *,
    port: int = 40000,
    session_id: str = "s1",
    relayed: Address | None = None,
) -> Refused:
    five_tuple = FiveTuple(Transport.TLS, Address("203.0.113.5", port), SERVER)
    return Refused(five_tuple, reason, session_id, party, relayed)


@pytest.fixture
def table() -> RefusalTable:
    """One whose first minute begins now."""
    made = RefusalTable()
    assert made.due(START) == []
    return made


# --- requesters ---------------------------------------------------------------------------------------


def test_the_first_refusal_of_a_requester_is_told_at_once_and_whole(table: RefusalTable) -> None:
    refused = requester(relayed=Address("198.18.0.9", 50000))
    assert table.count(refused) == RequesterRefused(refused, 1)


def test_later_ones_are_told_once_a_minute_by_how_many_they_were_more(table: RefusalTable) -> None:
    for number in range(5):
        assert (table.count(requester()) is None) is (number > 0)
    assert table.due(START + MINUTE - 0.1) == []
    assert table.due(START + MINUTE) == [RequesterRefused(requester(), 4)]


def test_a_single_refusal_is_not_told_twice(table: RefusalTable) -> None:
    table.count(requester())
    assert table.due(START + MINUTE) == []


def test_every_minute_begins_anew(table: RefusalTable) -> None:
    for _ in range(3):
        table.count(requester())
    table.due(START + MINUTE)
    assert table.count(requester()) == RequesterRefused(requester(), 1)
    table.count(requester())
    assert table.due(START + 2 * MINUTE - 0.1) == []
    assert table.due(START + 2 * MINUTE) == [RequesterRefused(requester(), 1)]
    assert table.due(START + 3 * MINUTE) == []


@pytest.mark.parametrize(
    "other",
    [
        requester("bob"),
        requester(session_id="s2"),
        requester(reason=Reason.REVOKED),
        requester(port=40001),
        requester(relayed=Address("198.18.0.9", 50000)),
    ],
)
def test_who_differs_in_anything_is_told_of_at_once(table: RefusalTable, other: Refused) -> None:
    table.count(requester())
    assert table.count(other) == RequesterRefused(other, 1)


def test_a_requester_without_a_session_is_no_stranger(table: RefusalTable) -> None:
    refused = requester(session_id="")
    assert table.count(refused) == RequesterRefused(refused, 1)
    assert table.due(START + MINUTE) == []


def test_more_requesters_than_there_are_rows_for_are_counted_with_their_network(
    table: RefusalTable,
) -> None:
    for port in range(MAX_REFUSAL_ROWS):
        assert table.count(requester(port=port)) is not None
    for port in range(MAX_REFUSAL_ROWS, MAX_REFUSAL_ROWS + 7):
        assert table.count(requester(port=port)) is None
    # Who has a row keeps it.
    table.count(requester(port=3))
    assert table.due(START + MINUTE) == [
        StrangersRefused("203.0.113.0/24", Reason.PEER_NOT_IN_SESSION, 7),
        RequesterRefused(requester(port=3), 1),
    ]
    assert table.count(requester(port=5000)) is not None


# --- strangers ----------------------------------------------------------------------------------------


def test_a_strangers_refusal_is_not_told_before_the_minute_is_over(table: RefusalTable) -> None:
    assert table.count(stranger()) is None
    assert table.due(START + MINUTE - 0.1) == []
    assert table.due(START + MINUTE) == [StrangersRefused("203.0.113.0/24", Reason.WRONG_PASSWORD, 1)]
    assert table.due(START + 2 * MINUTE) == []


def test_strangers_are_summed_up_by_network_and_reason(table: RefusalTable) -> None:
    for host in range(1, 4):
        table.count(stranger(f"203.0.113.{host}", port=40000 + host))
    table.count(stranger("203.0.113.9", Reason.WRONG_REALM))
    table.count(stranger("203.0.114.1"))
    for subnet in ("1", "ffff:2", "1:2:3"):
        table.count(stranger(f"2001:db8:7:{subnet}::1"))
    table.count(stranger("2001:db8:8::1"))
    assert table.due(START + MINUTE) == [
        StrangersRefused("203.0.113.0/24", Reason.WRONG_PASSWORD, 3),
        StrangersRefused("203.0.113.0/24", Reason.WRONG_REALM, 1),
        StrangersRefused("203.0.114.0/24", Reason.WRONG_PASSWORD, 1),
        StrangersRefused("2001:db8:7::/48", Reason.WRONG_PASSWORD, 3),
        StrangersRefused("2001:db8:8::/48", Reason.WRONG_PASSWORD, 1),
    ]


def test_networks_beyond_the_table_are_one_row_for_each_reason(table: RefusalTable) -> None:
    for number in range(MAX_REFUSAL_ROWS):
        table.count(stranger(f"10.{number >> 8}.{number & 255}.1"))
    for number in range(300):
        table.count(stranger(f"11.0.{number & 255}.1"))
    table.count(stranger("12.0.0.1", Reason.WRONG_REALM))
    table.count(stranger("10.0.0.200"))
    reports = table.due(START + MINUTE)
    assert len(reports) == MAX_REFUSAL_ROWS + 2
    assert reports[0] == StrangersRefused("10.0.0.0/24", Reason.WRONG_PASSWORD, 2)
    assert reports[-2:] == [
        StrangersRefused(OTHER_NETWORKS, Reason.WRONG_PASSWORD, 300),
        StrangersRefused(OTHER_NETWORKS, Reason.WRONG_REALM, 1),
    ]
    # The next minute has room for all again.
    table.count(stranger("11.0.0.1"))
    assert table.due(START + 2 * MINUTE) == [
        StrangersRefused("11.0.0.0/24", Reason.WRONG_PASSWORD, 1),
    ]


def test_no_number_of_refusals_makes_the_table_grow() -> None:
    table = RefusalTable()
    table.due(START)
    told = 0
    for number in range(20_000):
        ip = f"10.{number >> 8 & 255}.{number & 255}.1"
        table.count(stranger(ip, list(Reason)[number % len(Reason)]))
        told += table.count(requester(f"user-{number}", port=number)) is not None
    assert told == MAX_REFUSAL_ROWS
    # Its rows, and for each reason those that found none.
    assert len(table.due(START + MINUTE)) <= MAX_REFUSAL_ROWS + len(Reason)


# --- the queue they go through ------------------------------------------------------------------------


def over(number: int) -> SessionOver:
    return SessionOver(f"s{number}", SessionCounters())


async def test_events_come_oldest_first_and_once() -> None:
    queue = EventQueue()
    for number in range(3):
        queue.put(over(number))
    assert await queue.take() == [over(0), over(1), over(2)]
    queue.put(over(3))
    assert await queue.take() == [over(3)]


async def test_who_reads_an_empty_queue_waits_for_the_next_event() -> None:
    queue = EventQueue()
    reading = asyncio.create_task(queue.take())
    await asyncio.sleep(0)
    assert not reading.done()
    queue.put(over(1))
    assert await reading == [over(1)]


async def test_a_reader_that_is_too_slow_loses_the_oldest_and_is_told_how_many() -> None:
    queue = EventQueue()
    for number in range(MAX_EVENTS + 5):
        queue.put(over(number))
    events = await queue.take()
    assert events[:2] == [EventsLost(5), over(5)]
    assert events[-1] == over(MAX_EVENTS + 4)
    assert len(events) == 1 + MAX_EVENTS
    queue.put(over(0))
    assert await queue.take() == [over(0)]
