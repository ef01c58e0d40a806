"""Chat between two Python clients over a real edge, across disconnections, policy changes and restarts."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from broker.client.connection import connect
from broker.client.errors import EdgeRefused
from broker.client.http import leave, redeem, sign_in
from broker.client.invitations import split_link
from broker.client.participant import Participant, join
from broker.core.frames import ChatMessage, GuestWelcome
from tests.edge.bench_house import GUEST_NAME, NO_CHAT, POLICY, BenchHouse, password_of, with_house
from tests.edge.edge_bench import Bench, edge_bench, running_bench


@asynccontextmanager
async def insider(bench: Bench, login: str) -> AsyncIterator[Participant]:
    async with join(bench.inside, await bench.token_of(login), bench.house.ca_file) as participant:
        yield participant


async def guest_token(bench: Bench, host: Participant) -> str:
    origin, secret = split_link((await host.invitations.create(GUEST_NAME, "A talk")).link)
    return await redeem(origin, secret, GUEST_NAME, bench.house.ca_file)


def stored(bench: Bench, kind: str) -> list[str]:
    return [str(record["fields"]["message_id"]) for record in bench.records(kind)]


async def test_people_inside_and_a_guest_talk_both_ways(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench, insider(bench, "bob") as bob:
        token = await sign_in(bench.inside, "alice", password_of("alice"), bench.house.ca_file)
        async with join(bench.inside, token, bench.house.ca_file) as alice:
            visit = await guest_token(bench, alice)
            async with join(bench.outside, visit, bench.house.ca_file) as guest:
                with pytest.raises(EdgeRefused, match="STILL_IN_LOBBY"):
                    await guest.chat.send(alice.you.party, "too early")
                await alice.invitations.admit((await alice.invitations.next_waiting()).guest.party)
                await guest.invitations.admitted()
                for sender, receiver in ((alice, bob), (bob, alice), (alice, guest), (guest, alice)):
                    text = f"from {sender.you.name} 🙂 \u202e\x07"
                    message_id = await sender.chat.send(receiver.you.party, text)
                    message = await receiver.chat.next_message()
                    assert (message.message_id, message.text) == (message_id, text)
                    assert message.sender.party == sender.you.party
                with pytest.raises(EdgeRefused, match="POLICY_NOT_YOUR_HOST"):
                    await guest.chat.send(bob.you.party, "over the fence")
        assert len(await bench.recorded("chat.delivered", 4)) == 4


async def test_a_message_to_somebody_who_is_away_is_delivered_on_their_return_once(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench, insider(bench, "alice") as alice:
        bob = await bench.party("bob")
        sent = [await alice.chat.send(bob, f"number {number}") for number in range(3)]
        async with insider(bench, "bob") as back:
            assert [(await back.chat.next_message()).message_id for _ in sent] == sent
            await bench.recorded("chat.delivered", 3)
        async with insider(bench, "bob") as again:
            after = await alice.chat.send(bob, "after")
            assert (await again.chat.next_message()).message_id == after


async def test_what_policy_forbids_meanwhile_is_withheld_for_good(tmp_path: Path) -> None:
    house = with_house(tmp_path)
    async with running_bench(house) as bench, insider(bench, "alice") as alice:
        bob = await bench.party("bob")
        message_id = await alice.chat.send(bob, "while it was allowed")
    async with running_bench(house.under_policy(POLICY + NO_CHAT)) as bench:
        async with insider(bench, "bob"):
            (withheld,) = await bench.recorded("chat.withheld")
        assert withheld["fields"]["message_id"] == message_id
        assert withheld["fields"]["code"] == "POLICY_DENIED"
    async with (
        running_bench(house.under_policy(POLICY)) as bench,
        insider(bench, "alice") as alice,
        insider(bench, "bob") as back,
    ):
        allowed = await alice.chat.send(bob, "allowed again")
        assert (await back.chat.next_message()).message_id == allowed
        assert stored(bench, "chat.released") == []


async def test_what_was_never_acknowledged_comes_again_and_is_settled_once(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench, insider(bench, "alice") as alice:
        token = await bench.token_of("bob")
        async with connect(bench.inside, token, bench.house.ca_file) as careless:
            bob = careless.welcome.you.party
            message_id = await alice.chat.send(bob, "to whom it may concern")
            assert (await careless.wait_for(ChatMessage)).message_id == message_id
        # It was shown and never acknowledged: the next connection is sent it again.
        raw: list[str] = []
        async with join(bench.inside, token, bench.house.ca_file, record=raw.append) as bob_again:
            assert (await bob_again.chat.next_message()).message_id == message_id
            await bench.recorded("chat.delivered")
            last = await alice.chat.send(bob, "last")
            assert (await bob_again.chat.next_message()).message_id == last
        assert sum(message_id in text for text in raw) == 1
        assert stored(bench, "chat.released") == [message_id]
        await bench.recorded("chat.delivered", 2)
        assert stored(bench, "chat.delivered") == [message_id, last]


async def test_a_retry_under_the_same_ref_is_the_same_message(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench, bench.insider("alice") as alice, insider(bench, "bob") as bob:
        frame = f'{{"type":"chat.send","ref":"again","to":"{bob.you.party}","text":"once"}}'
        ids = []
        shown: list[str] = []
        bob.connection._record = shown.append
        for _ in range(3):
            await alice.send(frame)
            ids.append((await alice.until("chat.accepted"))["message_id"])
        assert len(set(ids)) == 1
        assert (await bob.chat.next_message()).message_id == ids[0]
        await alice.send(frame.replace("again", "another"))
        assert (await bob.chat.next_message()).message_id not in ids, "shown three times, read once"
        assert sum(ids[0] in text for text in shown) == 3


def power_cut(house: BenchHouse) -> BenchHouse:
    """The house as its disk is at this moment, with no chance for the edge to put anything in order."""
    copy = house.folder / "after-the-cut"
    shutil.copytree(house.settings.data_directory, copy)
    return replace(house, settings=house.settings.model_copy(update={"data_directory": copy}))


@pytest.mark.parametrize("end", ["orderly", "cut"])
async def test_what_was_acknowledged_survives_the_end_of_the_edge(tmp_path: Path, end: str) -> None:
    house = with_house(tmp_path)
    async with running_bench(house) as bench, insider(bench, "alice") as alice:
        bob = await bench.party("bob")
        token = await bench.token_of("bob")
        sent = [await alice.chat.send(bob, f"number {number}") for number in range(20)]
        next_house = power_cut(house) if end == "cut" else house
    async with (
        running_bench(next_house) as bench,
        join(bench.inside, token, bench.house.ca_file) as back,
    ):
        assert [(await back.chat.next_message()).message_id for _ in sent] == sent
        if end == "cut":
            lost = bench.records("connection.lost")
            assert [record["fields"]["reason"] for record in lost] == ["edge_restarted"]
        else:
            assert bench.records("connection.lost") == []


@pytest.mark.parametrize("end", ["orderly", "cut"])
async def test_a_guest_who_was_let_in_stays_let_in_across_connections_and_restarts(
    tmp_path: Path, end: str
) -> None:
    house = with_house(tmp_path)
    async with running_bench(house) as bench, insider(bench, "alice") as alice:
        token = await guest_token(bench, alice)
        async with join(bench.outside, token, house.ca_file) as guest:
            await alice.invitations.admit(guest.you.party)
            await guest.invitations.admitted()
        async with join(bench.outside, token, house.ca_file) as guest:
            assert (await guest.invitations.admitted()).party == alice.you.party
            waiting = await alice.chat.send(guest.you.party, "hello again")
            assert (await guest.chat.next_message()).message_id == waiting
        next_house = power_cut(house) if end == "cut" else house
    async with (
        running_bench(next_house) as bench,
        insider(bench, "alice") as alice,
        join(bench.outside, token, house.ca_file) as guest,
    ):
        assert isinstance(guest.connection.welcome, GuestWelcome)
        assert guest.connection.welcome.host is not None
        assert await guest.chat.send(alice.you.party, "still here")
        assert (await alice.chat.next_message()).text == "still here"


@pytest.mark.parametrize("end", ["orderly", "cut"])
@pytest.mark.parametrize("how", ["left", "shown out", "revoked"])
async def test_the_token_of_a_visit_that_ended_is_dead_after_a_restart_too(
    tmp_path: Path, how: str, end: str
) -> None:
    house = with_house(tmp_path)
    async with running_bench(house) as bench, bench.insider("alice") as alice:
        async with bench.guest(alice) as guest:
            token, party = guest.token, guest.you
            match how:
                case "left":
                    await leave(bench.outside, token, house.ca_file)
                case "shown out":
                    await alice.send(f'{{"type":"lobby.refuse","guest":"{party}"}}')
                case _:
                    created = next(f for f in alice.frames if f["type"] == "invitation.created")
                    invitation = created["invitation"]["invitation_id"]
                    await alice.send(f'{{"type":"invitation.revoke","invitation_id":"{invitation}"}}')
            assert await guest.closed() == 4401
        next_house = power_cut(house) if end == "cut" else house
    async with running_bench(next_house) as bench:
        with pytest.raises(EdgeRefused, match="NOT_SIGNED_IN"):
            async with join(bench.outside, token, house.ca_file):
                pass
        closed = bench.records("visit.closed")
        assert [record["fields"]["guest"] for record in closed] == [party]
