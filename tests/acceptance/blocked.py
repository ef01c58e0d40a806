"""An edge across the DMZ for people whose networks let no UDP out, or nothing but HTTPS."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from tests.acceptance.dmz import (
    ADMIN_PORT,
    EDGE_ADMIN,
    EDGE_INSIDE,
    EDGE_OUTSIDE,
    HTTPS_PORT,
    RELAY_PORT,
    build,
)
from tests.acceptance.namespaces import Namespaces
from tests.acceptance.served_edge import Addresses, ServedEdge

Blocked = Literal["nothing", "udp", "all but https"]
SIDES = ("inside", "outside")

_RULES: dict[Blocked, tuple[str, ...]] = {
    "nothing": (),
    "udp": ("meta l4proto udp counter drop",),
    "all but https": ("meta l4proto udp counter drop", f"tcp dport != {HTTPS_PORT} counter drop"),
}


@contextmanager
def edge_behind_a_firewall(folder: Path, blocked: Blocked) -> Iterator[tuple[Namespaces, ServedEdge]]:
    """The edge runs in the body; workstation and guest may send what `blocked` leaves."""
    assert os.geteuid() == 0, "this test makes network namespaces, which only root may: run it as root"
    addresses = Addresses(
        EDGE_INSIDE,
        EDGE_OUTSIDE,
        EDGE_ADMIN,
        RELAY_PORT,
        HTTPS_PORT,
        HTTPS_PORT,
        ADMIN_PORT,
        relay_transports=("udp", "tcp"),
    )
    with Namespaces() as rooms:
        build(rooms)
        for side in SIDES:
            rooms.without_ipv6(side)
            rooms.run(side, ["nft", "-f", "-"], _firewall(_RULES[blocked]))
        with ServedEdge(folder, addresses, rooms.prefix("dmz")) as edge:
            yield rooms, edge


def _firewall(rules: tuple[str, ...]) -> str:
    chain = ["type filter hook output priority filter; policy accept;", 'oifname "lo" accept', *rules]
    return "table inet blocked {\n chain output {\n  " + "\n  ".join(chain) + "\n }\n}\n"
