"""The media library's one adapter: a peer connection that talks through the edge's relay and nothing else.

aiortc is pinned (pyproject.toml), because what it and aioice do not offer is reached by private names, here
and nowhere else; a contract test holds the names. Needed: the nominated candidate pair
(`RTCIceTransport._connection`, `Connection._nominated`), the certificate trust of TURN over TLS
(`Connection.turn_ssl`), an end to a relay that does not answer (`Connection._protocols`,
`TurnTransport.__close_task`), to take back an offer, for which there is no rollback
(`RTCPeerConnection.__setSignalingState`, `.__pendingLocalDescription`, `RTCRtpTransceiver._set_mid`,
`._set_mline_index`), and to limit what is sent (`RTCRtpSender.__encoder`, `RTCRtpTransceiver._codecs`,
`Vp8Encoder.__target_bitrate`, `H264Encoder.__target_bitrate`).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from aiortc import (
    MediaStreamError,
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCIceServer,
    RTCIceTransport,
    RTCIceTransportPolicy,
    RTCPeerConnection,
    RTCRtpCodecParameters,
    RTCRtpTransceiver,
    RTCSessionDescription,
)
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.vpx import Vp8Encoder
from aiortc.sdp import SessionDescription, candidate_from_sdp

from broker.client.encoders import Limited, LimitedAudio, LimitedVideo
from broker.client.errors import MediaFailed
from broker.client.limits import Allowance, SendLimits, audio_encoder_bits
from broker.client.sources import MovingPicture, Tone
from broker.core.frames import IceServer

MediaKind = Literal["audio", "video"]

HELD_CANDIDATES = 64
"""Candidates kept while the remote description is not there yet; those beyond it are ignored and counted."""
RELAY_FAREWELL_SECONDS = 2.0
"""How long a relay may take to answer that it has freed the relayed address."""


@dataclass(slots=True)
class MediaCounts:
    """What one peer connection has carried; bytes are those of the DTLS transport, SRTP and RTCP included,
    and a medium's those of its RTP packets, counted a few too large, without repeated ones.
    """

    audio_packets_sent: int = 0
    audio_packets_received: int = 0
    audio_frames_received: int = 0
    video_frames_sent: int = 0
    video_frames_received: int = 0
    screen_frames_sent: int = 0
    screen_frames_received: int = 0
    audio_bytes_sent: int = 0
    video_bytes_sent: int = 0
    screen_bytes_sent: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0


class MediaPeer:
    """One call's peer connection: sends tone and picture, counts what comes back, and keeps nothing of it.

    `state_changed` is called with "connecting", "connected", "failed" or "closed". `start` runs the sinks;
    they end with `close`, which must be awaited. Everything that goes wrong in negotiation is MediaFailed.
    """

    def __init__(
        self,
        ice_server: IceServer,
        kinds: Sequence[MediaKind],
        tls: ssl.SSLContext,
        state_changed: Callable[[str], None],
        start: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        server = RTCIceServer(
            urls=ice_server.urls, username=ice_server.username, credential=ice_server.credential
        )
        configuration = RTCConfiguration(
            iceServers=[server],
            bundlePolicy=RTCBundlePolicy.MAX_BUNDLE,
            iceTransportPolicy=RTCIceTransportPolicy.RELAY,
        )
        self._peer = RTCPeerConnection(configuration)
        self._peer.add_listener("connectionstatechange", lambda: state_changed(self._peer.connectionState))
        self._kinds = tuple(kinds)
        self._tls = tls
        self._start = start
        self._tone = Tone()
        self._picture = MovingPicture()
        self._screen = MovingPicture()
        self._shows_screen = False
        self._screen_is_held = False
        self._limits: SendLimits | None = None
        self._sound = Allowance()
        self._encoders: list[Limited] = []
        self._before_offer: tuple[SessionDescription | None, set[str | None]] = None, set()
        self._counts = MediaCounts()
        self._held: list[tuple[str, str]] = []
        self._described: asyncio.Task[None] | None = None
        self._sinks: set[MediaStreamTrack] = set()
        self._selected_pair: str | None = None
        self._described_remotely = False
        self._remote_ufrag: str | None = None
        self.candidates_ignored = 0

    def limit(self, limits: SendLimits) -> None:
        """What may be sent from now on, of what is sent already and of what is added later. Until the first
        time everything is sent as the library does it, without any limit.
        """
        self._limits = limits
        self._apply_limits()

    async def offer(self) -> str:
        """The offer, with this side's relayed candidates in it (the library does not trickle)."""
        self._add_tracks()
        return await self._describe_locally()

    async def answer(self, offer: str) -> str:
        """Takes an offer, the first or a later one of the same ICE session, and answers it."""
        await self._describe_remotely(offer, "offer")
        self._add_tracks()
        section = self._screen_section()
        if section is not None and not self._shows_screen:
            section.direction = "recvonly"
        return await self._describe_locally()

    @property
    def is_stable(self) -> bool:
        """Whether no offer, of either side, waits for its answer."""
        return self._peer.signalingState == "stable"

    async def offer_screen(self) -> str:
        """A further offer, in which this side sends a screen."""
        mids = {transceiver.mid for transceiver in self._peer.getTransceivers()}
        # The library keeps an offer there also once it has been answered.
        described = self._peer._RTCPeerConnection__pendingLocalDescription  # type: ignore[attr-defined]
        self._before_offer = described, mids
        self._shows_screen = True
        self._screen_is_held = False
        self._apply_limits()
        section = self._screen_section()
        if section is None:
            self._peer.addTransceiver(self._screen, "sendonly")
        else:
            section.sender.replaceTrack(self._screen)
            section.direction = "sendonly"
        return await self._describe_locally()

    def hide_screen(self) -> None:
        """Nothing is sent of it any more. What was negotiated stays: it needs no offer to send nothing."""
        section = self._screen_section()
        if section is not None and self._shows_screen:
            section.sender.replaceTrack(None)
            # Nor of a frame that the sender waits for already.
            self._screen_is_held = True
            self._apply_limits()
        self._shows_screen = False

    def take_back_offer(self) -> None:
        """The edge has refused the further offer: as if it had never been made."""
        described, mids = self._before_offer
        for transceiver in self._peer.getTransceivers():
            if transceiver.mid not in mids:
                transceiver._set_mid(None)  # type: ignore[arg-type]
                transceiver._set_mline_index(None)  # type: ignore[arg-type]
        self._peer._RTCPeerConnection__pendingLocalDescription = described  # type: ignore[attr-defined]
        self._peer._RTCPeerConnection__setSignalingState("stable")  # type: ignore[attr-defined]

    async def apply_answer(self, answer: str) -> None:
        await self._describe_remotely(answer, "answer")

    async def add_candidate(self, candidate: str, mid: str) -> None:
        """A trickled candidate line without `a=`; "" is the end. What cannot be used is counted."""
        if self._described_remotely:
            await self._apply_candidate(candidate, mid)
        elif len(self._held) < HELD_CANDIDATES:
            self._held.append((candidate, mid))
        else:
            self.candidates_ignored += 1

    def selected_pair(self) -> str | None:
        """The types of the nominated pair as ICE has them, local first: "relay/relay". Kept after the end."""
        for ice in self._ice_transports():
            pair = ice._connection._nominated.get(1)
            if pair is not None:
                self._selected_pair = f"{pair.local_candidate.type}/{pair.remote_candidate.type}"
        return self._selected_pair

    async def counts(self) -> MediaCounts:
        counts = self._counts
        stats = await self._peer.getStats()
        for entry in stats.values():
            if entry.type == "outbound-rtp" and entry.kind == "audio":
                counts.audio_packets_sent = entry.packetsSent
            elif entry.type == "inbound-rtp" and entry.kind == "audio":
                counts.audio_packets_received = entry.packetsReceived
            elif entry.type == "transport":
                counts.bytes_sent, counts.bytes_received = entry.bytesSent, entry.bytesReceived
        counts.audio_bytes_sent = self._sound.sent
        counts.video_bytes_sent = self._picture.allowance.sent
        counts.screen_bytes_sent = self._screen.allowance.sent
        counts.video_frames_sent = self._picture.frames
        counts.screen_frames_sent = self._screen.frames
        return counts

    async def close(self) -> None:
        """Frees the relayed address and ends the library's tasks, within gathering (5 s) and the farewell."""
        try:
            if self._described is not None:
                # Whoever asked for the description has been told of its failure.
                with suppress(Exception):
                    await asyncio.shield(self._described)
        finally:
            await self._close_peer()

    async def _close_peer(self) -> None:
        relays = [
            protocol.transport for ice in self._ice_transports() for protocol in ice._connection._protocols
        ]
        timer = asyncio.get_running_loop().call_later(RELAY_FAREWELL_SECONDS, _abandon, relays)
        try:
            await self._peer.close()
        except asyncio.CancelledError:
            _abandon(relays)
            raise
        finally:
            timer.cancel()
        for _ in range(8):
            # The library's own tasks see their end in the next turns of the loop.
            await asyncio.sleep(0)

    def _add_tracks(self) -> None:
        sending = {sender.track for sender in self._peer.getSenders()}
        tracks: dict[MediaKind, MediaStreamTrack] = {"audio": self._tone, "video": self._picture}
        for kind in self._kinds:
            if tracks[kind] not in sending:
                self._peer.addTrack(tracks[kind])
        for ice in self._ice_transports():
            if ice._connection.turn_ssl:
                ice._connection.turn_ssl = self._tls  # type: ignore[assignment]  # passed on to asyncio as it is

    def _apply_limits(self) -> None:
        limits = self._limits or SendLimits()
        self._picture.limit(limits.video)
        self._screen.limit(0 if self._screen_is_held else limits.screen)
        for encoder in self._encoders:
            if self._limits is not None and isinstance(encoder, LimitedAudio):
                encoder.bits_per_second = audio_encoder_bits(limits.audio)

    def _wrap_encoders(self) -> None:
        """Of every track added since the last time, before its first frame."""
        for transceiver in self._peer.getTransceivers():
            sender, track = transceiver.sender, transceiver.sender.track
            # None until the first frame: then the library would make its own.
            if sender._RTCRtpSender__encoder is not None:  # type: ignore[attr-defined]
                continue
            encoder: Limited
            if isinstance(track, MovingPicture):
                encoder = LimitedVideo(partial(_codec, transceiver), track.allowance, lower_target)
            elif track is self._tone:
                encoder = LimitedAudio(partial(_codec, transceiver), self._sound)
            else:
                continue
            sender._RTCRtpSender__encoder = encoder  # type: ignore[attr-defined]
            self._encoders.append(encoder)
        self._apply_limits()

    async def _describe_locally(self) -> str:
        self._wrap_encoders()
        # A task of its own, which `close` awaits: aioice bounds gathering to 5 s, but when it is cancelled on
        # the way it loses an allocation and refreshes that for ever.
        self._described = asyncio.get_running_loop().create_task(self._peer.setLocalDescription())
        try:
            await asyncio.shield(self._described)
        except Exception as error:
            # The library has no error type of its own for this.
            raise MediaFailed("no description could be made") from error
        for ice in self._ice_transports():
            if not ice.iceGatherer.getLocalCandidates():
                raise MediaFailed("the relay gave no relayed address")
        return str(self._peer.localDescription.sdp)

    async def _describe_remotely(self, sdp: str, kind: Literal["offer", "answer"]) -> None:
        try:
            ufrags = {
                media.ice.usernameFragment for media in SessionDescription.parse(sdp).media if media.ice
            }
            if self._remote_ufrag is not None and self._remote_ufrag not in ufrags:
                raise MediaFailed("ICE cannot be restarted by this client")
            await self._peer.setRemoteDescription(RTCSessionDescription(sdp=sdp, type=kind))
        except MediaFailed:
            raise
        except Exception as error:
            # The library's parser raises whatever comes (AssertionError, KeyError, ...) on odd input.
            raise MediaFailed(f"the {kind} could not be used") from error
        self._described_remotely = True
        self._remote_ufrag = next(iter(ufrags), None)
        for candidate, mid in self._held:
            await self._apply_candidate(candidate, mid)
        self._held.clear()
        screen = self._screen_section()
        for transceiver in self._peer.getTransceivers():
            # Typed as a track, but None until the counterpart sends this kind.
            track: MediaStreamTrack | None = transceiver.receiver.track
            if track and track not in self._sinks:
                self._sinks.add(track)
                self._start(self._sink(track, is_screen=transceiver is screen))

    def _screen_section(self) -> RTCRtpTransceiver | None:
        """The first video beyond the call's own."""
        videos = [one for one in self._peer.getTransceivers() if one.kind == "video"]
        own = 1 if "video" in self._kinds else 0
        return videos[own] if len(videos) > own else None

    async def _apply_candidate(self, candidate: str, mid: str) -> None:
        try:
            if not candidate:
                await self._peer.addIceCandidate(None)
                return
            parsed = candidate_from_sdp(candidate.removeprefix("candidate:"))
            parsed.sdpMid, parsed.sdpMLineIndex = (mid, None) if mid else (None, 0)
            await self._peer.addIceCandidate(parsed)
        except (AssertionError, ValueError, IndexError):
            self.candidates_ignored += 1

    async def _sink(self, track: MediaStreamTrack, *, is_screen: bool) -> None:
        try:
            while True:
                await track.recv()
                if track.kind == "audio":
                    self._counts.audio_frames_received += 1
                elif is_screen:
                    self._counts.screen_frames_received += 1
                else:
                    self._counts.video_frames_received += 1
        except MediaStreamError:
            return

    def _ice_transports(self) -> set[RTCIceTransport]:
        """Those in use; bundled media share one."""
        return {transceiver.receiver.transport.transport for transceiver in self._peer.getTransceivers()}


def _codec(transceiver: RTCRtpTransceiver) -> RTCRtpCodecParameters:
    return transceiver._codecs[0]


def lower_target(encoder: Vp8Encoder | H264Encoder, bits_per_second: int) -> None:
    """The property lets nothing under 250 kb/s (VP8) or 500 kb/s (H.264) through."""
    setattr(encoder, f"_{type(encoder).__name__}__target_bitrate", bits_per_second)


def _abandon(relays: Sequence[Any]) -> None:
    for relay in relays:
        farewell = getattr(relay, "_TurnTransport__close_task", None)
        if farewell is not None:
            farewell.cancel()
