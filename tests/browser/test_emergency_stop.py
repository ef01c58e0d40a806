"""Ten live calls, of Chromium and Python clients, and the red button: what passes after it, what everybody is
told, and who is let back in."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from broker.client.call import Call
from broker.client.errors import EdgeClosed, EdgeRefused
from broker.client.http import redeem, sign_in
from broker.client.invitations import split_link
from broker.client.participant import Participant, join
from broker.core.frames import InsiderWelcome
from tests.acceptance.capture import capturing, forwarded
from tests.acceptance.crowd import administer, crowded_edge
from tests.acceptance.served_edge import ServedEdge
from tests.browser.call_figures import grows
from tests.browser.conftest import ARTEFACTS, Browsing
from tests.browser.visitor import enter_lobby, invite, let_in, open_conversation, picture
from tests.browser.visitor import sign_in as sign_in_by_page

pytestmark = pytest.mark.asyncio(loop_scope="session")

PYTHON_CALLS = 7
BUDGET_SECONDS = 0.2
"""From the command to the last forwarded packet."""
WATCHED_SECONDS = 3.0
SENTENCE = "This has been stopped for now by the organisation."


@dataclass
class Talk:
    """A Python client in a call."""

    who: Participant
    call: Call

    async def hears(self) -> None:
        async with asyncio.timeout(20):
            while True:
                if (await self.call.report()).audio_packets_received >= 25:
                    break
                await asyncio.sleep(0.1)

    async def is_told_why(self) -> None:
        assert await self.call.ended() == "emergency_stop"
        with pytest.raises(EdgeClosed) as closed:
            await self.who.connection.wait_for(InsiderWelcome)
        assert closed.value.error is not None
        assert closed.value.error.code == "EMERGENCY_STOP"
        assert closed.value.error.return_after_seconds


async def a_call(stack: AsyncExitStack, caller: Participant, callee: Participant) -> list[Talk]:
    placed = await stack.enter_async_context(caller.calls.place(callee.you.party, ["audio"]))
    taken = await stack.enter_async_context(callee.calls.accept(await callee.calls.next_ring()))
    await placed.connected()
    await taken.connected()
    return [Talk(caller, placed), Talk(callee, taken)]


async def insider(stack: AsyncExitStack, edge: ServedEdge, login: str) -> Participant:
    token = await sign_in(edge.inside, login, edge.person(login).password, edge.ca_file)
    return await stack.enter_async_context(join(edge.inside, token, edge.ca_file))


async def python_calls(stack: AsyncExitStack, edge: ServedEdge) -> list[Talk]:
    """Between insiders, and one of a host with a guest."""
    talks: list[Talk] = []
    for number in range(PYTHON_CALLS):
        pair = [await insider(stack, edge, f"p{2 * number + side}") for side in (0, 1)]
        talks += await a_call(stack, *pair)
    host = await insider(stack, edge, f"p{2 * PYTHON_CALLS}")
    origin, secret = split_link((await host.invitations.create("Gus Guest", "A talk")).link)
    token = await redeem(origin, secret, "Gus Guest", edge.ca_file)
    guest = await stack.enter_async_context(join(origin, token, edge.ca_file))
    await host.invitations.admit(guest.you.party)
    await guest.invitations.admitted()
    return talks + await a_call(stack, host, guest)


async def browser_calls(
    stack: AsyncExitStack, browsing: Browsing, edge: ServedEdge
) -> tuple[list[Page], list[Talk]]:
    """A host with a guest, both in Chromium and with pictures; and a page with a Python client."""
    pages = [await browsing.open(edge.inside), await browsing.open(edge.inside)]
    for page, login in zip(pages, ("alice", "bob"), strict=True):
        await sign_in_by_page(page, login, edge.person(login).password)
    guest = await browsing.open(await invite(pages[0], "Gordon Guest"))
    await enter_lobby(guest, "Gordon Guest")
    await let_in(pages[0], "Gordon Guest")
    await open_conversation(pages[0], "Gordon Guest")
    await pages[0].get_by_role("button", name="Video call").click()
    await guest.get_by_role("button", name="Answer with camera").click()
    caller = await insider(stack, edge, "carol")
    welcome = caller.connection.welcome
    assert isinstance(welcome, InsiderWelcome)
    party = next(one.party for one in welcome.contacts if one.name == "Bob Baker")
    call = await stack.enter_async_context(caller.calls.place(party, ["audio"]))
    await pages[1].get_by_role("button", name="Answer", exact=True).click()
    await call.connected()
    return [*pages, guest], [Talk(caller, call)]


@asynccontextmanager
async def ten_calls(browsing: Browsing, edge: ServedEdge) -> AsyncIterator[tuple[list[Page], list[Talk]]]:
    async with AsyncExitStack() as stack:
        talks = await python_calls(stack, edge)
        pages, more = await browser_calls(stack, browsing, edge)
        assert len(talks) // 2 + 2 == 10
        for page in pages:
            await grows(page, "audio", "packets")
        for talk in (*talks, *more):
            await talk.hears()
        yield pages, [*talks, *more]


@contextmanager
def locked_database(edge: ServedEdge) -> Iterator[None]:
    """Nobody else writes to it."""
    with closing(sqlite3.connect(edge.database, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            connection.execute("ROLLBACK")


async def assert_nothing_opens(edge: ServedEdge) -> None:
    with pytest.raises(EdgeRefused) as refused:
        await sign_in(edge.inside, "p0", edge.person("p0").password, edge.ca_file)
    assert refused.value.code == "EMERGENCY_STOP"
    assert refused.value.return_after_seconds is not None


async def lifted(edge: ServedEdge) -> bool:
    """Whether nothing is stopped any more, after two administrators have asked for that."""
    first = await administer(edge, "operator", "/api/emergency/lift", {"scope": "all"})
    assert first["stops"], "one is not enough"
    second = await administer(edge, "policy_administrator", "/api/emergency/lift", {"scope": "all"})
    return not second["stops"]


@pytest.mark.timeout(240)
@pytest.mark.parametrize("database", ["well", "unreachable"])
async def test_ten_calls_fall_silent_and_nobody_returns_before_two_administrators_say_so(
    browsing: Browsing, tmp_path: Path, database: str
) -> None:
    edge = crowded_edge(tmp_path, 2 * PYTHON_CALLS + 1)
    record_fails = database == "unreachable"
    with edge:
        from_the_relay = f"udp and src port {edge.addresses.relay_port}"
        with capturing((), "lo", tmp_path / "lo.pcap", from_the_relay) as capture, ExitStack() as fault:
            async with ten_calls(browsing, edge) as (pages, talks):
                if record_fails:
                    fault.enter_context(locked_database(edge))
                pressed_at = time.time()
                (edge.data / "emergency" / "stop").touch()
                for page in pages:
                    await expect(page.get_by_text(SENTENCE).first).to_be_visible()
                for number, page in enumerate(pages):
                    await picture(page, ARTEFACTS, f"emergency-stopped-{number}")
                for talk in talks:
                    await talk.is_told_why()
                await asyncio.sleep(max(0.0, pressed_at + WATCHED_SECONDS - time.time()))
            edge.kill()
            if record_fails:
                with pytest.raises(AssertionError, match="did not start"):
                    edge.start()
        passed_on = forwarded(capture, edge.addresses.relay_port)
        before = [packet for packet in passed_on if packet.at < pressed_at]
        assert len({packet.destination for packet in before}) >= 20, "every side of ten calls was sent media"
        last = max(packet.at for packet in passed_on)
        print(f"last forwarded packet {(last - pressed_at) * 1000:.1f} ms after the button was pressed")
        assert last - pressed_at <= BUDGET_SECONDS
        edge.start()
        await assert_nothing_opens(edge)
        assert await lifted(edge)
        assert await sign_in(edge.inside, "p0", edge.person("p0").password, edge.ca_file)
        assert edge.stop() == 0
    assert edge.audit("verify").returncode == 0
