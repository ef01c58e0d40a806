"""The media adapter: the library's private names it stands on, odd input, and the synthetic sources."""

from __future__ import annotations

import inspect
import ssl
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from fractions import Fraction
from typing import Any

import aioice
import pytest
from aioice import turn
from aiortc import (
    RTCConfiguration,
    RTCIceGatherer,
    RTCIceServer,
    RTCIceTransport,
    RTCIceTransportPolicy,
    RTCPeerConnection,
)
from hypothesis import given
from hypothesis import strategies as st

from broker.client.errors import MediaFailed
from broker.client.media import HELD_CANDIDATES, MediaPeer, MovingPicture, Tone
from broker.core.frames import IceServer

_RELAY = IceServer(urls=["turns:192.0.2.1:443?transport=tcp"], username="u", credential="c")


@asynccontextmanager
async def _peer() -> AsyncIterator[MediaPeer]:
    def start(work: Coroutine[Any, Any, None]) -> None:
        work.close()

    peer = MediaPeer(_RELAY, ["audio", "video"], ssl.create_default_context(), lambda state: None, start)
    try:
        yield peer
    finally:
        await peer.close()


async def test_the_private_names_of_the_pinned_media_library_are_there() -> None:
    server = RTCIceServer(urls=_RELAY.urls, username="u", credential="c")
    gatherer = RTCIceGatherer([server], RTCIceTransportPolicy.RELAY)
    ice = RTCIceTransport(gatherer)
    connection = ice._connection
    assert isinstance(connection, aioice.Connection)
    assert connection._nominated == {}
    assert connection._protocols == []
    assert connection.turn_ssl is True
    assert "ssl=turn_ssl" in inspect.getsource(aioice.ice.relayed_candidate).replace(" ", "")
    assert "self.__close_task" in inspect.getsource(turn.TurnTransport.close)
    assert hasattr(aioice.ice.CandidatePair, "local_candidate")
    assert "self.remote_candidate" in inspect.getsource(aioice.ice.CandidatePair)


async def test_what_takes_an_offer_back_in_the_pinned_media_library_is_there() -> None:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    for name in ("__pendingLocalDescription", "__setSignalingState"):
        assert hasattr(connection, f"_RTCPeerConnection{name}")
    transceiver = connection.addTransceiver("video")
    transceiver._set_mid("1")
    transceiver._set_mline_index(1)
    assert (transceiver.mid, transceiver._get_mline_index()) == ("1", 1)
    await connection.close()


async def test_the_library_knows_how_to_use_nothing_but_the_relay() -> None:
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[], iceTransportPolicy=RTCIceTransportPolicy.RELAY))
    peer.addTransceiver("audio")
    await peer.setLocalDescription()
    assert "a=candidate" not in peer.localDescription.sdp
    await peer.close()


@pytest.mark.parametrize(
    "sdp", ["", "nonsense", "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 96\r\n", "m=\r\n", "v=0\r\na=\r\n"]
)
async def test_a_description_that_cannot_be_used_is_a_media_failure(sdp: str) -> None:
    async with _peer() as peer:
        with pytest.raises(MediaFailed):
            await peer.answer(sdp)


@pytest.mark.parametrize(
    "candidate",
    [
        "candidate:1 1 udp",
        "candidate:1 x udp 1 198.18.0.1 9 typ relay",
        "candidate:1 1 udp 1 198.18.0.1 70000x typ relay",
        "candidate:1 1 udp 1 198.18.0.1 9 typ relay raddr 0.0.0.0 rport x",
        "\x00",
        " ",
    ],
)
async def test_a_candidate_that_cannot_be_used_is_counted_and_ignored(candidate: str) -> None:
    async with _peer() as peer:
        await peer._apply_candidate(candidate, "0")
        assert peer.candidates_ignored == 1


async def test_candidates_before_the_description_are_held_up_to_a_limit() -> None:
    async with _peer() as peer:
        for number in range(HELD_CANDIDATES + 2):
            await peer.add_candidate(f"candidate:{number} 1 udp 1 198.18.0.1 9 typ relay", "0")
        assert peer.candidates_ignored == 2


async def test_any_text_as_a_candidate_changes_nothing_but_a_counter() -> None:
    texts: list[str] = []

    @given(st.text(max_size=512))
    def collect(text: str) -> None:
        texts.append(text)

    collect()
    async with _peer() as peer:
        for text in texts:
            await peer._apply_candidate(text, "0")


async def test_without_an_allocation_there_is_no_selected_pair() -> None:
    async with _peer() as peer:
        assert peer.selected_pair() is None
        assert (await peer.counts()).audio_packets_sent == 0


async def test_the_tone_is_continuous_twenty_milliseconds_a_frame() -> None:
    tone = Tone()
    frames = [await tone.recv() for _ in range(3)]
    assert [frame.pts for frame in frames] == [0, 960, 1920]
    assert {frame.sample_rate for frame in frames} == {48000}
    assert len({bytes(frame.planes[0]) for frame in frames}) == 1
    assert any(bytes(frames[0].planes[0]))


async def test_the_picture_moves_from_frame_to_frame() -> None:
    picture = MovingPicture()
    first, second = await picture.recv(), await picture.recv()
    assert (first.width, first.height) == (320, 240)
    assert bytes(first.planes[0]) != bytes(second.planes[0])
    assert (first.pts, second.pts, second.time_base) == (0, 3000, Fraction(1, 90000))
    assert picture.frames == 2
