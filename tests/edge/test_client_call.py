"""Two Python clients hold a call through a real TURN server; the edge in between forwards frames."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Literal

import pytest

from broker.client.call import Call
from broker.client.errors import CallOver, EdgeClosed, EdgeRefused, MediaFailed
from broker.client.media import MediaPeer
from broker.client.participant import Participant, join
from broker.core.client_frames import CallAnswer, CallCancel, CallHangUp, CallOffer, ClientFrame
from broker.core.errors import EDGE_STOPPING, SDP_MEDIA_NOT_ALLOWED
from broker.core.frames import ForwardedAnswer, ForwardedCandidate, ForwardedOffer
from broker.core.sdp import rebuild
from tests.edge.client_fake_edge import error_frame, fake_edge
from tests.edge.client_turn_server import turn_server


async def _media_both_ways(*calls: Call) -> None:
    """Returns once every call has decoded a second's worth of audio and of video."""
    async with asyncio.timeout(30):
        for call in calls:
            while True:
                report = await call.report()
                if report.audio_frames_received >= 50 and report.video_frames_received >= 10:
                    break
                await asyncio.sleep(0.1)


async def _answer(participant: Participant) -> str:
    ring = await participant.calls.next_ring()
    async with participant.calls.accept(ring) as call:
        await call.connected()
        await _media_both_ways(call)
        report = await call.report()
        assert report.selected_pair == "relay/relay"
        return await call.ended()


async def test_two_clients_hold_an_audio_and_video_call_through_the_relay(tmp_path: Path) -> None:
    async with fake_edge(tmp_path) as edge, turn_server(tmp_path) as relay:
        edge.ice_server = relay.ice_server
        async with (
            join(edge.origin, "token-ada", edge.ca_file) as ada,
            join(edge.origin, "token-bob", edge.ca_file) as bob,
            asyncio.TaskGroup() as tasks,
        ):
            answering = tasks.create_task(_answer(bob))
            async with ada.calls.place("bob", ["audio", "video"]) as call:
                await call.connected()
                await _media_both_ways(call)
                report = await call.report()
                await call.hang_up()
                final = await call.report()
        assert report.selected_pair == "relay/relay"
        assert report.seconds > 0.5
        assert report.audio_packets_sent >= 50
        assert report.audio_packets_received >= report.audio_frames_received
        assert report.video_frames_sent >= 10
        assert min(report.bytes_sent, report.bytes_received) > 20_000
        assert final.audio_packets_received >= report.audio_packets_received
        assert final.selected_pair == "relay/relay"
        assert answering.result() == "hung_up"
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_turn_over_tls_trusts_what_the_connection_trusts(tmp_path: Path) -> None:
    async with fake_edge(tmp_path) as edge, turn_server(tmp_path, edge.ca_file) as relay:
        edge.ice_server = relay.ice_server
        async with (
            join(edge.origin, "token-ada", edge.ca_file) as ada,
            join(edge.origin, "token-bob", edge.ca_file) as bob,
            ada.calls.place("bob", ["audio", "video"]) as call,
            bob.calls.accept(await bob.calls.next_ring()) as answered,
        ):
            await _media_both_ways(call, answered)
            assert (await call.report()).selected_pair == "relay/relay"
    assert relay.ice_server.urls[0].startswith("turns:")


async def test_a_call_has_only_relayed_candidates_in_its_descriptions(tmp_path: Path) -> None:
    async with fake_edge(tmp_path) as edge, turn_server(tmp_path) as relay:
        edge.ice_server = relay.ice_server
        async with (
            join(edge.origin, "token-ada", edge.ca_file) as ada,
            join(edge.origin, "token-bob", edge.ca_file) as bob,
            ada.calls.place("bob", ["audio"]) as call,
            bob.calls.accept(await bob.calls.next_ring()) as answered,
        ):
            await call.connected()
            await answered.connected()
            offer = await edge.received_from("ada", CallOffer)
            answer = await edge.received_from("bob", CallAnswer)
        assert isinstance(offer, CallOffer)
        assert isinstance(answer, CallAnswer)
        for sdp in (offer.sdp, answer.sdp):
            candidates = [line for line in sdp.splitlines() if line.startswith("a=candidate")]
            assert candidates
            assert all(" typ relay raddr 0.0.0.0 rport 9" in line for line in candidates)
            assert "m=video" not in sdp


async def test_a_caller_who_leaves_while_it_rings_cancels_the_call(tmp_path: Path) -> None:
    async with (
        fake_edge(tmp_path) as edge,
        join(edge.origin, "token-ada", edge.ca_file) as ada,
        join(edge.origin, "token-bob", edge.ca_file) as bob,
    ):
        async with ada.calls.place("bob", ["audio"]) as call:
            ring = await bob.calls.next_ring()
        assert await call.ended() == "cancelled"
        assert isinstance(await edge.received_from("ada", CallCancel), CallCancel)
        async with bob.calls.accept(ring) as late:
            with pytest.raises(CallOver) as over:
                await late.connected()
        assert over.value.reason == "cancelled"


