"""What control changes under full load holds from the moment its call has returned."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from relay.stun import channel_data
from relay.vocabulary import Limiter
from tests.contract.plane_harness import PLANES, Bench, Client, bench

ROUNDS = 600
BATCHES = 50


@contextmanager
def full_load(client: Client) -> Iterator[None]:
    """The client sends as fast as it can."""
    stop = threading.Event()
    datagram = channel_data.build(0x4000, b"load")

    def send() -> None:
        while not stop.is_set():
            with suppress(BlockingIOError):
                client.send(datagram)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        stop.set()
        sender.join()


def arrived_at(client: Client) -> list[bytes]:
    """What is in the client's socket now: on loopback a datagram that was sent is there."""
    got = []
    with suppress(BlockingIOError):
        while True:
            got.append(client.socket.recv(65536))
    return got


@pytest.mark.parametrize("plane", sorted(PLANES))
async def test_nothing_leaves_by_a_row_once_its_removal_has_returned(plane: str) -> None:
    """Each row has a channel of its own: a packet by an old one would be seen, in this round or the next."""
    async with bench(PLANES[plane]) as at:
        with full_load(at.alice):
            carried = 0
            for number, remove in enumerate(removals(at) * (ROUNDS // 3)):
                at.plane.install(at.route(to=0x4001 + number))
                at.plane.set_limit("slow", Limiter(bits_per_second=1 << 30, burst_bytes=1 << 20))
                await asyncio.sleep(0.0005)
                remove()
                arrived = arrived_at(at.bob)
                assert {datagram[:2] for datagram in arrived} <= {(0x4001 + number).to_bytes(2, "big")}
                carried += len(arrived)
                await asyncio.sleep(0)
                assert arrived_at(at.bob) == []
            assert carried > ROUNDS
            assert at.plane.plane_counters().faults == 0


@pytest.mark.parametrize("plane", sorted(PLANES))
@pytest.mark.parametrize("queue", ["punts", "egress"])
async def test_everything_else_has_its_turn_while_there_is_always_something_to_take(
    plane: str, queue: str
) -> None:
    async with bench(PLANES[plane]) as at:
        at.plane.own(at.alice.five_tuple)
        if queue == "egress":
            at.plane.install(at.between(at.alice, at.dave))
        turns = 0

        async def count_turns() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        counting = asyncio.create_task(count_turns())
        with full_load(at.alice):
            for _ in range(BATCHES):
                await (at.plane.punts() if queue == "punts" else at.plane.egress())
                # Work that does not give up the thread, while those of the plane go on.
                time.sleep(0.002)  # noqa: ASYNC251 (that is the point)
        counting.cancel()
        assert turns >= BATCHES - 1


def removals(at: Bench) -> list[Callable[[], object]]:
    return [
        lambda: at.plane.remove(at.alice.leg(0x4000)),
        lambda: at.plane.remove_session("s1"),
        at.plane.remove_all,
    ]
