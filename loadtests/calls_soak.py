"""Ten minutes of 500 calls' audio and video through one worker, at 70 % of what the bare switch carries.

Not one packet may be lost, and the relay's memory may not grow. Clients refresh allocations and channels.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack

from loadtests.generator import AUDIO_BYTES, VIDEO_BYTES, free_udp_port, generator
from loadtests.media import (
    AUDIO_PER_SECOND,
    PACKETS_PER_FRAME,
    SAFE_SHARE,
    SATURATED_SECONDS,
    WINDOW_PACKETS,
    conversation_streams,
)
from loadtests.place import Place
from loadtests.servers import bare_switch, spending, turngate_relay

CALLS = 500
SECONDS = 600.0
REFRESH_EVERY_SECONDS = 240.0
SAMPLE_EVERY_SECONDS = 5.0

Told = Callable[[str], None]


def soak(place: Place, told: Told, seconds: float = SECONDS) -> dict[str, float]:
    """What was sent and lost, and what the relay's memory was once all was warm, and at the end."""
    bound = _bound(place)
    video = SAFE_SHARE * bound - 2 * CALLS * AUDIO_PER_SECOND
    frames_per_second = video / (2 * CALLS * PACKETS_PER_FRAME)
    told(f"the bare switch carries {bound:.0f} packets a second; frames a second: {frames_per_second:.1f}")
    over = threading.Event()
    resident: list[int] = []
    with (
        turngate_relay(place, "native", "relay.plane_workers=1") as server,
        generator(server.address, place.secret_file) as clients,
    ):
        clients.do("allocate", pairs=CALLS)
        clients.do("bind")

        def sample() -> None:
            while not over.wait(SAMPLE_EVERY_SECONDS):
                resident.append(server.resident_bytes())

        sampling = threading.Thread(target=sample)
        sampling.start()
        try:
            with spending(server) as spent:
                report = clients.paced(
                    *conversation_streams(CALLS, PACKETS_PER_FRAME, frames_per_second),
                    seconds=seconds,
                    refresh_every_seconds=REFRESH_EVERY_SECONDS,
                )
        finally:
            over.set()
            sampling.join()
    warm = resident[len(resident) // 10 :]
    latency = report["latency_microseconds"]
    return {
        "seconds": seconds,
        "bound_packets_per_second": bound,
        "packets_per_second": report["delivered_per_second"],
        "sent": report["sent"],
        "lost": report["lost"],
        "reordered": report["reordered"],
        "misdelivered": report["misdelivered"],
        "behind_milliseconds": report["behind_milliseconds"],
        "p50_microseconds": latency["p50"],
        "p99_microseconds": latency["p99"],
        "slowest_microseconds": latency["max"],
        "refreshes": report["refreshes"],
        "refreshes_unanswered": report["refreshes_unanswered"],
        "refreshes_refused": report["refreshes_refused"],
        "busy": spent.busy,
        "resident_bytes_warm": float(warm[0]),
        "resident_bytes_most": float(max(warm)),
        "resident_bytes_end": float(warm[-1]),
    }


def _bound(place: Place) -> float:
    """Packets a second of this mix: of both sizes by turns, one second of each weighed by its share of it."""
    with ExitStack() as stack:
        port = free_udp_port()
        clients = stack.enter_context(generator(f"127.0.0.1:{port}", place.secret_file))
        stack.enter_context(bare_switch(clients.clients_port, CALLS, port))
        clients.do("adopt", pairs=CALLS)
        rates: dict[int, float] = {}
        for payload_bytes in (AUDIO_BYTES, VIDEO_BYTES, AUDIO_BYTES, VIDEO_BYTES):
            report = clients.window(WINDOW_PACKETS, payload_bytes, SATURATED_SECONDS)
            rates[payload_bytes] = report["delivered_per_second"]
    audio = 2 * CALLS * AUDIO_PER_SECOND
    # Of a second, what audio leaves of the switch's time is video's.
    return audio + (1 - audio / rates[AUDIO_BYTES]) * rates[VIDEO_BYTES]
