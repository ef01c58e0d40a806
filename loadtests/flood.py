"""Forged datagrams at the rate this machine can make, beside calls: what they cost, and whom they hinder."""

from __future__ import annotations

from collections.abc import Callable

from loadtests.generator import generator
from loadtests.media import conversation_streams
from loadtests.place import Place
from loadtests.rounds import Figures, Table, alternate
from loadtests.servers import spending, turngate_relay

KINDS = ("bare", "forged", "noise", "media")
NETWORKS = 4096
SECONDS = 8.0
CALLS = 5

Told = Callable[[str], None]


def floods(place: Place, rounds: int, told: Told) -> Table:
    """By kind of flood."""

    def measure(kind: str) -> Figures:
        with (
            turngate_relay(place, "native") as server,
            generator(server.address, place.secret_file) as callers,
            generator(server.address, place.secret_file) as strangers,
        ):
            callers.do("allocate", pairs=CALLS)
            callers.do("bind")
            callers.tell("traffic", schedule={"paced": conversation_streams(CALLS)}, seconds=SECONDS)
            with spending(server) as spent:
                flooded = strangers.do("flood", networks=NETWORKS, seconds=SECONDS, kind=kind)
            call = callers.heard()
            assert spent.by_thread is not None
            threads = sum(used for name, used in spent.by_thread.items() if name.startswith("relay-"))
            return {
                "forged_per_second": flooded["sent_per_second"],
                "python_share_of_a_core": (spent.cpu_seconds - threads) / spent.seconds,
                "threads_share_of_a_core": threads / spent.seconds,
                "answered_per_second": flooded["answered"] / SECONDS,
                "all_call_packets": call["sent"],
                "all_call_packets_lost": call["lost"],
                "call_p99_milliseconds": call["latency_microseconds"]["p99"] / 1000,
                "call_slowest_milliseconds": call["latency_microseconds"]["max"] / 1000,
            }

    return alternate(KINDS, measure, rounds, told)
