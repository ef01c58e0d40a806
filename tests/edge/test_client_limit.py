"""What a Python client sends follows the edge's limits, through a real TURN server, and a client that ignores
them does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from broker.client.call import Call, CallReport
from broker.client.limits import MAX_AUDIO_BITS_PER_SECOND, SendLimits
from broker.client.media import MediaKind
from broker.client.participant import join
from broker.core.client_frames import CallAnswer, CallOffer, CallShare, ClientFrame
from broker.core.frames import CallSharing, ForwardedAnswer, MediaLimit
from tests.edge.client_fake_edge import FakeEdge, fake_edge
from tests.edge.client_turn_server import turn_server

FOLLOWS_WITHIN_SECONDS = 5.0
WINDOW_SECONDS = 2.0
TOLERANCE = 1.1


@dataclass(frozen=True, slots=True)
class Rates:
    """Of what one side sent in a window. `beside_audio` is all that its transport carried but audio: video
    and screen with their repetitions, and RTCP.
    """

    audio: float
    beside_audio: float
    screen: float
    audio_packets: float

    @classmethod
    def between(cls, before: CallReport, after: CallReport) -> Rates:
        seconds = after.seconds - before.seconds
        audio = after.audio_bytes_sent - before.audio_bytes_sent
        return cls(
            audio=audio * 8 / seconds,
            beside_audio=(after.bytes_sent - before.bytes_sent - audio) * 8 / seconds,
            screen=(after.screen_bytes_sent - before.screen_bytes_sent) * 8 / seconds,
            audio_packets=(after.audio_packets_sent - before.audio_packets_sent) / seconds,
        )


async def _window(*calls: Call) -> list[Rates]:
    before = [await call.report() for call in calls]
    await asyncio.sleep(WINDOW_SECONDS)
    return [Rates.between(start, await call.report()) for start, call in zip(before, calls, strict=True)]


async def _comes_to(call: Call, holds: Callable[[Rates], bool], within_seconds: float = 10.0) -> None:
    """Returns after the first half second of which that holds."""
    async with asyncio.timeout(within_seconds):
        while True:
            before = await call.report()
            await asyncio.sleep(0.5)
            if holds(Rates.between(before, await call.report())):
                return


def _at_most(beside_audio: float, rates: Rates) -> bool:
    return rates.beside_audio <= beside_audio


@asynccontextmanager
async def _calling(
    tmp_path: Path,
    media: list[MediaKind],
    prepare: Callable[[FakeEdge], None] = lambda edge: None,
    callee_obeys_limits: bool = True,
) -> AsyncIterator[tuple[FakeEdge, Call, Call]]:
    """Ada's side and Bob's of a call that has media."""
    async with fake_edge(tmp_path) as edge, turn_server(tmp_path) as relay:
        edge.ice_server = relay.ice_server
        prepare(edge)
        async with (
            join(edge.origin, "token-ada", edge.ca_file) as ada,
            join(edge.origin, "token-bob", edge.ca_file) as bob,
            ada.calls.place("bob", media) as call,
            bob.calls.accept(await bob.calls.next_ring(), obeys_limits=callee_obeys_limits) as answered,
        ):
            await call.connected()
            await answered.connected()
            yield edge, call, answered


async def _limit(edge: FakeEdge, limits: SendLimits, *calls: Call) -> None:
    """Pushed to both sides, and taken in by them."""
    for party in ("ada", "bob"):
        frame = MediaLimit(
            call_id=calls[0].call_id,
            audio_bits_per_second=limits.audio,
            video_bits_per_second=limits.video,
            screen_bits_per_second=limits.screen,
        )
        await edge.push(party, frame)
    async with asyncio.timeout(5):
        while True:
            if all(call.limits == limits for call in calls):
                return
            await asyncio.sleep(0.01)


async def test_what_a_client_sends_follows_the_limits_unless_it_ignores_them(tmp_path: Path) -> None:
    async with _calling(tmp_path, ["audio", "video"], callee_obeys_limits=False) as (edge, call, ignoring):
        await _comes_to(call, lambda rates: rates.beside_audio > 330_000)
        lost_before, before = await _audio_missing(call, ignoring), await call.report()
        for limit in (300_000, 150_000):
            await _limit(edge, SendLimits(video=limit), call, ignoring)
            most = limit * TOLERANCE
            await _comes_to(call, partial(_at_most, most), FOLLOWS_WITHIN_SECONDS)
            obeyed, ignored = await _window(call, ignoring)
            assert limit * 0.6 < obeyed.beside_audio <= most
            # Whatever the receiver estimates, the library's encoder goes on with 250 kb/s at least.
            assert ignored.beside_audio > 225_000
            assert ignored.audio > MAX_AUDIO_BITS_PER_SECOND * TOLERANCE
        await _limit(edge, SendLimits(), call, ignoring)
        await _comes_to(call, lambda rates: rates.beside_audio > 225_000, FOLLOWS_WITHIN_SECONDS)
        _audio_went_on(Rates.between(before, await call.report()), MAX_AUDIO_BITS_PER_SECOND)
        assert await _audio_missing(call, ignoring) <= lost_before + 10


def _audio_went_on(whole: Rates, bits_per_second: int) -> None:
    """Of many seconds, since what is late on a busy machine is made good in a burst."""
    assert 45 <= whole.audio_packets <= 55
    assert whole.audio <= bits_per_second * TOLERANCE


async def _audio_missing(sender: Call, receiver: Call) -> int:
    """Packets sent and not received, those under way among them."""
    received = (await receiver.report()).audio_packets_received
    return (await sender.report()).audio_packets_sent - received


async def test_a_screen_shown_later_is_limited_from_its_first_frame_and_freed_with_the_limit(
    tmp_path: Path,
) -> None:
    def prepare(edge: FakeEdge) -> None:
        async def before(party: str, frame: ClientFrame) -> bool:
            match frame:
                case CallOffer() if "m=video" not in frame.sdp:
                    limit = MediaLimit(call_id=frame.call_id, screen_bits_per_second=100_000)
                    for each in ("ada", "bob"):
                        await edge.push(each, limit)
                    return False
                case CallAnswer() if "m=video" not in frame.sdp:
                    described = frame.sdp.replace("a=mid:0", "b=TIAS:32000\r\na=mid:0", 1)
                    assert described != frame.sdp
                    await edge.push("ada", ForwardedAnswer(call_id=frame.call_id, sdp=described))
                case CallShare():
                    for each in ("ada", "bob"):
                        await edge.push(each, CallSharing(call_id=frame.call_id, party=party))
                case _:
                    return False
            return True

        edge.before = before

    async with _calling(tmp_path, ["audio"], prepare) as (edge, call, answered):
        assert (await call.report()).limits == SendLimits(audio=32_000, screen=100_000)
        assert (await answered.report()).limits == SendLimits(screen=100_000)
        before = await call.report()
        await call.share()
        await _comes_to(call, lambda rates: rates.screen > 0)
        await _comes_to(call, lambda rates: rates.screen <= 100_000 * TOLERANCE, FOLLOWS_WITHIN_SECONDS)
        shown, other = await _window(call, answered)
        assert 60_000 < shown.screen <= 100_000 * TOLERANCE
        assert shown.beside_audio <= 100_000 * TOLERANCE
        assert other.screen == 0
        await _limit(edge, SendLimits(audio=32_000, screen=30_000), call, answered)
        await _comes_to(call, lambda rates: rates.screen <= 30_000 * TOLERANCE, FOLLOWS_WITHIN_SECONDS)
        (low,) = await _window(call)
        assert 10_000 < low.screen <= 30_000 * TOLERANCE
        _audio_went_on(Rates.between(before, await call.report()), 32_000)
        await _limit(edge, SendLimits(), call, answered)
        await _comes_to(call, lambda rates: rates.screen > 225_000, FOLLOWS_WITHIN_SECONDS)
        assert await _audio_missing(call, answered) <= 10
