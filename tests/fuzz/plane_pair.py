"""Both planes beside each other, without sockets: a stream client sends, others or control get it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from relay.stun import attributes as a
from relay.stun.message import HEADER_LENGTH, parse
from relay.vocabulary import Address, FiveTuple, Leg, Limiter, Plane, Route, RouteCounters, Transport
from tests.contract.plane_harness import PLANES

SERVER = Address("192.0.2.1", 443)
ALICE = FiveTuple(Transport.TCP, Address("192.0.2.5", 40001), SERVER)
BOB = FiveTuple(Transport.TLS, Address("192.0.2.6", 40002), SERVER)
ROW = Address("198.18.0.7", 50000)
TARGETS: tuple[int | Address, ...] = (0x4FFF, ROW)
"""Of even numbers and odd ones: another channel, or Data indications."""
NEGOTIATED, AUDIO = frozenset({0, 96, 111}), frozenset({0, 111})
DTLS_BUDGET_BYTES = 200
SLOW = Limiter(bits_per_second=1, burst_bytes=3000, audio_reserve_bytes=500)

Outcome = tuple[list[object], list[bytes], list[RouteCounters]]


def split(data: bytes) -> list[bytes]:
    """Messages; before each stands its length. Any bytes are some."""
    messages = []
    while len(data) >= 2:
        end = 2 + int.from_bytes(data[:2], "big")
        messages.append(data[2:end])
        data = data[end:]
    return messages


def join(messages: Iterable[bytes]) -> bytes:
    return b"".join(len(message).to_bytes(2, "big") + message for message in messages)


class PlanePair:
    """Made once: to start a plane takes longer than to fuzz it."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._planes = [make() for make in PLANES.values()]
        self._runner.run(self._start())

    async def _start(self) -> None:
        for plane in self._planes:
            plane.start([])

    def outcomes(self, messages: list[bytes]) -> list[Outcome]:
        """Of every plane there is: what came out for Bob, what control heard of, and what the rows counted.

        There is a row by the first two bytes of each message, whether or not they are a channel number.
        """
        return self._runner.run(self._outcomes(messages))

    async def _outcomes(self, messages: list[bytes]) -> list[Outcome]:
        return [await _outcome(plane, messages) for plane in self._planes]


async def _outcome(plane: Plane, messages: list[bytes]) -> Outcome:
    plane.set_limit("slow", SLOW)
    numbers = {int.from_bytes(message[:2], "big") for message in messages}
    for number in numbers:
        target = Leg(BOB, TARGETS[number & 1])
        plane.install(Route(Leg(ALICE, number), target, "s", NEGOTIATED, AUDIO, DTLS_BUDGET_BYTES, ("slow",)))
    heard: list[bytes] = []
    for message in messages:
        before = plane.plane_counters().punted
        plane.inject(ALICE, message)
        if plane.plane_counters().punted > before:
            # At once: what has a row would wait behind it.
            heard += [punt.datagram for punt in await plane.punts()]
    seen = plane.counters("s")
    counted = [_without_time(seen[Leg(ALICE, number)]) for number in sorted(numbers)]
    came = await plane.egress() if any(row.packets for row in counted) else []
    plane.remove_session("s")
    return [_without_chance(egress.message) for egress in came], heard, counted


def _without_time(counters: RouteCounters) -> RouteCounters:
    return RouteCounters(counters.packets, counters.bytes, counters.drops)


def _without_chance(message: bytes) -> object:
    """A row makes up the transaction id of its indications."""
    if message[0] > 3:
        return message
    indication = parse(message)
    assert len(message) == HEADER_LENGTH + int.from_bytes(message[2:4], "big")
    return indication.first(a.XOR_PEER_ADDRESS), indication.first(a.DATA)
