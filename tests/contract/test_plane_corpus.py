"""Every plane decodes as `tests/wire/planes.txt` says, from sockets and from connections."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from relay.stun import channel_data
from relay.stun.framing import MAX_MESSAGE_BYTES
from relay.vocabulary import DropReason, Limiter, Route, RouteCounters
from tests.contract.plane_harness import PLANES, Bench, bench
from tests.wire.test_planes_corpus import AUDIO, LINES, NEGOTIATED, PLENTY, octets

LONGEST = {"alice": 65_507, "carol": MAX_MESSAGE_BYTES}
"""That UDP carries over IPv4, and that a connection may bring."""
SHOWN = {None: "urgent", DropReason.LIMITER: "bulk", DropReason.DTLS_BUDGET: "dtls"}
"""By why a row drops it that has no budget for DTLS and lets nothing in bulk pass."""


@pytest.fixture(params=sorted(PLANES))
async def at(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    async with bench(PLANES[request.param]) as made:
        yield made


def lines(kind: str) -> list[object]:
    """Of this kind, each from everybody who can send that much."""
    return [
        pytest.param(who, octets(data), expected, id=f"{who}-{name}")
        for who, longest in LONGEST.items()
        for a, name, data, *expected in LINES
        if a == kind and len(octets(data)) <= longest
    ]


async def brought(at: Bench, who: str, route: Route, message: bytes) -> tuple[RouteCounters, list[bytes]]:
    """What the row counts once the plane has dealt with it, and what comes out for Dave."""
    at.plane.install(route)
    getattr(at, who).send(message)
    if who == "alice":
        await at.settled()
    counters = at.plane.counters("s1")[route.source]
    return counters, [egress.message for egress in await at.plane.egress()] if counters.packets else []


@pytest.mark.parametrize(("who", "payload", "expected"), lines("payload"))
async def test_a_payload_is_of_its_class(at: Bench, who: str, payload: bytes, expected: list[str]) -> None:
    at.plane.set_limit("all is reserve", Limiter(1, PLENTY, PLENTY))
    route = at.between(
        getattr(at, who),
        at.dave,
        payload_types=NEGOTIATED,
        audio_payload_types=AUDIO,
        limiter_ids=("all is reserve",),
    )
    # What stands behind a payload is none of it; of what a connection brings, framing leaves nothing there.
    behind = bytes(3) if who == "alice" else b""
    counters, _ = await brought(at, who, route, channel_data.build(0x4000, payload) + behind)
    (reason,) = counters.drops or [None]
    assert [SHOWN.get(reason, reason)] == expected


@pytest.mark.parametrize(("who", "datagram", "expected"), lines("datagram"))
async def test_a_datagram_is_what_its_head_says(
    at: Bench, who: str, datagram: bytes, expected: list[str]
) -> None:
    # There is a row even if the number is none of a channel.
    route = at.between(getattr(at, who), at.dave, int.from_bytes(datagram[:2], "big"))
    counters, came = await brought(at, who, route, datagram)
    refused = at.plane.plane_counters().punts_refused_stranger
    match expected:
        case ["none"]:
            assert (counters, refused) == (RouteCounters(), 1)
        case ["request"]:
            assert (counters, refused) == (RouteCounters(), 0)
            assert at.plane.plane_counters().punted == (2 if who == "alice" else 1)
        case ["cut"]:
            assert (counters.packets, counters.drops) == (0, {DropReason.CLASS: 1})
        case [_, payload]:
            assert came == [channel_data.build(0x4001, octets(payload))]
