"""What sessions cost without their media: to make, to keep, and to end all at once."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from loadtests.generator import AUDIO_BYTES, generator, stream
from loadtests.place import Place
from loadtests.rounds import Figures, Table, alternate
from loadtests.servers import Server, coturn, spending, turngate_relay

ALLOCATING_PAIRS = 5000
IDLE_PAIRS = 5000
STOPPED_PAIRS = 5000
"""Two routes each."""
STOPPED_PACKETS_PER_SECOND = 50_000
STOP_AFTER_SECONDS, STOP_WATCHED_SECONDS = 1.0, 3.0

Told = Callable[[str], None]


@contextmanager
def _started(name: str, place: Place) -> Iterator[Server]:
    if name == "coturn":
        with coturn(place) as server:
            yield server
    else:
        with turngate_relay(place, name.removeprefix("turngate ")) as server:
            yield server


def allocations(place: Place, rounds: int, told: Told) -> Table:
    """Full handshakes, 64 clients at a time: asked, challenged, asked again, given."""

    def measure(name: str) -> Figures:
        with (
            _started(name, place) as server,
            generator(server.address, place.secret_file) as clients,
        ):
            with spending(server) as spent:
                took = clients.do("allocate", pairs=ALLOCATING_PAIRS)
            with spending(server) as binding:
                bound = clients.do("bind")
            return {
                "allocations_per_second": took["per_second"],
                "cpu_microseconds_per_allocation": spent.cpu_seconds / (2 * ALLOCATING_PAIRS) * 1e6,
                "channels_per_second": bound["per_second"],
                "cpu_microseconds_per_channel": binding.cpu_seconds / (2 * ALLOCATING_PAIRS) * 1e6,
            }

    return alternate(("turngate native", "turngate asyncio", "coturn"), measure, rounds, told)


def memory(place: Place, rounds: int, told: Told) -> Table:
    """Of the whole process, divided by the allocations: idle ones, and ones with a channel each.

    The first allocations are not counted: they are what the process needs for any number.
    """

    def measure(name: str) -> Figures:
        with (
            _started(name, place) as server,
            generator(server.address, place.secret_file) as first,
            generator(server.address, place.secret_file) as clients,
        ):
            first.do("allocate", pairs=50)
            before = server.resident_bytes()
            clients.do("allocate", pairs=IDLE_PAIRS)
            idle = server.resident_bytes()
            clients.do("bind")
            bound = server.resident_bytes()
            return {
                "bytes_per_idle_allocation": (idle - before) / (2 * IDLE_PAIRS),
                "bytes_per_bound_allocation": (bound - before) / (2 * IDLE_PAIRS),
                "bytes_before": float(before),
            }

    return alternate(("turngate native", "turngate asyncio", "coturn"), measure, rounds, told)


def stops(place: Place, rounds: int, told: Told) -> Table:
    """10,000 routes under load: from SIGTERM to the last packet that left; 0 if it left before."""

    def measure(name: str) -> Figures:
        with (
            _started(name, place) as server,
            generator(server.address, place.secret_file) as clients,
        ):
            clients.do("allocate", pairs=STOPPED_PAIRS)
            clients.do("bind")
            schedule = {"paced": [stream(AUDIO_BYTES, STOPPED_PACKETS_PER_SECOND)]}
            clients.tell("traffic", schedule=schedule, seconds=STOP_WATCHED_SECONDS, by_channel=True)
            time.sleep(STOP_AFTER_SECONDS)
            commanded = time.time_ns()
            os.kill(server.pid, signal.SIGTERM)
            report = clients.heard()
            last = max(seen["last_nanoseconds"] for _, _, seen in report["channels"])
            return {
                "milliseconds_to_last_packet": max(0.0, (last - commanded) / 1e6),
                "routes_that_carried": float(len(report["channels"])),
            }

    return alternate(("turngate native", "turngate asyncio", "coturn"), measure, rounds, told)
