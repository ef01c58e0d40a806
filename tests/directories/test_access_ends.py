"""A person who is disabled in the directory during a call: how soon nothing of theirs passes any more, and
what the record says."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from broker.cli.demo_house import EXTERNAL_GROUP
from broker.client.call import Call
from broker.client.errors import EdgeClosed, EdgeRefused
from broker.client.http import redeem, sign_in
from broker.client.invitations import split_link
from broker.client.participant import Participant, join
from broker.core.frames import InsiderWelcome
from tests.acceptance.capture import capturing, forwarded
from tests.acceptance.served_edge import ServedEdge
from tests.directories.authority import Authority
from tests.directories.population import PASSWORD
from tests.directories.samba import Samba, group_dn, person
from tests.directories.served import on_directory
from tests.directories.slow_proxy import slow_proxy

BUDGET_SECONDS = 60.0


@pytest.fixture(scope="module")
def host(samba: Samba) -> Iterator[str]:
    """Somebody who may have guests."""
    samba.add_user("hanna", name="Hanna Host")
    samba.add_group(EXTERNAL_GROUP)
    samba.add_members(EXTERNAL_GROUP, person("hanna"))
    yield "hanna"
    samba.delete(person("hanna"))
    samba.delete(group_dn(EXTERNAL_GROUP))


@asynccontextmanager
async def a_call_with_a_guest(edge: ServedEdge, login: str) -> AsyncIterator[tuple[Participant, Call, Call]]:
    """The host, and both sides of a call in which each hears the other."""
    async with AsyncExitStack() as stack:
        token = await sign_in(edge.inside, login, PASSWORD, edge.ca_file)
        host = await stack.enter_async_context(join(edge.inside, token, edge.ca_file))
        origin, secret = split_link((await host.invitations.create("Gus Guest", "the test")).link)
        visit = await redeem(origin, secret, "Gus Guest", edge.ca_file)
        guest = await stack.enter_async_context(join(origin, visit, edge.ca_file))
        await host.invitations.admit(guest.you.party)
        await guest.invitations.admitted()
        placed = await stack.enter_async_context(guest.calls.place(host.you.party, ["audio"]))
        taken = await stack.enter_async_context(host.calls.accept(await host.calls.next_ring()))
        for call in (placed, taken):
            await call.connected()
            await heard(call)
        yield host, taken, placed


async def heard(call: Call) -> None:
    """Half a second of the other side."""
    async with asyncio.timeout(20):
        while True:
            if (await call.report()).audio_packets_received >= 25:
                return
            await asyncio.sleep(0.1)


@pytest.mark.timeout(150)
@pytest.mark.parametrize("delay_seconds", [0.0, 0.5], ids=["at_once", "slowly"])
async def test_a_call_falls_silent_soon_after_one_side_is_disabled(
    samba: Samba, authority: Authority, host: str, tmp_path: Path, delay_seconds: float
) -> None:
    samba.enable(host)
    edge = ServedEdge(tmp_path)
    async with AsyncExitStack() as stack:
        server = samba.ldaps_url
        if delay_seconds:
            port = await stack.enter_async_context(slow_proxy(samba.address, 636, delay_seconds))
            server = f"ldaps://127.0.0.1:{port}"
        on_directory(edge, "active_directory", authority.path, server)
        stack.enter_context(edge)
        from_the_relay = f"udp and src port {edge.addresses.relay_port}"
        with capturing((), "lo", tmp_path / "lo.pcap", from_the_relay) as capture:
            async with a_call_with_a_guest(edge, host) as (participant, taken, placed):
                disabled_at = time.time()
                await asyncio.get_running_loop().run_in_executor(None, samba.disable, host)
                async with asyncio.timeout(BUDGET_SECONDS):
                    assert await taken.ended() == "access_ended"
                    assert await placed.ended() == "party_left", "what became of an account is nobody else's"
                with pytest.raises(EdgeClosed) as closed:
                    await participant.connection.wait_for(InsiderWelcome)
                assert closed.value.error is not None
                assert closed.value.error.code == "ACCESS_ENDED"
                with pytest.raises(EdgeRefused) as refused:
                    await sign_in(edge.inside, host, PASSWORD, edge.ca_file)
                assert refused.value.code == "SIGN_IN_REFUSED"
                await asyncio.sleep(1)  # in which a packet that is still forwarded would be seen
        last = max(packet.at for packet in forwarded(capture, edge.addresses.relay_port))
        print(f"last forwarded packet {last - disabled_at:.2f} s after the account was disabled")
        assert last - disabled_at <= BUDGET_SECONDS
        assert edge.stop() == 0
    assert edge.audit("verify").returncode == 0
    (call,) = recorded(edge, "call.closed")
    assert call["reason"] == "access_ended"
    (ended,) = recorded(edge, "auth.ended")
    assert ended["reason"] == "account_disabled"


def recorded(edge: ServedEdge, record_type: str) -> list[dict[str, Any]]:
    """What the records of one type say."""
    with closing(sqlite3.connect(edge.database)) as database:
        rows = database.execute("SELECT body FROM records WHERE type = ? ORDER BY seq", (record_type,))
        return [json.loads(body)["fields"] for (body,) in rows]
