"""Whatever a client sends, the native plane and the portable one decide alike, and send the same bytes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.stun import attributes as a
from relay.stun.message import parse
from relay.vocabulary import Address, Egress, Limiter, RouteCounters
from tests.contract.plane_harness import PLANES, bench

pytestmark = pytest.mark.skipif("native" not in PLANES, reason="one plane only: no compiler")

ROW = Address("198.18.0.7", 50000)
PAYLOAD_TYPES, AUDIO = frozenset({0, 63, 64, 72, 96, 111, 127}), frozenset({0, 111})

FIRST = st.one_of(
    st.integers(0, 255), st.sampled_from([0, 1, 22, 23, 26, 0x24, 0x2C, 0x2F, 0x80, 0x90, 0xBF])
)
SECOND = st.one_of(st.integers(0, 255), st.sampled_from([0xFE, 96, 111, 191, 192, 200, 223, 224, 0xE0]))


@st.composite
def payloads(draw: st.DrawFn) -> bytes:
    """Random bytes behind heads that are right, or nearly so."""
    tail = draw(st.binary(max_size=64))
    head = bytes((draw(FIRST), draw(SECOND)))
    shape = draw(st.sampled_from(["noise", "stun", "dtls", "short dtls", "long"]))
    slip = draw(st.sampled_from([0, 0, 0, -1, 1, 4]))
    if shape == "stun":
        size = max(len(tail) + slip, 0)
        return head[:1] + b"\x01" + size.to_bytes(2, "big") + b"\x21\x12\xa4\x42" + bytes(12) + tail
    if shape == "dtls":
        size = max(len(tail) + slip, 0)
        return bytes((20 + head[0] % 8, 0xFE, head[1] | 0xFD)) + bytes(8) + size.to_bytes(2, "big") + tail
    if shape == "short dtls":
        size = max(len(tail) + slip, 0)
        return bytes((0x20 | head[0] & 0x1F, *bytes(1 + (head[0] >> 3 & 1)))) + size.to_bytes(2, "big") + tail
    return head + tail * (40 if shape == "long" else 1)


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """ChannelData with a length that is right, too long or too short; or anything."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=40))
    payload = draw(payloads())
    length = max(len(payload) + draw(st.sampled_from([0, 0, 0, 0, 1, -1, 5])), 0)
    channel = draw(st.sampled_from([0x4000, 0x4001, 0x4002, 0x7FFF]))
    return channel.to_bytes(2, "big") + length.to_bytes(2, "big") + payload


async def outcome(plane: str, sent: Sequence[bytes]) -> tuple[list[object], list[RouteCounters], int, int]:
    """What came out, what the rows counted, and what of it went to control."""
    async with bench(PLANES[plane]) as at:
        at.plane.set_limit("slow", Limiter(bits_per_second=1, burst_bytes=3000, audio_reserve_bytes=500))
        checked = at.between(
            at.carol, at.dave, 0x4000, 0x4005,
            payload_types=PAYLOAD_TYPES, audio_payload_types=AUDIO,
            dtls_budget_bytes=200, limiter_ids=("slow",),
        )  # fmt: skip
        indications = at.between(at.carol, at.dave, 0x4001, ROW, payload_types=PAYLOAD_TYPES)
        anything = at.between(at.carol, at.dave, 0x4002, 0x4006)
        for route in (checked, indications, anything):
            at.plane.install(route)
        for message in sent:
            at.carol.send(message)
        refused = at.plane.plane_counters()
        if refused.punted:
            # Those behind a punt wait with it: the comparison is about what does not wait.
            await at.plane.punts()
        came = [comparable(egress) for egress in await at.came_out()]
        counters = at.plane.counters("s1")
        rows = [counters[route.source] for route in (checked, indications, anything)]
        return came, [untimed(row) for row in rows], refused.punted, refused.punts_refused_stranger


def comparable(egress: Egress) -> object:
    """Transaction ids of indications are random."""
    if egress.message[0] >= 0x40:
        return egress
    indication = parse(egress.message)
    return (
        egress.five_tuple,
        indication.first(a.XOR_PEER_ADDRESS),
        indication.first(a.DATA),
        len(egress.message),
    )


def untimed(row: RouteCounters) -> RouteCounters:
    return RouteCounters(row.packets, row.bytes, row.drops, None)


@settings(max_examples=300, deadline=None)
@given(sent=st.lists(messages(), max_size=12))
async def test_both_planes_forward_drop_and_punt_alike(sent: list[bytes]) -> None:
    assert await outcome("native", sent) == await outcome("asyncio", sent)
