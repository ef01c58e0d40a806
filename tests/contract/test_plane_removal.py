"""Rows that are taken out of a plane: nothing leaves by them any more, and their last counters are given."""

from __future__ import annotations

import gc
import time
from collections.abc import AsyncIterator

import pytest

from relay.vocabulary import Address, DropReason, Route, RouteCounters
from tests.contract.plane_harness import PLANES, Bench, bench
from tests.contract.test_plane_contract import on, rtp

ROW = Address("198.18.0.7", 50000)


@pytest.fixture(params=sorted(PLANES))
async def at(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    async with bench(PLANES[request.param]) as made:
        yield made


async def test_nothing_leaves_by_a_removed_row_and_its_last_counters_are_given(at: Bench) -> None:
    route = at.route()
    at.plane.install(route)
    at.alice.send(on(0x4000, b"before"))
    await at.bob.receive()
    counters = at.plane.remove(route.source)
    assert counters is not None
    assert counters.packets == 1
    at.alice.send(on(0x4000, b"after"))
    await at.settled()
    assert await at.sent_before() == []
    assert at.plane.remove(route.source) is None


async def test_removing_a_session_removes_its_rows_and_no_others(at: Bench) -> None:
    at.plane.install(at.route(0x4000, 0x4001, session_id="s1"))
    at.plane.install(at.route(ROW, ROW, session_id="s1"))
    at.plane.install(at.route(0x4002, 0x4003, session_id="s2"))
    assert set(at.plane.remove_session("s1")) == {at.alice.leg(0x4000), at.alice.leg(ROW)}
    at.alice.send(on(0x4000, b"gone"))
    at.plane.forward(at.alice.leg(ROW), b"gone")
    at.alice.send(on(0x4002, b"here"))
    assert await at.bob.receive() == on(0x4003, b"here")
    assert at.plane.remove_session("s1") == {}
    assert at.plane.counters("s1") == {}


async def test_several_sessions_are_removed_together_and_no_others(at: Bench) -> None:
    for number, session_id in enumerate(("s1", "s2", "s3")):
        at.plane.install(at.route(0x4000 + number, 0x5000 + number, session_id=session_id))
        at.alice.send(on(0x4000 + number, b"before"))
        await at.bob.receive()
    removed = at.plane.remove_sessions(("s1", "s3", "never"))
    assert {leg.form: counters.packets for leg, counters in removed.items()} == {0x4000: 1, 0x4002: 1}
    for channel in (0x4000, 0x4001, 0x4002):
        at.alice.send(on(channel, b"after"))
    await at.settled()
    assert await at.sent_before() == [on(0x5001, b"after")]
    assert at.plane.remove_sessions(()) == {}


async def test_a_plane_keeps_nothing_of_routes_that_are_gone(at: Bench) -> None:
    def routes() -> int:
        gc.collect()
        return sum(isinstance(one, Route) for one in gc.get_objects())

    before = routes()
    at.plane.install(at.route(limiter_ids=("mine", "shared")))
    at.plane.install(at.route(limiter_ids=("shared",)))
    at.plane.install(at.route(0x4002, session_id="s2", limiter_ids=("other", "shared")))
    at.plane.remove(at.alice.leg(0x4000))
    at.plane.remove_session("s2")
    assert routes() == before
    at.plane.install(at.route(limiter_ids=("mine", "shared")))
    at.plane.remove_all()
    assert routes() == before


async def test_removing_everything_stops_everything(at: Bench) -> None:
    at.plane.install(at.route(session_id="s1"))
    at.plane.install(at.route(0x4002, 0x4003, session_id="s2"))
    at.plane.remove_all()
    at.alice.send(on(0x4000, b"gone"))
    at.alice.send(on(0x4002, b"gone"))
    await at.settled()
    assert await at.sent_before() == []


async def test_removing_everything_gives_the_last_counters_of_every_row(at: Bench) -> None:
    at.plane.install(at.route(0x4000, 0x4001, session_id="s1", payload_types=frozenset({96})))
    at.plane.install(at.route(ROW, ROW, session_id="s1"))
    at.plane.install(at.route(0x4002, 0x4003, session_id="s2"))
    before = time.monotonic()
    for datagram in (on(0x4000, rtp(96)), on(0x4000, rtp(97)), on(0x4002, b"123"), on(0x4002, b"12")):
        at.alice.send(datagram)
    await at.settled()
    expected = at.plane.counters("s1") | at.plane.counters("s2")
    removed = at.plane.remove_all()
    assert removed == expected
    audio, idle, other = (removed[at.alice.leg(form)] for form in (0x4000, ROW, 0x4002))
    assert (audio.packets, audio.bytes, audio.drops) == (1, 40, {DropReason.PAYLOAD_TYPE: 1})
    assert idle == RouteCounters()
    assert (other.packets, other.bytes) == (2, 5)
    assert other.last_seen is not None
    assert before <= other.last_seen <= time.monotonic()
    assert at.plane.remove_all() == {}
    assert at.plane.totals() == RouteCounters()