async def test_a_declined_call_is_over_with_that_reason(tmp_path: Path) -> None:
    async with (
        fake_edge(tmp_path) as edge,
        join(edge.origin, "token-ada", edge.ca_file) as ada,
        join(edge.origin, "token-bob", edge.ca_file) as bob,
        ada.calls.place("bob", ["audio"]) as call,
    ):
        await bob.calls.decline(await bob.calls.next_ring())
        with pytest.raises(CallOver, match="declined"):
            await call.accepted()
        assert await call.ended() == "declined"
        assert edge.sent_by("ada", CallHangUp) == []


async def test_a_refused_invite_is_raised_with_its_code_and_decision(tmp_path: Path) -> None:
    async with fake_edge(tmp_path) as edge, join(edge.origin, "token-ada", edge.ca_file) as ada:
        with pytest.raises(EdgeRefused) as refused:
            async with ada.calls.place("nobody", ["audio"]):
                pytest.fail("the call must not begin")
        assert (refused.value.code, refused.value.decision_id) == ("STILL_IN_LOBBY", "d1")


async def test_a_call_whose_credential_the_relay_refuses_fails_and_is_hung_up(tmp_path: Path) -> None:
    async with (
        fake_edge(tmp_path) as edge,
        turn_server(tmp_path) as relay,
        join(edge.origin, "token-ada", edge.ca_file) as ada,
        join(edge.origin, "token-bob", edge.ca_file) as bob,
    ):
        edge.ice_server = relay.ice_server.model_copy(update={"credential": "wrong"})
        async with (
            ada.calls.place("bob", ["audio"]) as call,
            bob.calls.accept(await bob.calls.next_ring()) as answered,
        ):
            with pytest.raises(MediaFailed, match="no relayed address"):
                await call.connected()
            assert await answered.ended() == "hung_up"


async def test_a_call_cancelled_while_it_gathers_leaves_no_task_behind(tmp_path: Path) -> None:
    gathering = asyncio.Event()

    async def hold(participant: Participant) -> None:
        async with participant.calls.place("bob", ["audio"]) as call:
            await call.accepted()
            gathering.set()
            await call.connected()

    async with fake_edge(tmp_path) as edge, turn_server(tmp_path) as relay:
        edge.ice_server = relay.ice_server
        relay.fall_silent()
        async with (
            join(edge.origin, "token-ada", edge.ca_file) as ada,
            join(edge.origin, "token-bob", edge.ca_file) as bob,
            asyncio.TaskGroup() as tasks,
        ):
            holding = tasks.create_task(hold(ada))
            async with bob.calls.accept(await bob.calls.next_ring()) as answered:
                await gathering.wait()
                holding.cancel()
                assert await answered.ended() == "hung_up"
        assert edge.sent_by("ada", CallOffer) == []
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_gathering_that_is_interrupted_leaves_no_task_behind_once_closed(tmp_path: Path) -> None:
    async with turn_server(tmp_path) as relay:
        relay.fall_silent()
        async with asyncio.TaskGroup() as tasks:
            peer = MediaPeer(
                relay.ice_server,
                ["audio"],
                ssl.create_default_context(),
                lambda state: None,
                lambda work: work.close(),
            )
            offering = tasks.create_task(peer.offer())
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await asyncio.shield(offering)
            offering.cancel()
            await peer.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_call_ends_in_time_although_the_relay_has_gone_silent(tmp_path: Path) -> None:
    async with fake_edge(tmp_path) as edge, turn_server(tmp_path) as relay:
        edge.ice_server = relay.ice_server
        async with (
            join(edge.origin, "token-ada", edge.ca_file) as ada,
            join(edge.origin, "token-bob", edge.ca_file) as bob,
            # Waiting for the relay's farewell would take half a minute a side.
            asyncio.timeout(20),
            ada.calls.place("bob", ["audio"]) as call,
            bob.calls.accept(await bob.calls.next_ring()) as answered,
        ):
            await call.connected()
            await answered.connected()
            relay.fall_silent()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_candidates_that_trickle_in_before_and_after_the_description_are_used(tmp_path: Path) -> None:
    def trickled(call_id: str, sdp: str) -> tuple[str, list[ForwardedCandidate]]:
        lines = sdp.splitlines(keepends=True)
        bare = "".join(line for line in lines if not line.startswith(("a=candidate", "a=end-of-candidates")))
        candidates = [line.strip().removeprefix("a=") for line in lines if line.startswith("a=candidate")]
        return bare, [
            ForwardedCandidate(call_id=call_id, candidate=text, mid="0") for text in [*candidates, ""]
        ]

    async with fake_edge(tmp_path) as edge, turn_server(tmp_path) as relay:
        edge.ice_server = relay.ice_server

        async def as_a_browser_does(party: str, frame: ClientFrame) -> bool:
            if isinstance(frame, CallOffer):
                sdp, candidates = trickled(frame.call_id, frame.sdp)
                for candidate in candidates:
                    await edge.push("bob", candidate)
                await edge.push("bob", ForwardedOffer(call_id=frame.call_id, sdp=sdp))
            elif isinstance(frame, CallAnswer):
                sdp, candidates = trickled(frame.call_id, frame.sdp)
                await edge.push("ada", ForwardedAnswer(call_id=frame.call_id, sdp=sdp))
                for candidate in candidates:
                    await edge.push("ada", candidate)
            else:
                return False
            return True

        edge.before = as_a_browser_does
        async with (
            join(edge.origin, "token-ada", edge.ca_file) as ada,
            join(edge.origin, "token-bob", edge.ca_file) as bob,
            ada.calls.place("bob", ["audio"]) as call,
            bob.calls.accept(await bob.calls.next_ring()) as answered,
        ):
            await call.connected()
            await answered.connected()
            assert (await call.report()).selected_pair == "relay/relay"


