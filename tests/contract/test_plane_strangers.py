"""Who is heard of those that nobody knows, while many of them flood."""

from __future__ import annotations

import asyncio
import socket

import pytest

from relay.planes.punt_queue import STRANGERS
from relay.stun.message import MessageClass, Method, build
from relay.vocabulary import Plane
from tests.contract.plane_harness import PATIENCE_SECONDS, PLANES, Bench, bench

STUN = build(Method.BINDING, MessageClass.REQUEST, bytes(12))
FLOODING_NETWORKS, FROM_EACH_THAT_FLOODS = 4, 500
"""Before they are known to flood, all of them together have half of what strangers have."""
QUIET_NETWORKS, FROM_EACH_QUIET_ONE = 300, 3
AT_A_TIME = 100


async def send(at: Bench, networks: list[str], each: int) -> None:
    """So many requests of every network, a client each, with turns for whoever reads them."""
    clients = []
    for network in networks:
        client = socket.socket(type=socket.SOCK_DGRAM)
        client.bind((f"{network}.1", 0))
        clients.append(client)
    listener = at.alice.five_tuple.server
    for number in range(each):
        for turn, client in enumerate(clients):
            client.sendto(STUN, (listener.ip, listener.port))
            if (number * len(clients) + turn) % AT_A_TIME == 0:
                await asyncio.sleep(0)
    for client in clients:
        client.close()


async def heard(plane: Plane, sent: int) -> int:
    """How many of all that was sent reached control, once the plane has dealt with all of it."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            counters = plane.plane_counters()
            if counters.punted + counters.punts_refused_stranger == sent:
                return counters.punted
            await asyncio.sleep(0)


async def read_all(plane: Plane) -> None:
    while True:
        await plane.punts()


@pytest.mark.parametrize("plane", sorted(PLANES))
async def test_a_quiet_network_is_heard_while_others_flood(plane: str) -> None:
    async with bench(PLANES[plane]) as at:
        reading = asyncio.create_task(read_all(at.plane))
        flooding = [f"127.1.{number}" for number in range(FLOODING_NETWORKS)]
        await send(at, flooding, FROM_EACH_THAT_FLOODS)
        flood = FLOODING_NETWORKS * FROM_EACH_THAT_FLOODS
        of_the_flood = await heard(at.plane, flood)
        quiet = [f"127.{2 + number // 250}.{number % 250}" for number in range(QUIET_NETWORKS)]
        await send(at, quiet, FROM_EACH_QUIET_ONE)
        asked = QUIET_NETWORKS * FROM_EACH_QUIET_ONE
        of_the_quiet = await heard(at.plane, flood + asked) - of_the_flood
        reading.cancel()
    assert of_the_flood < flood
    assert asked < STRANGERS[1] / 2
    # The portable plane has one slot for a network: a few may share theirs with one that floods.
    assert of_the_quiet >= 0.98 * asked
