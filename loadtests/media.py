"""What relayed media costs: packets of one size between pairs of clients, and whole conversations."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from loadtests.generator import (
    AUDIO_BYTES,
    VIDEO_BYTES,
    Generator,
    Report,
    Stream,
    free_udp_port,
    generator,
    stream,
)
from loadtests.place import Place
from loadtests.rounds import Figures, Table, alternate
from loadtests.servers import Server, bare_switch, coturn, spending, turngate_relay

SIZES = (AUDIO_BYTES, VIDEO_BYTES)
PAIRS = (10, 100, 1000)
WINDOW_PACKETS = 512
"""On their way at once: enough that no server ever waits, few enough that no buffer overflows."""
SATURATED_SECONDS, PACED_SECONDS = 1.5, 1.0
SAFE_SHARE = 0.7
"""Of the bare switch's rate: what the native plane is to carry without loss."""
AUDIO_PER_SECOND, FRAMES_PER_SECOND, PACKETS_PER_FRAME = 50, 30, 4
"""Of each party of a call: G.711 or Opus every 20 ms, and 1.1 Mbit/s of video."""

Told = Callable[[str], None]


@dataclass(frozen=True)
class Peer:
    """A server, and the clients that are connected to it."""

    server: Server
    clients: Generator

    def saturated(self, payload_bytes: int) -> tuple[Report, float, float]:
        """The report, microseconds of CPU a packet, and the share of its core that the server used."""
        with spending(self.server) as spent:
            report = self.clients.window(WINDOW_PACKETS, payload_bytes, SATURATED_SECONDS)
        return report, spent.cpu_seconds / report["delivered"] * 1e6, spent.cpu_seconds / SATURATED_SECONDS

    def paced(self, *streams: Stream, seconds: float) -> tuple[Report, float, float]:
        with spending(self.server) as spent:
            report = self.clients.paced(*streams, seconds=seconds)
        return report, spent.cpu_seconds / max(report["delivered"], 1) * 1e6, spent.cpu_seconds / seconds


def connected(stack: ExitStack, place: Place, pairs: int) -> dict[str, Peer]:
    """All four, each with so many pairs of clients that can talk."""
    peers = {}
    for server in (
        stack.enter_context(turngate_relay(place, "native")),
        stack.enter_context(turngate_relay(place, "asyncio")),
        stack.enter_context(coturn(place)),
    ):
        clients = stack.enter_context(generator(server.address, place.secret_file))
        clients.do("allocate", pairs=pairs)
        clients.do("bind")
        peers[server.name] = Peer(server, clients)
    port = free_udp_port()
    clients = stack.enter_context(generator(f"127.0.0.1:{port}", place.secret_file))
    switch = stack.enter_context(bare_switch(clients.clients_port, pairs, port))
    clients.do("adopt", pairs=pairs)
    return peers | {switch.name: Peer(switch, clients)}


def matrix(place: Place, rounds: int, told: Told) -> dict[str, Table]:
    """By `bytes x pairs`: saturation; the same modest rate for all; half of each one's own saturation."""
    tables = {}
    for pairs in PAIRS:
        with ExitStack() as stack:
            peers = connected(stack, place, pairs)
            for payload_bytes in SIZES:
                told(f"== {payload_bytes} bytes, {pairs} pairs")
                tables[f"{payload_bytes} x {pairs}"] = _cell(peers, payload_bytes, rounds, told)
    return tables


