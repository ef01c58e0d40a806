"""Rebuilt descriptions are accepted by aiortc, and a call set up with nothing else carries media."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Literal

import aioice.ice
import pytest
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack
from aiortc.sdp import SessionDescription

from broker.core.sdp import Rebuilt, rebuild
from tests.spec.test_sdp import carried, payload_types

SAMPLES = Path(__file__).parent / "sdp"
ADMISSIBLE = [path for path in sorted(SAMPLES.glob("*.sdp")) if "data" not in path.stem]
BOTH = frozenset({"audio", "video"})
Kind = Literal["offer", "answer"]


def sample(name: str) -> str:
    return (SAMPLES / f"{name}.sdp").read_bytes().decode()


@pytest.mark.parametrize("path", ADMISSIBLE, ids=lambda path: path.stem)
def test_aiortc_reads_every_rebuilt_description(path: Path) -> None:
    kind: Kind = "answer" if "answer" in path.stem else "offer"
    rebuilt = rebuild(sample(path.stem), kind, set(), set(), BOTH)
    parsed = SessionDescription.parse(rebuilt.text)
    active = [media for media in parsed.media if media.port]
    assert tuple(media.kind for media in active) == carried(rebuilt)
    assert {number for media in active for number in media.fmt} == payload_types(rebuilt)
    assert [media.ice_candidates for media in parsed.media] == [[]] * len(parsed.media)


@pytest.mark.parametrize(
    "name",
    [
        "chromium-offer",
        "chromium-audio-offer",
        "chromium-relay-offer",
        "chromium-restart-offer",
        "aiortc-offer",
    ],
)
async def test_aiortc_answers_a_rebuilt_offer(name: str, loopback: None) -> None:
    callee = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        rebuilt = rebuild(sample(name), "offer", set(), set(), BOTH)
        await callee.setRemoteDescription(RTCSessionDescription(rebuilt.text, "offer"))
        await callee.setLocalDescription(await callee.createAnswer())
        answer = rebuild(callee.localDescription.sdp, "answer", set(), set(), BOTH)
        assert carried(answer) == carried(rebuilt)
        assert payload_types(answer) <= payload_types(rebuilt)
    finally:
        await callee.close()


async def test_a_call_of_rebuilt_descriptions_carries_audio_and_video(loopback: None) -> None:
    caller, callee = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
    received: dict[str, asyncio.Future[object]] = {
        kind: asyncio.get_running_loop().create_future() for kind in ("audio", "video")
    }
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:

        async def first_frame(track: MediaStreamTrack) -> None:
            received[track.kind].set_result(await track.recv())

        callee.on("track", lambda track: tasks.create_task(first_frame(track)))
        for connection in (caller, callee):
            connection.addTrack(AudioStreamTrack())
            connection.addTrack(VideoStreamTrack())
        await caller.setLocalDescription(await caller.createOffer())
        await callee.setRemoteDescription(described(caller, "offer"))
        await callee.setLocalDescription(await callee.createAnswer())
        await caller.setRemoteDescription(described(callee, "answer"))
        await asyncio.gather(*received.values())
        assert (caller.connectionState, callee.connectionState) == ("connected", "connected")
        await caller.close()
        await callee.close()


@pytest.fixture
def loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda **_: ["127.0.0.1"])


def described(connection: RTCPeerConnection, kind: Kind) -> RTCSessionDescription:
    """The connection's description as the other side gets it, host candidates given out as relayed ones."""
    text = connection.localDescription.sdp.replace("typ host", "typ relay raddr 192.0.2.77 rport 40000")
    parsed = SessionDescription.parse(text)
    own = {(candidate.ip, candidate.port) for media in parsed.media for candidate in media.ice_candidates}
    rebuilt: Rebuilt = rebuild(text, kind, own, set(), BOTH)
    assert rebuilt.removed_candidates == 0
    assert "192.0.2.77" not in rebuilt.text
    return RTCSessionDescription(rebuilt.text, kind)
