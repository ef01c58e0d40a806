"""An edge in a DMZ as the documentation draws it, between a workstation and a guest, and one session across
it.

    inside                      dmz                                        outside
    workstation 192.0.2.10 ---- 192.0.2.1 [inside0]  edge  [outside0] 203.0.113.1 ---- 203.0.113.10 guest
                                     198.51.100.1 [third0] ---- 198.51.100.10 somebody else

The edge is everybody's default route and forwards nothing. Its firewall lets in what `turngate ports` says,
each row at the interface that has the row's address, and nothing else.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tests.acceptance.capture import Capture, capturing
from tests.acceptance.namespaces import End, Namespaces
from tests.acceptance.participants import Account, hold_session
from tests.acceptance.served_edge import Addresses, ServedEdge

WORKSTATION, GUEST, STRANGER = "192.0.2.10", "203.0.113.10", "198.51.100.10"
EDGE_INSIDE, EDGE_OUTSIDE, EDGE_THIRD = "192.0.2.1", "203.0.113.1", "198.51.100.1"
EDGE_ADMIN = "127.0.0.1"
HTTPS_PORT, ADMIN_PORT, RELAY_PORT = 443, 7443, 3478
ROOMS = ("inside", "dmz", "outside", "third")
INTERFACES = {EDGE_INSIDE: "inside0", EDGE_OUTSIDE: "outside0", EDGE_ADMIN: "lo"}
CALL_SECONDS = 5.0
SESSION_SECONDS = 45.0
"""Below the test's own limit, which would leave the namespaces behind."""


class Listening(NamedTuple):
    protocol: str
    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was seen of one session, from every place."""

    edge: ServedEdge
    insider: Account
    guest: Account
    at_workstation: Capture
    at_guest: Capture
    documented: frozenset[Listening]
    """What `turngate ports` says."""
    listening_before: frozenset[Listening]
    listening_during: frozenset[Listening]
    listening_pids: frozenset[int]
    reached: dict[str, dict[str, str]]
    """For each room, what each target did when called from there."""
    edge_forwards: bool


def targets(*addresses: str) -> list[str]:
    """Everything an edge could be asked for at these addresses."""
    tcp = [f"tcp:{address}:{port}" for address in addresses for port in (HTTPS_PORT, ADMIN_PORT, RELAY_PORT)]
    return tcp + [f"udp:{address}:{RELAY_PORT}" for address in addresses]


@contextmanager
def session_across_the_dmz(folder: Path) -> Iterator[Evidence]:
    """Played once; the edge still runs in the body."""
    assert os.geteuid() == 0, "this test makes network namespaces, which only root may: run it as root"
    addresses = Addresses(
        EDGE_INSIDE, EDGE_OUTSIDE, EDGE_ADMIN, RELAY_PORT, HTTPS_PORT, HTTPS_PORT, ADMIN_PORT
    )
    with Namespaces() as rooms:
        build(rooms)
        with ServedEdge(folder, addresses, rooms.prefix("dmz")) as edge:
            yield _observe(rooms, edge, folder)


def build(rooms: Namespaces) -> None:
    """The rooms and the cables of the picture above."""
    rooms.add(*ROOMS)
    rooms.connect(End("dmz", "inside0", f"{EDGE_INSIDE}/24"), End("inside", "eth0", f"{WORKSTATION}/24"))
    rooms.connect(End("dmz", "outside0", f"{EDGE_OUTSIDE}/24"), End("outside", "eth0", f"{GUEST}/24"))
    rooms.connect(End("dmz", "third0", f"{EDGE_THIRD}/24"), End("third", "eth0", f"{STRANGER}/24"))
    rooms.route_everything("inside", EDGE_INSIDE)
    rooms.route_everything("outside", EDGE_OUTSIDE)
    rooms.route_everything("third", EDGE_THIRD)
    rooms.set_forwarding("dmz", on=False)


def _observe(rooms: Namespaces, edge: ServedEdge, folder: Path) -> Evidence:
    before, _ = _listening(rooms)
    # Without the firewall, so that "refused" comes from the machine itself: nothing listens there.
    reached = {"third, no firewall": _reach(rooms, "third", targets(EDGE_THIRD))}
    documented = _documented(edge)
    rooms.run("dmz", ["nft", "-f", "-"], _firewall(documented))
    everywhere = targets(EDGE_INSIDE, EDGE_OUTSIDE, EDGE_THIRD, WORKSTATION)
    for room in ("inside", "outside", "third"):
        reached[room] = _reach(rooms, room, everywhere)
    during: list[tuple[frozenset[Listening], frozenset[int]]] = []

    async def look() -> None:
        during.append(_listening(rooms))

    async def play() -> tuple[Account, Account]:
        async with asyncio.timeout(SESSION_SECONDS):
            prefixes = rooms.prefix("inside"), rooms.prefix("outside")
            return await hold_session(edge, *prefixes, CALL_SECONDS, look, (WORKSTATION, GUEST))

    with (
        capturing(rooms.prefix("inside"), "eth0", folder / "workstation.pcap") as at_workstation,
        capturing(rooms.prefix("outside"), "eth0", folder / "guest.pcap") as at_guest,
    ):
        insider, guest = asyncio.run(play())
    listening, pids = during[0]
    return Evidence(
        edge,
        insider,
        guest,
        at_workstation,
        at_guest,
        documented,
        before,
        listening,
        pids,
        reached,
        rooms.forwards("dmz"),
    )


def _reach(rooms: Namespaces, room: str, wanted: Iterable[str]) -> dict[str, str]:
    command = [sys.executable, "-m", "tests.acceptance.reach_process", *wanted]
    answer: dict[str, str] = json.loads(rooms.run(room, command))
    return answer


def _documented(edge: ServedEdge) -> frozenset[Listening]:
    command = [sys.executable, "-m", "broker.cli.main", "ports", "--config", str(edge.config)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=20, env=edge.environment, check=True
    )
    heading, *lines = done.stdout.splitlines()
    assert heading.split() == ["direction", "protocol", "address", "port", "why"]
    rows = [line.split(maxsplit=4) for line in lines]
    assert {direction for direction, *_ in rows} == {"in"}
    return frozenset(Listening(protocol, address, int(port)) for _, protocol, address, port, _ in rows)


def _firewall(documented: Iterable[Listening]) -> str:
    rules = [
        f'iifname "{INTERFACES[address]}" ip daddr {address} {protocol} dport {port} accept'
        for protocol, address, port in sorted(documented)
    ]
    chain = ["type filter hook input priority filter; policy drop;", *rules]
    return "table inet edge {\n chain input {\n  " + "\n  ".join(chain) + "\n }\n}\n"


def _listening(rooms: Namespaces) -> tuple[frozenset[Listening], frozenset[int]]:
    """Every socket in the DMZ that takes packets from strangers, and the processes they belong to."""
    sockets, pids = set(), set()
    for line in rooms.run("dmz", ["ss", "-Hlntup"]).splitlines():
        protocol, _, _, _, local, _, owners = line.split(maxsplit=6)
        address, _, port = local.rpartition(":")
        sockets.add(Listening(protocol, address, int(port)))
        pids |= {
            int(part.partition("=")[2]) for part in owners.replace(")", ",").split(",") if "pid=" in part
        }
    return frozenset(sockets), frozenset(pids)
