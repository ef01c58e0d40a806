"""A relay in a process of its own, whose sessions are silenced and then ended while it forwards.

`python -m loadtests.relay_process PLANE SECRET_FILE` binds a free UDP port of 127.0.0.1 and says "ready
ADDRESS". A line on stdin, "all" or "half", names sessions: one call silences them, and one by one they are
ended. One JSON object on stdout tells when.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

import uvloop

from config.relay import RelaySettings
from loadtests.plane_process import PLENTY
from relay.planes.choice import choose_plane
from relay.service import Relay


async def end(relay: Relay, which: str) -> dict[str, object]:
    """Times are CLOCK_REALTIME in nanoseconds; `packets` is what the last counters say."""
    everything = sorted({one.session_id for one in relay.allocations()})
    named = everything if which == "all" else everything[::2]
    for one in relay.allocations():
        relay.limit_sender(one.session_id, one.party, PLENTY)
    commanded = time.time_ns()
    relay.silence(None if which == "all" else named)
    returned = time.time_ns()
    packets = 0
    for session_id in named:
        packets += relay.remove_session(session_id).total().packets
        # As for its owner, who has each end recorded: everything else has its turn in between.
        await asyncio.sleep(0)
    times = {"commanded": commanded, "returned": returned, "ended": time.time_ns()}
    return {**times, "packets": packets, "sessions": named}


async def read_events(relay: Relay) -> None:
    while True:
        await relay.events()


async def main(settings: RelaySettings, secret: bytes) -> None:
    lines = asyncio.StreamReader()
    reading = asyncio.StreamReaderProtocol(lines)
    await asyncio.get_running_loop().connect_read_pipe(lambda: reading, sys.stdin)
    plane = choose_plane(settings).plane
    async with (
        Relay(settings, [secret], admission_required=False, plane=plane) as relay,
        asyncio.TaskGroup() as tasks,
    ):
        events = tasks.create_task(read_events(relay))
        print(f"ready {relay.listeners[0].address}", flush=True)
        which = (await lines.readline()).decode().strip()
        print(json.dumps(await end(relay, which)), flush=True)
        # The media of the other sessions goes on.
        await lines.read()
        events.cancel()


if __name__ == "__main__":
    wanted = {"listen": ("udp://127.0.0.1:0",), "plane": sys.argv[1], "max_allocations": 1_000_000}
    uvloop.run(main(RelaySettings.model_validate(wanted), Path(sys.argv[2]).read_bytes().strip()))
