"""One client leaves room for the others, whatever it sends and whatever is sent to it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from relay.planes.egress_queue import BYTES_OF_MESSAGE, MAX_WAITING, MAX_WAITING_BYTES_OF_CLIENT
from relay.stun import channel_data
from relay.stun.message import MessageClass, Method, build
from relay.vocabulary import Plane, Transport
from tests.contract.plane_harness import PATIENCE_SECONDS, PLANES, StreamClient, bench

ALLOCATIONS = 32
"""As many as one credential may have."""
FROM_EACH = 2000
REFRESH = build(Method.REFRESH, MessageClass.REQUEST, bytes(12))
SMALLEST_RTCP = b"\x80\xc8" + bytes(6)


@pytest.fixture(params=sorted(PLANES))
def plane(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def clients(plane: Plane, count: int) -> list[StreamClient]:
    made = [StreamClient(plane, Transport.TCP, 41000 + number) for number in range(count)]
    for client in made:
        plane.own(client.five_tuple)
    return made


async def test_the_allocations_of_one_credential_leave_others_their_place_in_the_queue(plane: str) -> None:
    async with bench(PLANES[plane]) as at:
        *crowd, other = clients(at.plane, ALLOCATIONS + 1)
        early = channel_data.build(0x4000, b"media for a channel that is not bound")
        for _ in range(FROM_EACH):
            for client in crowd:
                client.send(early)
        assert at.plane.plane_counters().punts_refused_owned > 0
        for _ in range(100):
            other.send(REFRESH)
        heard = 0
        async with asyncio.timeout(PATIENCE_SECONDS):
            while heard < 100:
                heard += sum(punt.five_tuple == other.five_tuple for punt in await at.plane.punts())


async def test_one_client_alone_may_send_a_burst(plane: str) -> None:
    async with bench(PLANES[plane]) as at:
        (client,) = clients(at.plane, 1)
        for _ in range(500):
            client.send(REFRESH)
        assert at.plane.plane_counters().punts_refused_owned == 0


async def test_many_small_messages_for_one_client_leave_others_theirs(plane: str) -> None:
    async with bench(PLANES[plane]) as at:
        to_dave = at.between(at.carol, at.dave)
        other = StreamClient(at.plane, Transport.TLS, 42000)
        to_other = replace(at.between(at.carol, other, channel=0x4002), session_id="another")
        at.plane.install(to_dave)
        at.plane.install(to_other)
        for _ in range(MAX_WAITING):
            at.carol.send(channel_data.build(0x4000, SMALLEST_RTCP))
        at.carol.send(channel_data.build(0x4002, SMALLEST_RTCP))
        came = await at.came_out()
        of_dave = [one for one in came if one.five_tuple == at.dave.five_tuple]
        assert len(of_dave) == MAX_WAITING_BYTES_OF_CLIENT // BYTES_OF_MESSAGE
        assert [one.five_tuple for one in came if one not in of_dave] == [other.five_tuple]


async def test_what_waits_of_a_row_that_is_gone_keeps_nobody_else_waiting(plane: str) -> None:
    async with bench(PLANES[plane]) as at:
        to_dave = at.between(at.carol, at.dave)
        other = StreamClient(at.plane, Transport.TLS, 42000)
        to_other = replace(at.between(at.carol, other, channel=0x4002), session_id="another")
        at.plane.install(to_dave)
        at.plane.install(to_other)
        for _ in range(MAX_WAITING_BYTES_OF_CLIENT // BYTES_OF_MESSAGE):
            at.carol.send(channel_data.build(0x4000, SMALLEST_RTCP))
        at.carol.send(channel_data.build(0x4002, SMALLEST_RTCP))
        at.plane.remove(to_dave.source)
        async with asyncio.timeout(PATIENCE_SECONDS):
            (came,) = await at.plane.egress()
        assert came.five_tuple == other.five_tuple


async def test_a_stranger_is_not_heard_with_a_request_that_is_longer_than_any(plane: str) -> None:
    async with bench(PLANES[plane]) as at:
        longest, too_long = (
            build(Method.BINDING, MessageClass.REQUEST, bytes(12)) + bytes(size - 20) for size in (2048, 2052)
        )
        at.alice.send(too_long)
        at.alice.send(longest)
        async with asyncio.timeout(PATIENCE_SECONDS):
            (punt,) = await at.plane.punts()
        assert punt.datagram == longest
        assert at.plane.plane_counters().punts_refused_stranger == 1
