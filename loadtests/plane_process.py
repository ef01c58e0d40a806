"""A native plane alone in a process, whose rows are changed while it forwards.

`python -m loadtests.plane_process CLIENTS_PORT PAIRS WORKERS CHANGES_PER_SECOND SECONDS` binds a free port of
127.0.0.1, has a row for every client of the generator, and says "ready ADDRESS". With the first line on stdin
changes begin; when they are over, and with them all rows, one JSON object on stdout tells what was removed
when. Every row has a channel number of its own, under which its packets arrive, from `FIRST_CHANNEL` on.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from loadtests.generator import AUDIO_TYPE, VIDEO_TYPE
from relay.planes.native_plane import NativePlane
from relay.vocabulary import Address, FiveTuple, Leg, Limiter, Route, Transport

FIRST_CHANNEL = 0x4002
NETWORKS = 128 * 256
PAUSE_SECONDS = 0.0002
ALL_AFTER_CHANGES = 500
"""Every so often everything is removed, and made again."""
PLENTY = Limiter(bits_per_second=1_000_000_000, burst_bytes=1 << 26, audio_reserve_bytes=1 << 20)


def address_of(client: int) -> str:
    """As the generator has it (`clients.rs`)."""
    network = 64 * 256 + client % NETWORKS
    return str(IPv4Address(127 << 24 | network << 8 | client // NETWORKS + 1))


@dataclass
class Rows:
    """The rows of all clients, and what is done to them."""

    plane: NativePlane
    listener: Address
    clients_port: int
    clients: int
    generations: list[int] = field(default_factory=list)
    """By sender, how many rows it has had before this one."""
    removed: list[tuple[int, int, int]] = field(default_factory=list)
    """Receiver, its channel number, CLOCK_REALTIME in nanoseconds when the removal had returned."""

    def five_tuple(self, client: int) -> FiveTuple:
        return FiveTuple(Transport.UDP, Address(address_of(client), self.clients_port), self.listener)

    def source(self, client: int) -> Leg:
        return Leg(self.five_tuple(client), 0x4000 + client % 2)

    def install(self, client: int) -> None:
        target = Leg(self.five_tuple(client ^ 1), FIRST_CHANNEL + self.generations[client])
        session = f"s{client // 2}"
        types, audio = frozenset({AUDIO_TYPE, VIDEO_TYPE}), frozenset({AUDIO_TYPE})
        limiters = (f"{session}.{client % 2}", "total")
        self.plane.install(Route(self.source(client), target, session, types, audio, 0, limiters))

    def install_all(self) -> None:
        self.generations = [0] * self.clients
        self.plane.set_limit("total", Limiter(1 << 40, 1 << 30, 1 << 20))
        for client in range(self.clients):
            self.plane.set_limit(f"s{client // 2}.{client % 2}", PLENTY)
            self.install(client)

    def gone(self, clients: Iterable[int], at_nanoseconds: int) -> None:
        """Their rows had been removed by then."""
        for client in clients:
            self.removed.append((client ^ 1, FIRST_CHANNEL + self.generations[client], at_nanoseconds))
            self.generations[client] += 1

    def change(self, number: int) -> None:
        """One removal of the three kinds, a limit, and the rows again."""
        client = number * 7 % self.clients
        pair = (client & ~1, client | 1)
        if number % ALL_AFTER_CHANGES == ALL_AFTER_CHANGES - 1:
            changed: Iterable[int] = range(self.clients)
            self.plane.remove_all()
        elif number % 2:
            changed = pair
            self.plane.remove_session(f"s{client // 2}")
        else:
            changed = (client,)
            self.plane.remove(self.source(client))
        self.gone(changed, time.time_ns())
        self.plane.set_limit(f"s{client // 2}.{client % 2}", PLENTY)
        for one in changed:
            self.install(one)


def change_for(rows: Rows, changes_per_second: float, seconds: float) -> dict[str, object]:
    """Nothing else is done in this thread; what was changed, and how long it took."""
    done, slowest = 0, 0.0
    began = time.monotonic()
    while (elapsed := time.monotonic() - began) < seconds:
        if done < elapsed * changes_per_second:
            at = time.monotonic()
            rows.change(done)
            slowest = max(slowest, time.monotonic() - at)
            done += 1
        else:
            time.sleep(PAUSE_SECONDS)
    at = time.monotonic()
    rows.plane.remove_all()
    stopped = time.monotonic() - at
    rows.gone(range(rows.clients), time.time_ns())
    return {
        "changes": done,
        "seconds": elapsed,
        "slowest_change_seconds": slowest,
        "remove_all_seconds": stopped,
        "faults": rows.plane.plane_counters().faults,
        "removed": rows.removed,
    }


async def main(
    clients_port: int, pairs: int, workers: int, changes_per_second: float, seconds: float
) -> None:
    plane = NativePlane(workers=workers)
    (listener,) = plane.start([Address("127.0.0.1", 0)])
    rows = Rows(plane, listener, clients_port, 2 * pairs)
    rows.install_all()
    print(f"ready {listener.ip}:{listener.port}", flush=True)
    sys.stdin.readline()
    # A collection of these many tuples would be taken for a change that was slow.
    gc.disable()
    print(json.dumps(change_for(rows, changes_per_second, seconds)), flush=True)
    plane.stop()


if __name__ == "__main__":
    port, pairs, workers, rate, seconds = sys.argv[1:]
    asyncio.run(main(int(port), int(pairs), int(workers), float(rate), float(seconds)))