def _cell(peers: dict[str, Peer], payload_bytes: int, rounds: int, told: Told) -> Table:
    rates: dict[str, float] = {}

    def measure(name: str) -> Figures:
        peer = peers[name]
        report, cost, busy = peer.saturated(payload_bytes)
        rates[name] = report["delivered_per_second"]
        figures = {
            "cpu_microseconds_per_packet": cost,
            "packets_per_second": rates[name],
            "busy": busy,
            "all_lost_saturated": report["lost"],
            "all_reordered": report["reordered"],
            "all_misdelivered": report["misdelivered"],
        }
        # In the first round, which is thrown away, the others have no rate yet.
        modest = rates.get("coturn", rates[name]) / 2
        report, cost, _ = peer.paced(stream(payload_bytes, modest), seconds=PACED_SECONDS)
        figures |= {"modest_cpu_microseconds_per_packet": cost, "modest_packets_per_second": modest}
        report, _, _ = peer.paced(stream(payload_bytes, rates[name] / 2), seconds=PACED_SECONDS)
        latency = report["latency_microseconds"]
        figures |= {f"half_load_{name}_microseconds": latency[name] for name in ("p50", "p99", "p999")}
        figures["all_lost_at_half_load"] = report["lost"]
        if name == "turngate native":
            safe = SAFE_SHARE * rates.get("bare switch", rates[name])
            report, _, busy = peer.paced(stream(payload_bytes, safe), seconds=PACED_SECONDS)
            figures |= {
                "all_sent_at_70_percent": report["sent"],
                "all_lost_at_70_percent": report["lost"],
                "busy_at_70_percent": busy,
                "behind_milliseconds_at_70_percent": report["behind_milliseconds"],
            }
        return figures

    # The switch first: the others are asked to carry a share of what it does.
    order = ["bare switch", *(name for name in peers if name != "bare switch")]
    return alternate(order, measure, rounds, told)


def conversation_streams(
    calls: int, packets_per_frame: int = PACKETS_PER_FRAME, frames_per_second: float = FRAMES_PER_SECOND
) -> list[Stream]:
    """Both parties of every call: audio at its pace, video frame by frame."""
    parties = 2 * calls
    video = parties * frames_per_second * packets_per_frame
    return [stream(AUDIO_BYTES, parties * AUDIO_PER_SECOND), stream(VIDEO_BYTES, video, packets_per_frame)]


def audio_streams(calls: int) -> list[Stream]:
    return [stream(AUDIO_BYTES, 2 * calls * AUDIO_PER_SECOND)]


def conversations(place: Place, rounds: int, told: Told) -> dict[str, Table]:
    """Calls of audio alone and of audio and video, at rates that every server carries."""
    tables = {}
    for calls in (10, 100):
        with ExitStack() as stack:
            peers = connected(stack, place, calls)
            for kind, streams in (("audio", audio_streams(calls)), ("video", conversation_streams(calls))):
                told(f"== {calls} {kind} calls")
                talk = partial(_talk, peers, calls, streams)
                tables[f"{calls} {kind} calls"] = alternate(peers, talk, rounds, told)
    return tables


def _talk(peers: dict[str, Peer], calls: int, streams: list[Stream], name: str) -> Figures:
    report, cost, busy = peers[name].paced(*streams, seconds=2 * PACED_SECONDS)
    return {
        "cpu_microseconds_per_packet": cost,
        "busy": busy,
        "calls_per_core": calls / busy,
        "p99_microseconds": report["latency_microseconds"]["p99"],
        "all_lost": report["lost"],
        "all_reordered": report["reordered"],
    }


def transports(place: Place, rounds: int, told: Told, pairs: int = 10) -> dict[str, Table]:
    """The same media by UDP, TCP and TLS clients: what a packet costs the server."""
    tables = {}
    with ExitStack() as stack:
        servers = [
            stack.enter_context(turngate_relay(place, "native", streams=True)),
            stack.enter_context(turngate_relay(place, "asyncio", streams=True)),
            stack.enter_context(coturn(place)),
        ]
        for transport in ("udp", "tcp", "tls"):
            peers = {}
            for server in servers:
                address = server.streams.get(transport, server.address)
                clients = stack.enter_context(generator(address, place.secret_file, transport, place.trust))
                clients.do("allocate", pairs=pairs)
                clients.do("bind")
                peers[server.name] = Peer(server, clients)
            told(f"== {transport}")
            tables[transport] = alternate(peers, partial(_saturate, peers), rounds, told)
    return tables


def _saturate(peers: dict[str, Peer], name: str) -> Figures:
    report, cost, busy = peers[name].saturated(AUDIO_BYTES)
    return {
        "cpu_microseconds_per_packet": cost,
        "packets_per_second": report["delivered_per_second"],
        "busy": busy,
        "p99_microseconds": report["latency_microseconds"]["p99"],
        "all_lost": report["lost"],
    }
