"""The media adapter: the library's private names it stands on, odd input, synthetic sources, limits."""

from __future__ import annotations

import asyncio
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
from aiortc.codecs import CODECS
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.vpx import Vp8Encoder
from hypothesis import given
from hypothesis import strategies as st

from broker.client.encoders import LimitedAudio, LimitedVideo
from broker.client.errors import MediaFailed
from broker.client.limits import (
    MAX_AUDIO_BITS_PER_SECOND,
    PACKET_OVERHEAD_BYTES,
    Allowance,
    Picture,
    SendLimits,
    audio_encoder_bits,
    picture_within,
    video_encoder_bits,
)
from broker.client.media import HELD_CANDIDATES, MediaPeer, lower_target
from broker.client.sources import MovingPicture, Tone
from broker.core.frames import IceServer, MediaLimit

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


# --- limits ---


@pytest.mark.parametrize(
    ("limit", "picture"),
    [
        (None, Picture(320, 240, 30)),
        (1_000_000, Picture(320, 240, 30)),
        (250_000, Picture(320, 240, 30)),
        (249_999, Picture(320, 240, 15)),
        (120_000, Picture(320, 240, 15)),
        (100_000, Picture(160, 120, 15)),
        (59_999, Picture(160, 120, 5)),
        (0, Picture(160, 120, 5)),
    ],
)
def test_the_lower_the_limit_the_fewer_and_smaller_are_the_pictures(
    limit: int | None, picture: Picture
) -> None:
    assert picture_within(limit) == picture


@given(st.integers(10_000, 10_000_000))
def test_what_a_video_encoder_is_asked_for_leaves_room_for_its_packets(limit: int) -> None:
    asked = video_encoder_bits(limit)
    assert asked is not None
    # It may keep a target a tenth higher than the one asked for, and its packets are of 1300 bytes at most.
    bits = asked * 1.1
    packets = picture_within(limit).frames_per_second + bits / 8 / 1300
    assert bits + packets * PACKET_OVERHEAD_BYTES * 8 < limit * 1.03
    assert video_encoder_bits(None) is None


@pytest.mark.parametrize(
    ("limit", "bits"), [(None, 48_000), (1_000_000, 48_000), (64_000, 48_000), (32_000, 16_000), (1, 6_000)]
)
def test_an_audio_encoder_is_asked_for_what_leaves_room_for_its_packets(limit: int | None, bits: int) -> None:
    assert audio_encoder_bits(limit) == bits


@given(
    limit=st.integers(1_000, 2_000_000),
    earlier=st.integers(0, 1_000_000),
    pictures=st.lists(st.tuples(st.integers(0, 20_000), st.floats(0, 0.5)), min_size=1, max_size=60),
)
def test_no_more_is_sent_than_the_limit_and_one_picture(
    limit: int, earlier: int, pictures: list[tuple[int, float]]
) -> None:
    allowance = Allowance()
    allowance.sent = earlier
    allowance.change(limit)
    now = began = 1_000.0
    for size, pause in pictures:
        for _ in range(10):
            if not (wait := allowance.wait(now)):
                break
            now += wait
        else:
            pytest.fail("it never lets the picture through")
        before = allowance.sent - earlier
        assert before * 8 <= limit * (now - began + 0.1) + 8
        allowance.sent += size
        now += pause


def test_an_allowance_without_a_limit_never_waits_and_one_of_nothing_always() -> None:
    allowance = Allowance()
    allowance.sent = 1_000_000
    assert allowance.wait(1.0) == 0
    allowance.change(0)
    assert allowance.wait(2.0) == float("inf")
    allowance.change(8_000)
    assert allowance.wait(3.0) == 0


def test_limits_are_those_of_the_frame_and_then_those_that_a_description_states() -> None:
    frame = MediaLimit(call_id="c", audio_bits_per_second=1, video_bits_per_second=2)
    limits = SendLimits.from_frame(frame)
    assert limits == SendLimits(1, 2, None)
    sections = ["m=audio 9 X 0", "b=TIAS:10", "m=video 9 X 1", "a=mid:1", "m=video 9 X 1", "b=TIAS:30", ""]
    sdp = "\r\n".join(["v=0", "b=TIAS:5", *sections])
    assert limits.updated_by(sdp, with_video=True) == SendLimits(10, 2, 30)
    screens = "\n".join(sections[:2] + sections[4:])
    assert limits.updated_by(screens, with_video=False) == SendLimits(10, 2, 30)


@given(st.text(max_size=200))
def test_any_text_as_a_description_leaves_limits_that_are_numbers(text: str) -> None:
    limits = SendLimits(1, 2, 3).updated_by(f"m=video\nb=TIAS:{text}", with_video=True)
    assert isinstance(limits.video, int)


async def test_a_picture_that_waits_for_its_allowance_comes_as_soon_as_the_limit_is_lifted() -> None:
    picture = MovingPicture()
    picture.limit(0)
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(picture.recv())
        await asyncio.sleep(0)
        assert not waiting.done()
        picture.limit(8_000)
        frame = await waiting
    assert (frame.width, frame.height) == (160, 120)


def test_the_private_target_of_both_video_encoders_of_the_pinned_media_library_is_there() -> None:
    for kind in (Vp8Encoder, H264Encoder):
        encoder = kind()
        lower_target(encoder, 1)
        assert encoder.target_bitrate == 1


async def test_a_sender_of_the_pinned_media_library_uses_the_encoder_it_is_given() -> None:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    transceiver = connection.addTransceiver("video")
    assert transceiver.sender._RTCRtpSender__encoder is None  # type: ignore[attr-defined]
    assert transceiver._codecs == []
    await connection.close()


async def test_a_receivers_estimate_does_not_raise_the_video_above_its_limit_but_above_none() -> None:
    picture, encoder = MovingPicture(), LimitedVideo(lambda: CODECS["video"][0], Allowance(), lower_target)

    async def target(estimate: int | None) -> int:
        encoder.target_bitrate = estimate
        encoder.encode(await picture.recv())
        assert isinstance(encoder._made, Vp8Encoder)
        return encoder._made.target_bitrate

    assert await target(None) == 500_000
    encoder._allowance.change(150_000)
    assert await target(None) == video_encoder_bits(150_000)
    assert await target(900_000) == video_encoder_bits(150_000)
    encoder._allowance.change(None)
    assert await target(900_000) == 900_000


async def test_audio_is_held_to_its_limit_and_its_time_goes_on_when_that_changes() -> None:
    tone, allowance = Tone(), Allowance()
    encoder = LimitedAudio(lambda: CODECS["audio"][0], allowance)
    timestamps, sizes = [], []
    for limit in (None, 32_000, 64_000):
        encoder.bits_per_second = audio_encoder_bits(limit)
        before = allowance.sent
        for _ in range(4):
            payloads, timestamp = encoder.encode(await tone.recv())
            assert len(payloads) == 1
            timestamps.append(timestamp)
        sizes.append((allowance.sent - before) * 8 * 50 // 4)
    assert timestamps == [960 * number for number in range(12)]
    assert sizes == [MAX_AUDIO_BITS_PER_SECOND, 32_000, 64_000]
