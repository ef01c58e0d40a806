"""What may be sent of each medium in a call, and what a sender makes of that: no clock, no library."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from math import inf

from broker.core.frames import MediaLimit

PACKET_OVERHEAD_BYTES = 40
"""Of an RTP packet beside its payload, at most: header, the extensions this client sends, SRTP's tag."""
AUDIO_PACKETS_PER_SECOND = 50
MAX_AUDIO_BITS_PER_SECOND = 64_000
"""Of a client that obeys limits, also where there is none: speech needs no more."""
MIN_AUDIO_ENCODER_BITS_PER_SECOND = 6_000
"""The least that the audio encoder makes something useful of."""

_BURST_SECONDS = 0.1
_PAID_BACK = 0.98  # of the limit: what was borrowed for a large picture must be made good, too
_TO_ENCODER = 0.9  # the encoder keeps a new target only once it differs from the old one by a tenth
_TIAS = re.compile(r"b=TIAS:(\d{1,10})$")


@dataclass(frozen=True, slots=True)
class SendLimits:
    """Bits a second, with all that RTP and SRTP add; None for no limit."""

    audio: int | None = None
    video: int | None = None
    screen: int | None = None

    @classmethod
    def from_frame(cls, frame: MediaLimit) -> SendLimits:
        return cls(frame.audio_bits_per_second, frame.video_bits_per_second, frame.screen_bits_per_second)

    def updated_by(self, sdp: str, *, with_video: bool) -> SendLimits:
        """With what the counterpart's description states by `b=TIAS`; where it is silent nothing changes.

        `with_video` says whether the call has video of its own: the next video section is the screen.
        """
        limits = self
        sections: Counter[str] = Counter()
        medium = ""
        for line in sdp.splitlines():
            if line.startswith("m="):
                medium = line[2:].partition(" ")[0]
                sections[medium] += 1
            elif stated := _TIAS.match(line):
                bits = int(stated[1])
                match medium, sections[medium]:
                    case "audio", 1:
                        limits = replace(limits, audio=bits)
                    case "video", 1 if with_video:
                        limits = replace(limits, video=bits)
                    case "video", _:
                        limits = replace(limits, screen=bits)
        return limits


@dataclass(frozen=True, slots=True)
class Picture:
    """How a synthetic picture is made."""

    width: int
    height: int
    frames_per_second: int


FULL_PICTURE = Picture(320, 240, 30)
_PICTURES = (
    (250_000, FULL_PICTURE),
    (120_000, Picture(320, 240, 15)),
    (60_000, Picture(160, 120, 15)),
    (0, Picture(160, 120, 5)),
)


def picture_within(limit: int | None) -> Picture:
    """What can be shown within the limit without the encoder's worst quality; None is no limit.

    Of fewer pictures each may be larger. Limits beneath a few kilobits a second are kept by `Allowance`
    alone, which then lets pictures through one by one.
    """
    if limit is None:
        return FULL_PICTURE
    return next(picture for least, picture in _PICTURES if limit >= least)


def video_encoder_bits(limit: int | None) -> int | None:
    """What to ask of a video encoder, so that with the packets around it the limit is kept."""
    if limit is None:
        return None
    overhead = picture_within(limit).frames_per_second * PACKET_OVERHEAD_BYTES * 8
    return max(1_000, int((limit - overhead) * _TO_ENCODER))


def audio_encoder_bits(limit: int | None) -> int:
    """What to ask of an audio encoder with a constant rate. There is a floor: 50 packets a second of it need
    22 kb/s, and a limit beneath that is not kept."""
    total = MAX_AUDIO_BITS_PER_SECOND if limit is None else min(limit, MAX_AUDIO_BITS_PER_SECOND)
    overhead = AUDIO_PACKETS_PER_SECOND * PACKET_OVERHEAD_BYTES * 8
    return max(MIN_AUDIO_ENCODER_BITS_PER_SECOND, total - overhead)


class Allowance:
    """Holds what is sent to a limit, whatever the encoder makes of its target: the next picture waits until
    those before it have been paid for. Seconds are any clock's; `sent` only grows, by its encoder's hand.
    """

    def __init__(self) -> None:
        self.limit: int | None = None
        self.sent = 0
        """Bytes, with all that RTP and SRTP add."""
        self._counted = 0
        self._credit = 0.0
        self._asked_at: float | None = None

    def change(self, limit: int | None) -> None:
        """From now on; what was sent before does not count."""
        self.limit = limit
        self._counted = self.sent
        self._credit = 0.0
        self._asked_at = None

    def wait(self, now: float) -> float:
        """Seconds until the next picture may be sent; infinite while nothing may."""
        if self.limit is None:
            return 0.0
        rate = self.limit / 8 * _PAID_BACK
        earned = rate * (now - self._asked_at) if self._asked_at is not None else 0.0
        sent = self.sent
        self._credit = min(self._credit + earned, rate * _BURST_SECONDS) - (sent - self._counted)
        self._asked_at, self._counted = now, sent
        if rate == 0:
            return inf
        # Less than a byte is what the arithmetic leaves over.
        return -self._credit / rate if self._credit <= -1 else 0.0
