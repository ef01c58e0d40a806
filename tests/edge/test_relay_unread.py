"""A stream client that has gone without a word: the system notices, and the relay keeps nothing for it."""

from __future__ import annotations

import asyncio
import logging

import pytest

import relay.streams.stream
from broker.shell.logs import keep_strangers_out
from relay.turn.events import AllocationGone, GoneReason
from relay.vocabulary import DropReason
from tests.edge.relay_bench import PATIENCE_SECONDS, on_both_loops
from tests.edge.relay_clients import rtp
from tests.edge.test_relay_streams import LONG, pair, seen_by, streaming


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay.streams.stream, "UNREAD_SECONDS", 1)


@on_both_loops
async def test_who_reads_nothing_for_too_long_is_gone_and_its_allocation_with_it() -> None:
    async with streaming() as running, pair(running, "s1", bobs_buffer=4096) as (alice, silent):
        counted = None
        while counted is None or not counted.drops.get(DropReason.SEND_FAILED):
            for number in range(50):
                alice.send(rtp(number) + bytes(LONG))
            await seen_by(alice)
            counters = running.session_counters("s1")
            assert counters is not None
            counted = counters.direction("alice", "bob")
        gone: list[AllocationGone] = []
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not gone:
                gone = [event for event in await running.events() if isinstance(event, AllocationGone)]
        assert [(one.party, one.reason) for one in gone] == [("bob", GoneReason.STREAM_CLOSED)]
        assert gone[0].relayed_address == silent.relayed
        assert [one.party for one in running.allocations()] == ["alice"]


@pytest.mark.parametrize("said", ["SSL connection is closed", "socket.send() raised exception."])
def test_writes_to_a_connection_that_is_over_are_not_logged_one_by_one(
    said: str, caplog: pytest.LogCaptureFixture
) -> None:
    keep_strangers_out()
    library = logging.getLogger("asyncio")
    for _ in range(3):
        library.warning(said)
    library.warning("something else")
    assert [record.getMessage() for record in caplog.records] == ["something else"]
