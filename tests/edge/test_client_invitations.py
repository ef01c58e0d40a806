"""Invitations of a Python client over a real edge: other links, lobbies let in at once, and the end."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from broker.client.errors import EdgeClosed, EdgeRefused
from broker.client.http import redeem
from broker.client.invitations import split_link
from broker.client.participant import Participant, join
from broker.core.frames import InsiderWelcome, InvitationGone, PresenceChanged
from tests.edge.bench_house import with_house
from tests.edge.edge_bench import Bench, edge_bench, running_bench


async def insider(stack: AsyncExitStack, bench: Bench, login: str) -> Participant:
    token = await bench.token_of(login)
    return await stack.enter_async_context(join(bench.inside, token, bench.house.ca_file))


async def token_for(bench: Bench, link: str, name: str) -> str:
    origin, secret = split_link(link)
    return await redeem(origin, secret, name, bench.house.ca_file)


async def visitor(stack: AsyncExitStack, bench: Bench, link: str, name: str) -> Participant:
    token = await token_for(bench, link, name)
    return await stack.enter_async_context(join(bench.outside, token, bench.house.ca_file))


async def test_all_who_wait_are_let_in_at_once_and_shown_out_by_the_revocation(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench, AsyncExitStack() as stack:
        alice = await insider(stack, bench, "alice")
        made = await alice.invitations.create("Partners", "A workshop", redemptions=2)
        guests = [await visitor(stack, bench, made.link, name) for name in ("Gus", "Gina")]
        waiting = [await alice.invitations.next_waiting() for _ in guests]
        assert {one.guest.name for one in waiting} == {"Gus", "Gina"}
        assert {(one.guest.invited_as, one.purpose) for one in waiting} == {("Partners", "A workshop")}
        await alice.invitations.admit_all([one.guest.party for one in waiting])
        for guest in guests:
            assert (await guest.invitations.admitted()).party == alice.you.party
            shown = await alice.connection.wait_for(PresenceChanged)
            assert shown.contact.invited_as == "Partners"
        await alice.invitations.revoke(made.invitation.invitation_id)
        await alice.connection.wait_for(InvitationGone)
        for guest in guests:
            with pytest.raises(EdgeClosed):
                await guest.connection.wait_for(InsiderWelcome)


async def test_another_link_takes_the_place_of_the_old_one_also_after_a_restart(tmp_path: Path) -> None:
    house = with_house(tmp_path)
    async with running_bench(house) as bench, AsyncExitStack() as stack:
        alice = await insider(stack, bench, "alice")
        old = await alice.invitations.create("Gus", "A talk", redemptions=1)
        token = await token_for(bench, old.link, "Gus")
        again = await alice.invitations.reissue(old.invitation.invitation_id)
        assert again.link != old.link
        assert (again.invitation.redemptions_left, again.invitation.guests) == (1, 1)
        with pytest.raises(EdgeRefused, match="INVITATION_INVALID"):
            await token_for(bench, old.link, "Mallory")
        with pytest.raises(EdgeRefused, match="UNKNOWN_INVITATION"):
            await alice.invitations.reissue("i-none")
    async with running_bench(house) as bench, AsyncExitStack() as stack:
        alice = await insider(stack, bench, "alice")
        welcome = alice.connection.welcome
        assert isinstance(welcome, InsiderWelcome)
        assert welcome.invitations == [again.invitation]
        with pytest.raises(EdgeRefused, match="INVITATION_INVALID"):
            await token_for(bench, old.link, "Mallory")
        await stack.enter_async_context(join(bench.outside, token, house.ca_file))
        assert await token_for(bench, again.link, "Gus")
        with pytest.raises(EdgeRefused, match="INVITATION_INVALID"):
            await token_for(bench, again.link, "Mallory")
