"""What a call sends: a synthetic tone, and a synthetic picture that keeps to what may be sent of it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from fractions import Fraction
from hashlib import shake_128
from math import isfinite, pi, sin
from struct import pack

from aiortc import AudioStreamTrack, MediaStreamError, VideoStreamTrack
from av import AudioFrame, VideoFrame

from broker.client.limits import Allowance, picture_within

_AUDIO_RATE = 48000
_AUDIO_SAMPLES = _AUDIO_RATE // 50
_TONE_HZ = 400  # divides the rate, so that every 20 ms block is the same block
_VIDEO_CLOCK = 90_000
_NOISE = shake_128(b"noise").digest(1 << 16)
_NOISY = 30  # one row of so many is noise


class Tone(AudioStreamTrack):
    """A steady 400 Hz tone, 48 kHz mono, 20 ms a frame."""

    _samples = pack(
        f"<{_AUDIO_SAMPLES}h",
        *(int(8000 * sin(2 * pi * _TONE_HZ * n / _AUDIO_RATE)) for n in range(_AUDIO_SAMPLES)),
    )

    def __init__(self) -> None:
        super().__init__()
        self.frames = 0
        self._began: float | None = None

    async def recv(self) -> AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError
        clock = asyncio.get_running_loop().time
        if self._began is None:
            self._began = clock()
        await asyncio.sleep(self._began + self.frames * _AUDIO_SAMPLES / _AUDIO_RATE - clock())
        frame = AudioFrame(format="s16", layout="mono", samples=_AUDIO_SAMPLES)
        frame.planes[0].update(self._samples)
        frame.sample_rate = _AUDIO_RATE
        frame.time_base = Fraction(1, _AUDIO_RATE)
        frame.pts = self.frames * _AUDIO_SAMPLES
        self.frames += 1
        return frame


class MovingPicture(VideoStreamTrack):
    """A grey ramp that moves sideways under a strip of noise, 320x240 at 30 frames a second.

    The noise is what fills the encoder's target: of the ramp alone there is little to send. After a pause the
    picture goes on in time, without a burst of what was missed.
    """

    def __init__(self) -> None:
        super().__init__()
        self.frames = 0
        self.allowance = Allowance()
        self._picture = picture_within(None)
        self._changed = asyncio.Event()
        self._began: float | None = None
        self._due = 0.0

    def limit(self, bits_per_second: int | None) -> None:
        """From the next frame on, also for one that waits already."""
        if bits_per_second != self.allowance.limit:
            self.allowance.change(bits_per_second)
            self._picture = picture_within(bits_per_second)
            self._changed.set()

    async def next_timestamp(self) -> tuple[int, Fraction]:
        clock = asyncio.get_running_loop().time
        now = clock()
        if self._began is None:
            self._began = self._due = now
        else:
            self._due = max(now, self._due + 1 / self._picture.frames_per_second)
        while (wait := max(self._due - now, self.allowance.wait(now))) > 0:
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait if isfinite(wait) else None):
                    await self._changed.wait()
            now = clock()
        if now - self._due > 1 / self._picture.frames_per_second:
            self._due = now
        if self.readyState != "live":
            raise MediaStreamError
        return round((self._due - self._began) * _VIDEO_CLOCK), Fraction(1, _VIDEO_CLOCK)

    async def recv(self) -> VideoFrame:
        pts, time_base = await self.next_timestamp()
        frame = VideoFrame(self._picture.width, self._picture.height, "yuv420p")
        luma, *chroma = frame.planes
        ramp = bytes((column + 4 * self.frames) % 256 for column in range(luma.line_size))
        noisy = luma.height // _NOISY
        # A step that shares nothing with a row's length, so that no frame finds its noise in one before.
        noise = self.frames * 7919 % (len(_NOISE) - noisy * luma.line_size)
        luma.update(_NOISE[noise : noise + noisy * luma.line_size] + ramp * (luma.height - noisy))
        for plane in chroma:
            plane.update(b"\x80" * plane.buffer_size)
        frame.pts = pts
        frame.time_base = time_base
        self.frames += 1
        return frame
