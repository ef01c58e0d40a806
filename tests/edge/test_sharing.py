"""Two Python clients share a screen over a real edge, its relay and its rules."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from auth.principal import PartyId
from broker.client.call import Call
from broker.client.errors import EdgeRefused
from broker.client.media import MediaKind
from broker.client.participant import Participant, join
from broker.client.sharing import MAX_OFFERS_REFUSED
from broker.core.client_frames import CallAnswer, CallOffer, CallShare, CallUnshare, ClientFrame
from broker.core.errors import NEGOTIATION_BUSY, SDP_MEDIA_NOT_ALLOWED
from broker.core.frames import CallShareEnded, CallSharing
from relay.turn.session import Session
from tests.edge.bench_house import NO_SHARING, POLICY
from tests.edge.client_fake_edge import error_frame, fake_edge
from tests.edge.client_turn_server import turn_server
from tests.edge.edge_bench import Bench, edge_bench, until

ONE_WAY = POLICY + NO_SHARING.replace('direction = "both"', 'direction = "in"')
"""An inside party must not be shown a screen; between colleagues that is everybody, to a guest it may go."""


@asynccontextmanager
async def calling(
    bench: Bench, media: Sequence[MediaKind] = ("audio",), with_guest: bool = False
) -> AsyncIterator[tuple[Call, Call]]:
    """Alice's side and the other's of a call that has media."""
    async with AsyncExitStack() as stack:

        async def joined(origin: str, token: str) -> Participant:
            return await stack.enter_async_context(join(origin, token, bench.house.ca_file))

        if with_guest:
            host = await stack.enter_async_context(bench.insider("alice"))
            guest = await stack.enter_async_context(bench.guest(host))
            other = await joined(bench.outside, guest.token)
            await guest.socket.close()
            alice = await joined(bench.inside, host.token)
            await host.socket.close()
        else:
            alice = await joined(bench.inside, await bench.token_of("alice"))
            other = await joined(bench.inside, await bench.token_of("bob"))
        call = await stack.enter_async_context(alice.calls.place(other.you.party, media))
        ring = await other.calls.next_ring()
        answered = await stack.enter_async_context(other.calls.accept(ring))
        await call.connected()
        await answered.connected()
        yield call, answered


async def seen(call: Call, more_than: int = 0) -> int:
    """How many frames of the other's screen have come, once there are ten more than those."""
    async with asyncio.timeout(20):
        while True:
            count = (await call.report()).screen_frames_received
            if count >= more_than + 10:
                return count
            await asyncio.sleep(0.05)


async def heard(call: Call) -> None:
    """Sound still comes."""
    before = (await call.report()).audio_frames_received
    async with asyncio.timeout(20):
        while True:
            if (await call.report()).audio_frames_received >= before + 25:
                return
            await asyncio.sleep(0.05)


def sendable(bench: Bench, call: Call, by: Call) -> frozenset[int] | None:
    """The payload types that the relay carries from the other side of `by`."""
    session: Session = bench.edge.media.relay._server._table.sessions[call.call_id]
    return session.carries_from(PartyId(by.counterpart.party))


@pytest.mark.parametrize("media", [("audio",), ("audio", "video")], ids="-".join)
async def test_each_side_shares_in_turn_and_the_other_sees_it(
    tmp_path: Path, media: tuple[MediaKind, ...]
) -> None:
    async with edge_bench(tmp_path) as bench, calling(bench, media) as (alice, bob):
        for sharer, viewer in ((alice, bob), (bob, alice), (alice, bob)):
            before = (await viewer.report()).screen_frames_received
            await sharer.share()
            assert {sharer.sharing, viewer.sharing} == {viewer.counterpart.party}
            await seen(viewer, before)
            assert (await sharer.report()).screen_frames_sent > 0
            await sharer.unshare()
            assert (sharer.sharing, sharer.share_end_reason) == (None, "stopped")
        await heard(alice)
        await heard(bob)
        assert [record["fields"]["reason"] for record in await bench.recorded("share.closed", 3)] == [
            "stopped"
        ] * 3
        assert len(bench.records("share.opened")) == 3


