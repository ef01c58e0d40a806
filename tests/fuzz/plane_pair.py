"""Both planes beside each other, without sockets: what one stream client sends comes out at another."""

from __future__ import annotations

import asyncio
from importlib.util import find_spec

from relay.planes.asyncio_plane import AsyncioPlane
from relay.stun import attributes as a
from relay.stun.message import HEADER_LENGTH, parse
from relay.vocabulary import Address, FiveTuple, Leg, Limiter, Plane, Route, RouteCounters, Transport

SERVER = Address("192.0.2.1", 443)
ALICE = FiveTuple(Transport.TCP, Address("192.0.2.5", 40001), SERVER)
BOB = FiveTuple(Transport.TLS, Address("192.0.2.6", 40002), SERVER)
ROW = Address("198.18.0.7", 50000)
SOURCES = (0x4000, 0x4001)
TARGETS: tuple[int | Address, ...] = (0x4FFF, ROW)
"""Of each source channel: another channel, or Data indications."""
NEGOTIATED, AUDIO = frozenset({0, 96, 111}), frozenset({0, 111})
DTLS_BUDGET_BYTES = 200
SLOW = Limiter(bits_per_second=1, burst_bytes=3000, audio_reserve_bytes=500)

Outcome = tuple[list[object], list[RouteCounters]]


class PlanePair:
    """Made once: to start a plane takes longer than to fuzz it."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._planes: list[Plane] = [AsyncioPlane()]
        if find_spec("relay._native"):
            from relay.planes.native_plane import NativePlane

            self._planes.append(NativePlane(workers=1))
        self._runner.run(self._start())

    async def _start(self) -> None:
        for plane in self._planes:
            plane.start([])

    def outcomes(self, messages: list[bytes]) -> list[Outcome]:
        """Of every plane there is: what came out at Bob's connection, and what the rows counted."""
        return self._runner.run(self._outcomes(messages))

    async def _outcomes(self, messages: list[bytes]) -> list[Outcome]:
        return [await _outcome(plane, messages) for plane in self._planes]


async def _outcome(plane: Plane, messages: list[bytes]) -> Outcome:
    plane.set_limit("slow", SLOW)
    legs = [Leg(ALICE, channel) for channel in SOURCES]
    for leg, form in zip(legs, TARGETS, strict=True):
        route = Route(leg, Leg(BOB, form), "s", NEGOTIATED, AUDIO, DTLS_BUDGET_BYTES, ("slow",))
        plane.install(route)
    for message in messages:
        plane.inject(ALICE, message)
    seen = plane.counters("s")
    counted = [_without_time(seen[leg]) for leg in legs]
    came = await plane.egress() if any(row.packets for row in counted) else []
    plane.remove_session("s")
    return [_without_chance(egress.message) for egress in came], counted


def _without_time(counters: RouteCounters) -> RouteCounters:
    return RouteCounters(counters.packets, counters.bytes, counters.drops)


def _without_chance(message: bytes) -> object:
    """A row makes up the transaction id of its indications."""
    if message[0] > 3:
        return message
    indication = parse(message)
    assert len(message) == HEADER_LENGTH + int.from_bytes(message[2:4], "big")
    return indication.first(a.XOR_PEER_ADDRESS), indication.first(a.DATA)
