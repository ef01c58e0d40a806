"""Rows come and go under full load, and nothing leaves by one whose removal had returned.

Every packet has a sequence number and every row a channel number, under which its packets arrive. The kernel
notes when a packet was sent to the receiver's host, by the clock that tells when a removal had returned.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from loadtests.generator import AUDIO_BYTES, Generator, Report, free_udp_port, generator, stream
from loadtests.place import Place
from loadtests.rounds import Figures, Table

PAIRS = 50
WORKERS = 2
CHANGES_PER_SECOND = 1000
SECONDS = 12.0
"""A sender's rows have channel numbers of their own for as long."""
STOPPED_PAIRS = 5000
WINDOW_PACKETS = 512
SETTLED_SECONDS = 0.5
SILENCED_PACKETS_PER_SECOND = 100_000
WATCHED_SECONDS = 3.0

Told = Callable[[str], None]


@contextmanager
def _process(module: str, *options: object) -> Iterator[Any]:
    command = [sys.executable, "-m", f"loadtests.{module}", *(str(one) for one in options)]
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
        with _process("plane_process", port, PAIRS, WORKERS, CHANGES_PER_SECOND, SECONDS) as process:
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
    """`remove_all` of 10,000 rows under full load: until the last packet, and until it has returned."""
    last = slowest = late = 0.0
    for number in range(rounds):
        port = free_udp_port()
        with _process("plane_process", port, STOPPED_PAIRS, WORKERS, 0, SETTLED_SECONDS) as process:
            server = process.stdout.readline().split()[1]
            with generator(server, place.secret_file, clients_port=port) as clients:
                clients.do("adopt", pairs=STOPPED_PAIRS)
                report, changed = _under_load(process, clients, 3 * SETTLED_SECONDS)
        took = changed["remove_all_seconds"] * 1000
        returned = changed["removed"][-1][-1]
        to_last = took - (returned - max(_last_packets(report["channels"]))) / 1e6
        last, slowest = max(last, to_last), max(slowest, took)
        late += violations(report, changed)["after_removal"]
        told(f"round {number}: {to_last:.2f} of {took:.2f} ms, {len(report['channels'])} rows")
    return {
        "milliseconds_to_last_packet": last,
        "remove_all_milliseconds": slowest,
        "after_removal": late,
    }


def silences(place: Place, rounds: int, told: Told) -> Table:
    """`Relay.silence` of all 5,000 sessions under load, and of half of them; worst cases."""
    worst: Table = {}
    for number in range(rounds):
        for plane in ("native", "asyncio"):
            for which in ("all", "half"):
                name = f"turngate {plane}, {which}"
                found = _silenced(place, plane, which)
                before = worst.get(name, found)
                worst[name] = {figure: max(value, before[figure]) for figure, value in found.items()}
                told(f"round {number}, {name}: {found}")
    return worst


def _silenced(place: Place, plane: str, which: str) -> Figures:
    with _process("relay_process", plane, place.secret_file) as process:
        server = process.stdout.readline().split()[1]
        with generator(server, place.secret_file) as clients:
            clients.do("allocate", pairs=STOPPED_PAIRS)
            clients.do("bind")
            schedule = {"paced": [stream(AUDIO_BYTES, SILENCED_PACKETS_PER_SECOND)]}
            clients.tell("traffic", schedule=schedule, seconds=WATCHED_SECONDS, by_channel=True)
            time.sleep(WATCHED_SECONDS / 3)
            process.stdin.write(f"{which}\n")
            process.stdin.flush()
            ended = json.loads(process.stdout.readline())
            report = clients.heard()
    return silence_figures(report, ended)


def silence_figures(report: Report, ended: dict[str, Any]) -> Figures:
    """From the call on; 0 for what had left before it."""
    sessions = set(ended["sessions"])
    silenced = [one for one in report["channels"] if f"pair{one[0] // 2}" in sessions]
    delivered = sum(seen["packets"] for _, _, seen in silenced)
    if ended["packets"] < delivered:
        raise RuntimeError(f"{delivered} packets arrived and {ended['packets']} were counted")
    last_packets = _last_packets(silenced)
    commanded: int = ended["commanded"]

    def after(nanoseconds: int) -> float:
        return max(0.0, (nanoseconds - commanded) / 1e6)

    return {
        "milliseconds_to_last_packet": after(max(last_packets)),
        "milliseconds_to_return": after(ended["returned"]),
        "milliseconds_until_all_ended": after(ended["ended"]),
        "rows_that_sent_after_return": float(sum(at > ended["returned"] for at in last_packets)),
        "rows": float(len(silenced)),
    }


def _last_packets(channels: Any) -> list[int]:
    """Of each row, when the last packet it let pass left."""
    return [seen["last_nanoseconds"] for _, _, seen in channels]


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
