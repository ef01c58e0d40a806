"""Where UDP is blocked, a call goes by TCP, and where only HTTPS passes, by TLS on the port of the pages."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.acceptance.blocked import SIDES, Blocked, edge_behind_a_firewall
from tests.acceptance.capture import UDP, capturing
from tests.acceptance.dmz import CALL_SECONDS, HTTPS_PORT, RELAY_PORT, SESSION_SECONDS
from tests.acceptance.participants import Account, hold_session

AUDIO_PACKETS_PER_SECOND = 50


async def nothing() -> None:
    """Looked at while the call is on: the captures see it all."""


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("blocked", "transport", "port"),
    [("udp", "tcp", RELAY_PORT), ("all but https", "tls", HTTPS_PORT)],
)
def test_a_call_finds_the_way_that_the_network_leaves_open(
    tmp_path: Path, blocked: Blocked, transport: str, port: int
) -> None:
    async def play() -> tuple[Account, Account]:
        async with asyncio.timeout(SESSION_SECONDS):
            workstation, guest = map(rooms.prefix, SIDES)
            return await hold_session(edge, workstation, guest, CALL_SECONDS, nothing)

    with edge_behind_a_firewall(tmp_path, blocked) as (rooms, edge):
        inside, outside = SIDES
        with (
            capturing(rooms.prefix(inside), "eth0", tmp_path / "workstation.pcap") as at_workstation,
            capturing(rooms.prefix(outside), "eth0", tmp_path / "guest.pcap") as at_guest,
        ):
            accounts = asyncio.run(play())
        for account in accounts:
            call = account.call
            assert call["relay_transport"] == transport
            assert call["selected_pair"] == "relay/relay"
            assert call["packets_lost"] == {"audio": 0, "video": 0}
            assert call["audio_packets_received"] > CALL_SECONDS * AUDIO_PACKETS_PER_SECOND / 2
            assert call["video_frames_received"] > 0
        for side, capture in zip(SIDES, (at_workstation, at_guest), strict=True):
            assert "counter packets 0 " not in rooms.run(side, ["nft", "list", "table", "inet", "blocked"])
            assert not any(packet.protocol == UDP for packet in capture.packets)
            bytes_by_port: dict[int, int] = {}
            for packet in capture.packets:
                at = min(packet.source.port, packet.destination.port)
                bytes_by_port[at] = bytes_by_port.get(at, 0) + len(packet.payload)
            assert max(bytes_by_port, key=lambda one: bytes_by_port[one]) == port
        records = edge.audit("list").stdout
        session = next(line.split()[1] for line in records.splitlines() if line.startswith("call "))
        assert f'"transport":"{transport}"' in edge.audit("show", session, "--json").stdout.replace(" ", "")
