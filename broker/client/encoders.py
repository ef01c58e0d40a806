"""Encoders that keep to what may be sent, around the media library's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiortc import RTCRtpCodecParameters
from aiortc.codecs import get_encoder
from aiortc.codecs.base import Encoder
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.opus import OpusEncoder
from aiortc.codecs.vpx import Vp8Encoder
from av.frame import Frame
from av.packet import Packet

from broker.client.limits import PACKET_OVERHEAD_BYTES, Allowance, video_encoder_bits


class Limited(Encoder):
    """Stands where the library keeps a sender's encoder, from before it makes one; counts what is sent."""

    def __init__(self, codec: Callable[[], RTCRtpCodecParameters], allowance: Allowance) -> None:
        self._codec = codec
        self._allowance = allowance
        self._made: Encoder | None = None

    def encode(self, frame: Frame, force_keyframe: bool = False) -> tuple[list[bytes], int]:
        """In a thread of the library's; one frame at a time."""
        if self._made is None:
            # Which one has been negotiated is known by the time there are frames.
            self._made = get_encoder(self._codec())
        self._prepare(self._made)
        payloads, timestamp = self._made.encode(frame, force_keyframe)
        self._allowance.sent += sum(len(payload) + PACKET_OVERHEAD_BYTES for payload in payloads)
        return payloads, timestamp

    def pack(self, packet: Packet[Any]) -> tuple[list[bytes], int]:
        raise NotImplementedError  # the sources here give no packets

    def _prepare(self, encoder: Encoder) -> None:
        """What must be so when it encodes the next frame."""


class LimitedVideo(Limited):
    """`lower` sets an encoder's target to less than the library itself lets through."""

    def __init__(
        self,
        codec: Callable[[], RTCRtpCodecParameters],
        allowance: Allowance,
        lower: Callable[[Vp8Encoder | H264Encoder, int], None],
    ) -> None:
        super().__init__(codec, allowance)
        self._lower = lower
        self.target_bitrate: int | None = None
        """Set by the library to what the receiver has estimated (REMB); None before the first."""
        self._first_target: int | None = None

    def _prepare(self, encoder: Encoder) -> None:
        if not isinstance(encoder, Vp8Encoder | H264Encoder):
            return
        if self._first_target is None:
            self._first_target = encoder.target_bitrate
        encoder.target_bitrate = self.target_bitrate or self._first_target
        most = video_encoder_bits(self._allowance.limit)
        if most is not None and most < encoder.target_bitrate:
            self._lower(encoder, most)


class LimitedAudio(Limited):
    """`bits_per_second` is the encoder's, None as the library has it: more than 100 kb/s for a tone."""

    bits_per_second: int | None = None
    _has: int | None = None

    def _prepare(self, encoder: Encoder) -> None:
        bits = self.bits_per_second
        if bits is None or bits == self._has or not isinstance(encoder, OpusEncoder):
            return
        # An open codec keeps its rate. The new one goes on with the timestamps that `encoder` counts.
        codec = OpusEncoder().codec
        codec.bit_rate = bits
        codec.options = {"application": "voip", "vbr": "off"}
        encoder.codec = codec
        self._has = bits
