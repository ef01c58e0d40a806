"""`make soak`: an eleven-minute call in real time through a served edge. Not one media packet may be lost.

Eleven minutes are past every clock of a call: refreshes of allocations (lifetime 600 s at most), permissions
(300 s), channels (600 s) and nonces. The participants are processes of their own with synthetic audio and
video; lost packets are the gaps in the sequence numbers that each of them received.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.acceptance.participants import Account, hold_session
from tests.acceptance.served_edge import ServedEdge

DEFAULT_CALL_SECONDS = 660.0
MIN_DELIVERED = 0.98
"""Packets received to those that the time holds: sources of tone that fell behind the clock are no soak."""
AUDIO_PACKETS_PER_SECOND = 50


async def _say_connected() -> None:
    print(f"[{time.strftime('%H:%M:%S')}] the call is up", file=sys.stderr, flush=True)


def run(folder: Path, call_seconds: float) -> dict[str, Any]:
    """The figures of one soak."""
    with ServedEdge(folder) as edge:
        insider, guest = asyncio.run(hold_session(edge, (), (), call_seconds, _say_connected))
        status = edge.stop()
        verified = edge.audit("verify", "--json")
        calls = edge.audit("list", "--type", "call", "--json")
        log = [line for line in edge.log().splitlines() if '"edge.ready"' not in line]
    figures = {
        "inside": _side(insider),
        "outside": _side(guest),
        "relay": _carried(json.loads(calls.stdout)),
        "edge_exit_status": status,
        "edge_log": log,
        "record": json.loads(verified.stdout),
    }
    return figures | {"faults": _faults(figures, call_seconds)}


def _side(account: Account) -> dict[str, Any]:
    names = (
        "seconds",
        "selected_pair",
        "packets_received",
        "packets_lost",
        "packets_lost_by_counterpart",
        "audio_frames_received",
        "video_frames_received",
        "bytes_received",
    )
    return {name: account.call[name] for name in names}


def _carried(call: dict[str, Any]) -> dict[str, Any]:
    """What the record says about the call."""
    return {name: call.get(name) for name in ("end", "end_reason", "packets", "bytes")}


def _faults(figures: dict[str, Any], call_seconds: float) -> list[str]:
    """What is not as it must be; nothing when the soak has passed."""
    faults = []
    for name in ("inside", "outside"):
        side = figures[name]
        if any((*side["packets_lost"].values(), *side["packets_lost_by_counterpart"].values())):
            faults.append(f"{name}: packets were lost")
        if side["selected_pair"] != "relay/relay":
            faults.append(f"{name}: the call was not relayed")
        if side["seconds"] < call_seconds:
            faults.append(f"{name}: the call was too short")
        if side["packets_received"]["audio"] < MIN_DELIVERED * AUDIO_PACKETS_PER_SECOND * side["seconds"]:
            faults.append(f"{name}: too few audio packets for the time")
    if figures["edge_exit_status"] != 0:
        faults.append("the edge did not stop in good order")
    if not figures["record"]["ok"]:
        faults.append(f"the record is not sound: {figures['record']['problem']}")
    return faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=DEFAULT_CALL_SECONDS, help="length of the call")
    with tempfile.TemporaryDirectory(prefix="turngate-soak-") as folder:
        figures = run(Path(folder), parser.parse_args().seconds)
    print(json.dumps(figures, indent=2))
    for fault in figures["faults"]:
        print(fault, file=sys.stderr)
    return 1 if figures["faults"] else 0


if __name__ == "__main__":
    sys.exit(main())