async def test_the_relay_carries_video_from_the_sharer_only_and_only_while_it_shares(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench, calling(bench) as (alice, bob):
        audio = sendable(bench, alice, by=bob)
        assert audio
        assert sendable(bench, alice, by=alice) == audio
        await alice.share()
        await seen(bob)
        assert sendable(bench, alice, by=alice) == audio
        from_alice = sendable(bench, alice, by=bob)
        assert from_alice is not None
        assert from_alice > audio
        await alice.unshare()
        assert sendable(bench, alice, by=bob) == audio


async def test_what_is_sent_without_a_share_is_dropped_and_counted(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench, calling(bench) as (alice, bob):
        await alice.share()
        await seen(bob)
        assert bob._peer is not None
        # Bob's client goes against the edge: it sends in the section in which it may only receive.
        section = bob._peer._screen_section()
        assert section is not None
        section.sender.replaceTrack(bob._peer._screen)
        section._setCurrentDirection("sendrecv")
        await section.sender.send(bob._peer._peer._RTCPeerConnection__localRtp(section))  # type: ignore[attr-defined]
        relay = bench.edge.media.relay
        await until(lambda: relay.counters().dropped().get("payload_type", 0) >= 10)
        assert (await bob.report()).screen_frames_sent > 0
        assert (await alice.report()).screen_frames_received == 0
        await heard(alice)


@pytest.mark.parametrize("by_host", [True, False])
async def test_an_insider_and_a_guest_share_both_ways(tmp_path: Path, by_host: bool) -> None:
    async with edge_bench(tmp_path) as bench, calling(bench, with_guest=True) as (host, guest):
        sharer, viewer = (host, guest) if by_host else (guest, host)
        await sharer.share()
        await seen(viewer)


async def test_sharing_is_refused_by_a_rule_while_the_call_goes_on(tmp_path: Path) -> None:
    async with edge_bench(tmp_path, policy=POLICY + NO_SHARING) as bench, calling(bench) as (alice, bob):
        for call in (alice, bob):
            with pytest.raises(EdgeRefused, match="POLICY_DENIED"):
                await call.share()
            assert call.sharing is None
        await heard(alice)
        await heard(bob)
        assert bench.records("share.opened") == []


async def test_a_rule_may_let_the_screen_go_out_and_none_in(tmp_path: Path) -> None:
    async with (
        edge_bench(tmp_path, policy=ONE_WAY) as bench,
        calling(bench, with_guest=True) as (host, guest),
    ):
        with pytest.raises(EdgeRefused, match="POLICY_DENIED"):
            await guest.share()
        await host.share()
        await seen(guest)


async def test_the_second_to_share_is_told_that_somebody_does(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench, calling(bench) as (alice, bob):
        await alice.share()
        with pytest.raises(EdgeRefused, match="SHARE_BUSY"):
            await bob.share()
        await seen(bob)
        await bob.unshare()
        assert alice.sharing is not None


async def test_an_offer_that_crosses_another_is_taken_back_and_made_again(tmp_path: Path) -> None:
    async with fake_edge(tmp_path) as edge, turn_server(tmp_path) as relay:
        edge.ice_server = relay.ice_server
        in_flight: set[str] = set()
        refused: list[str] = []

        async def everybody_may_share(party: str, frame: ClientFrame) -> bool:
            match frame:
                case CallShare() if len(edge.sent_by("ada", CallShare) + edge.sent_by("bob", CallShare)) == 2:
                    for each in ("ada", "bob"):
                        await edge.push(each, CallSharing(call_id=frame.call_id, party=each))
                    return True
                case CallShare():
                    return True
                case CallOffer() if in_flight - {party}:
                    refused.append(party)
                    await edge.push(party, error_frame(NEGOTIATION_BUSY, call_id=frame.call_id))
                    return True
                case CallOffer():
                    in_flight.add(party)
                case CallAnswer():
                    in_flight.clear()
            return False

        edge.before = everybody_may_share
        async with (
            join(edge.origin, "token-ada", edge.ca_file) as ada,
            join(edge.origin, "token-bob", edge.ca_file) as bob,
            ada.calls.place("bob", ["audio"]) as call,
            bob.calls.accept(await bob.calls.next_ring()) as answered,
        ):
            await call.connected()
            await answered.connected()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(call.share())
                tasks.create_task(answered.share())
            assert refused
            assert len(edge.sent_by("ada", CallOffer)) == 2 + refused.count("ada")
            await heard(call)
            await heard(answered)


async def test_an_offer_that_is_refused_for_good_is_taken_back_and_shares_nothing(tmp_path: Path) -> None:
    async with fake_edge(tmp_path) as edge, turn_server(tmp_path) as relay:
        edge.ice_server = relay.ice_server
        rows = [SDP_MEDIA_NOT_ALLOWED, *[NEGOTIATION_BUSY] * (MAX_OFFERS_REFUSED + 1)]

        async def no_screen(party: str, frame: ClientFrame) -> bool:
            if isinstance(frame, CallShare):
                await edge.push(party, CallSharing(call_id=frame.call_id, party=party))
            elif isinstance(frame, CallOffer) and "m=video" in frame.sdp:
                await edge.push(party, error_frame(rows.pop(0), call_id=frame.call_id))
            elif isinstance(frame, CallUnshare):
                ended = CallShareEnded(call_id=frame.call_id, party=party, reason="stopped")
                await edge.push(party, ended)
            else:
                return False
            return True

        edge.before = no_screen
        async with (
            join(edge.origin, "token-ada", edge.ca_file) as ada,
            join(edge.origin, "token-bob", edge.ca_file) as bob,
            ada.calls.place("bob", ["audio"]) as call,
            bob.calls.accept(await bob.calls.next_ring()) as answered,
        ):
            await call.connected()
            for count, code in enumerate(("SDP_MEDIA_NOT_ALLOWED", "NEGOTIATION_BUSY"), 1):
                with pytest.raises(EdgeRefused, match=code):
                    await call.share()
                await edge.received_from("ada", CallUnshare, count)
            assert rows == []
            await heard(call)
            await heard(answered)