async def test_a_call_works_with_descriptions_that_the_edge_has_rebuilt(tmp_path: Path) -> None:
    def rebuilt(sdp: str, kind: Literal["offer", "answer"]) -> str:
        lines = [line for line in sdp.splitlines() if line.startswith("a=candidate")]
        own = {(line.split()[4], int(line.split()[5])) for line in lines}
        result = rebuild(sdp, kind, own, set(), frozenset({"audio", "video"}))
        assert result.removed_candidates == 0
        assert [medium.role for medium in result.media] == ["audio", "video"]
        assert all(medium.sends and medium.receives for medium in result.media)
        return result.text

    async with fake_edge(tmp_path) as edge, turn_server(tmp_path) as relay:
        edge.ice_server = relay.ice_server

        async def rebuild_descriptions(party: str, frame: ClientFrame) -> bool:
            if isinstance(frame, CallOffer):
                sdp = rebuilt(frame.sdp, "offer")
                await edge.push("bob", ForwardedOffer(call_id=frame.call_id, sdp=sdp))
            elif isinstance(frame, CallAnswer):
                sdp = rebuilt(frame.sdp, "answer")
                await edge.push("ada", ForwardedAnswer(call_id=frame.call_id, sdp=sdp))
            else:
                return False
            return True

        edge.before = rebuild_descriptions
        async with (
            join(edge.origin, "token-ada", edge.ca_file) as ada,
            join(edge.origin, "token-bob", edge.ca_file) as bob,
            ada.calls.place("bob", ["audio", "video"]) as call,
            bob.calls.accept(await bob.calls.next_ring()) as answered,
        ):
            await _media_both_ways(call, answered)
            assert (await answered.report()).selected_pair == "relay/relay"


async def test_a_refused_description_is_raised_where_the_call_is_waited_for(tmp_path: Path) -> None:
    async with fake_edge(tmp_path) as edge, turn_server(tmp_path) as relay:
        edge.ice_server = relay.ice_server

        async def refuse_offers(party: str, frame: ClientFrame) -> bool:
            if not isinstance(frame, CallOffer):
                return False
            await edge.push("ada", error_frame(SDP_MEDIA_NOT_ALLOWED, call_id=frame.call_id))
            return True

        edge.before = refuse_offers
        async with (
            join(edge.origin, "token-ada", edge.ca_file) as ada,
            join(edge.origin, "token-bob", edge.ca_file) as bob,
            ada.calls.place("bob", ["audio"]) as call,
            bob.calls.accept(await bob.calls.next_ring()) as answered,
        ):
            with pytest.raises(EdgeRefused, match="SDP_MEDIA_NOT_ALLOWED"):
                await call.connected()
            await call.hang_up()
            assert await answered.ended() == "hung_up"


async def test_a_call_is_over_when_the_edge_closes_the_connection(tmp_path: Path) -> None:
    async with (
        fake_edge(tmp_path) as edge,
        join(edge.origin, "token-ada", edge.ca_file) as ada,
        join(edge.origin, "token-bob", edge.ca_file),
        ada.calls.place("bob", ["audio"]) as call,
    ):
        await edge.push("ada", error_frame(EDGE_STOPPING))
        await edge.sockets["ada"].close(code=4503)
        with pytest.raises(EdgeClosed) as closed:
            await call.ended()
    assert closed.value.close_code == 4503
    assert closed.value.error is not None
    assert closed.value.error.code == "EDGE_STOPPING"
