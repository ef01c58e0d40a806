"""Rows come and go under full load, and nothing leaves by one whose removal had returned.

Every packet has a sequence number and every row a channel number, under which its packets arrive. The kernel
notes when a packet was sent to the receiver's host, by the clock that tells when a removal had returned.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from loadtests.generator import AUDIO_BYTES, Generator, Report, free_udp_port, generator
from loadtests.place import Place

PAIRS = 50
WORKERS = 2
CHANGES_PER_SECOND = 1000
SECONDS = 12.0
"""A sender's rows have channel numbers of their own for as long."""
STOPPED_PAIRS = 5000
WINDOW_PACKETS = 512
SETTLED_SECONDS = 0.5

Told = Callable[[str], None]


@contextmanager
def _plane(clients_port: int, pairs: int, changes_per_second: float, seconds: float) -> Iterator[Any]:
    command = [sys.executable, "-m", "loadtests.plane_process"]
    command += [str(one) for one in (clients_port, pairs, WORKERS, changes_per_second, seconds)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def run(place: Place, rounds: int, told: Told) -> dict[str, float]:
    """`rounds` times; the figures are sums and worst cases."""
    counted = ("changes", "rows", "packets", "after_removal", "out_of_generation", "misdelivered")
    sums = dict.fromkeys(counted, 0.0)
    worst = {"changes_per_second": 0.0, "packets_per_second": 0.0, "slowest_change_milliseconds": 0.0}
    for number in range(rounds):
        port = free_udp_port()
        with _plane(port, PAIRS, CHANGES_PER_SECOND, SECONDS) as process:
            server = process.stdout.readline().split()[1]
            with generator(server, place.secret_file, clients_port=port) as clients:
                clients.do("adopt", pairs=PAIRS)
                report, changed = _under_load(process, clients, SECONDS)
        found = violations(report, changed)
        sums["changes"] += changed["changes"]
        sums["rows"] += len(changed["removed"])
        sums["packets"] += report["delivered"]
        sums["misdelivered"] += report["misdelivered"]
        sums["after_removal"] += found["after_removal"]
        sums["out_of_generation"] += found["out_of_generation"]
        rates = {
            "changes_per_second": changed["changes"] / changed["seconds"],
            "packets_per_second": report["delivered"] / changed["seconds"],
        }
        for name, rate in rates.items():
            worst[name] = min(worst[name] or rate, rate)
        slowest = changed["slowest_change_seconds"] * 1000
        worst["slowest_change_milliseconds"] = max(worst["slowest_change_milliseconds"], slowest)
        told(f"round {number}: {sums} {worst} faults {changed['faults']}")
        if changed["faults"]:
            raise RuntimeError("the plane had faults")
    return sums | worst


def stop_of_everything(place: Place, rounds: int, told: Told) -> dict[str, float]:
    """`remove_all` of 10,000 rows under full load: how long it takes, and what left after it had returned."""
    slowest = late = 0.0
    for number in range(rounds):
        port = free_udp_port()
        with _plane(port, STOPPED_PAIRS, 0, SETTLED_SECONDS) as process:
            server = process.stdout.readline().split()[1]
            with generator(server, place.secret_file, clients_port=port) as clients:
                clients.do("adopt", pairs=STOPPED_PAIRS)
                report, changed = _under_load(process, clients, 3 * SETTLED_SECONDS)
        slowest = max(slowest, changed["remove_all_seconds"] * 1000)
        late += violations(report, changed)["after_removal"]
        told(f"round {number}: {changed['remove_all_seconds'] * 1000:.2f} ms, {len(report['channels'])} rows")
    return {"remove_all_milliseconds": slowest, "after_removal": late}


def _under_load(process: Any, clients: Generator, seconds: float) -> tuple[Report, dict[str, Any]]:
    schedule = {"packets": WINDOW_PACKETS, "payload_bytes": AUDIO_BYTES, "payload_type": 0}
    clients.tell("traffic", schedule={"window": schedule}, seconds=seconds + 0.5, by_channel=True)
    process.stdin.write("change\n")
    process.stdin.flush()
    changed: dict[str, Any] = json.loads(process.stdout.readline())
    return clients.heard(), changed


def violations(report: Report, changed: dict[str, Any]) -> dict[str, int]:
    """Rows that let a packet leave after their removal, and rows with packets older than the last row's."""
    removed = {(client, channel): at for client, channel, at in changed["removed"]}
    late = disordered = 0
    before: dict[int, int] = {}
    for client, channel, seen in sorted(report["channels"]):
        late += seen["last_nanoseconds"] > removed[client, channel]
        disordered += seen["first_sequence"] <= before.get(client, -1)
        before[client] = seen["last_sequence"]
    return {"after_removal": late, "out_of_generation": disordered}
