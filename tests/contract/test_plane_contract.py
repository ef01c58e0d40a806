"""What every forwarding plane does. Each test runs against each plane."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from relay.stun import attributes as a
from relay.stun import channel_data
from relay.stun.message import MessageClass, Method, build, parse
from relay.vocabulary import Address, DropReason, Limiter, Plane, RouteCounters
from tests.contract.plane_harness import PATIENCE_SECONDS, PLANES, Bench, bench

ROW = Address("198.18.0.7", 50000)


@pytest.fixture(params=sorted(PLANES))
async def at(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    async with bench(PLANES[request.param]) as made:
        yield made


def rtp(payload_type: int, size: int = 40) -> bytes:
    return bytes((0x80, payload_type)) + bytes(size - 2)


def on(channel: int, payload: bytes) -> bytes:
    return channel_data.build(channel, payload)


STUN = build(Method.BINDING, MessageClass.REQUEST, bytes(12))
RTCP = b"\x80\xc8\x00\x01" + bytes(8)
DTLS = b"\x16\xfe\xfd" + bytes(97)


def last(at: Bench, channel: int = 0x4000) -> RouteCounters:
    return at.plane.counters("s1")[at.alice.leg(channel)]


async def test_a_packet_with_a_row_leaves_by_the_targets_channel(at: Bench) -> None:
    at.plane.install(at.route(0x4000, 0x4001))
    at.alice.send(on(0x4000, b"hello"))
    assert await at.bob.receive() == on(0x4001, b"hello")


async def test_equal_channel_numbers_pass_unchanged(at: Bench) -> None:
    at.plane.install(at.route(0x4000, 0x4000))
    at.alice.send(on(0x4000, b"hello"))
    assert await at.bob.receive() == on(0x4000, b"hello")


async def test_padding_is_not_forwarded(at: Bench) -> None:
    at.plane.install(at.route())
    at.alice.send(on(0x4000, b"hello") + b"\0\0\0")
    assert await at.bob.receive() == on(0x4001, b"hello")


async def test_an_empty_payload_is_forwarded(at: Bench) -> None:
    at.plane.install(at.route())
    at.alice.send(on(0x4000, b""))
    assert await at.bob.receive() == on(0x4001, b"")


@pytest.mark.parametrize("payload", [b"", b"1", b"12", b"123", b"1234"])
async def test_a_target_without_a_channel_gets_a_data_indication_that_names_the_row(
    at: Bench, payload: bytes
) -> None:
    at.plane.install(at.route(0x4000, ROW))
    at.alice.send(on(0x4000, payload))
    indication = parse(await at.bob.receive())
    assert (indication.method, indication.message_class) == (Method.DATA, MessageClass.INDICATION)
    assert indication.first(a.XOR_PEER_ADDRESS) == ROW
    assert indication.first(a.DATA) == payload


@pytest.mark.parametrize("row", [ROW, Address("2001:db8::7", 50000)])
async def test_a_payload_that_control_took_out_of_a_send_indication_is_forwarded(
    at: Bench, row: Address
) -> None:
    at.plane.install(at.route(ROW, row))
    at.plane.forward(at.alice.leg(ROW), b"check")
    indication = parse(await at.bob.receive())
    assert indication.first(a.XOR_PEER_ADDRESS) == row
    assert indication.first(a.DATA) == b"check"
    assert at.plane.counters("s1")[at.alice.leg(ROW)].packets == 1


async def test_forwarding_by_a_leg_without_a_row_does_nothing(at: Bench) -> None:
    at.plane.forward(at.alice.leg(ROW), b"check")
    assert await at.sent_before() == []


async def test_a_row_matches_only_its_own_client(at: Bench) -> None:
    at.plane.install(at.route())
    at.bob.send(on(0x4000, b"not mine"))
    at.alice.send(on(0x4000, b"mine"))
    assert await at.bob.receive() == on(0x4001, b"mine")
    assert await at.sent_before() == []


async def test_a_datagram_shorter_than_it_says_is_dropped_and_counted(at: Bench) -> None:
    at.plane.install(at.route())
    at.alice.send(on(0x4000, b"hello")[:-1])
    await at.settled()
    assert await at.sent_before() == []
    assert last(at).drops == {DropReason.CLASS: 1}


async def test_only_negotiated_payload_types_pass(at: Bench) -> None:
    at.plane.install(at.route(payload_types=frozenset({96})))
    wanted = [rtp(96), rtp(96 | 0x80), RTCP, STUN]
    for payload in (rtp(97), *wanted[:2], rtp(0), *wanted[2:], rtp(97 | 0x80)):
        at.alice.send(on(0x4000, payload))
    await at.settled()
    assert await at.sent_before() == [on(0x4001, payload) for payload in wanted]
    assert last(at).drops == {DropReason.PAYLOAD_TYPE: 3}
    assert last(at).packets == 4


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"GET / HTTP/1.1\r\n\r\n",
        b"SSH-2.0-OpenSSH",
        b"\x00\x01\x00\x00" + bytes(16),
        STUN + b"tail",
        STUN[:-1],
        b"\x05" + bytes(30),
        b"\x13" + bytes(30),
        b"\x40" + bytes(30),
        b"\xc0" + bytes(30),
        b"\xff" * 30,
        rtp(96)[:11],
        RTCP[:7],
        DTLS[:12],
    ],
)
async def test_what_is_neither_stun_dtls_rtp_nor_rtcp_is_dropped(at: Bench, payload: bytes) -> None:
    at.plane.install(at.route(payload_types=frozenset({96}), dtls_budget_bytes=1000))
    at.alice.send(on(0x4000, payload))
    await at.settled()
    assert await at.sent_before() == []
    assert last(at).drops == {DropReason.CLASS: 1}


async def test_the_class_check_also_holds_for_payloads_from_indications(at: Bench) -> None:
    at.plane.install(at.route(ROW, ROW, payload_types=frozenset({96})))
    at.plane.forward(at.alice.leg(ROW), b"GET / HTTP/1.1\r\n\r\n")
    at.plane.forward(at.alice.leg(ROW), rtp(97))
    assert await at.sent_before() == []
    drops = at.plane.counters("s1")[at.alice.leg(ROW)].drops
    assert drops == {DropReason.CLASS: 1, DropReason.PAYLOAD_TYPE: 1}


async def test_dtls_passes_within_the_sessions_budget(at: Bench) -> None:
    types: frozenset[int] = frozenset()
    at.plane.install(at.route(0x4000, payload_types=types, dtls_budget_bytes=250))
    at.plane.install(at.route(0x4001, 0x4002, payload_types=types, dtls_budget_bytes=250))
    for channel in (0x4000, 0x4001, 0x4000):
        at.alice.send(on(channel, DTLS))
    await at.settled()
    assert await at.sent_before() == [on(0x4001, DTLS), on(0x4002, DTLS)]
    assert last(at).drops == {DropReason.DTLS_BUDGET: 1}


async def test_a_new_row_does_not_bring_a_new_dtls_budget(at: Bench) -> None:
    route = at.route(payload_types=frozenset(), dtls_budget_bytes=100)
    at.plane.install(route)
    at.alice.send(on(0x4000, DTLS))
    await at.settled()
    at.plane.remove(route.source)
    at.plane.install(route)
    at.alice.send(on(0x4000, DTLS))
    await at.settled()
    assert await at.sent_before() == [on(0x4001, DTLS)]


async def test_a_limiter_drops_what_exceeds_its_burst(at: Bench) -> None:
    at.plane.set_limit("slow", Limiter(bits_per_second=8, burst_bytes=100))
    at.plane.install(at.route(limiter_ids=("slow", "there is none of this name")))
    for number in range(4):
        at.alice.send(on(0x4000, bytes((number,)) * 40))
    await at.settled()
    assert await at.sent_before() == [on(0x4001, bytes((number,)) * 40) for number in range(2)]
    assert last(at).drops == {DropReason.LIMITER: 2}


async def test_a_limiter_is_shared_by_its_routes_and_can_be_lifted(at: Bench) -> None:
    at.plane.install(at.route(0x4000, 0x4001, limiter_ids=("slow",)))
    at.plane.install(at.route(0x4002, 0x4003, limiter_ids=("slow",)))
    at.plane.set_limit("slow", Limiter(bits_per_second=8, burst_bytes=40))
    at.alice.send(on(0x4000, bytes(40)))
    at.alice.send(on(0x4002, bytes(40)))
    await at.settled()
    at.plane.set_limit("slow", None)
    at.alice.send(on(0x4002, bytes(40)))
    await at.settled()
    assert await at.sent_before() == [on(0x4001, bytes(40)), on(0x4003, bytes(40))]


async def test_a_limiter_reaches_the_row_that_replaced_another(at: Bench) -> None:
    for _ in range(2):
        at.plane.install(at.route(limiter_ids=("slow",)))
    at.plane.install(at.route(0x4002, 0x4003, session_id="s2", limiter_ids=("slow",)))
    at.plane.remove_session("s2")
    at.plane.set_limit("slow", Limiter(bits_per_second=8, burst_bytes=40))
    for number in range(2):
        at.alice.send(on(0x4000, bytes((number,)) * 40))
    await at.settled()
    assert await at.sent_before() == [on(0x4001, bytes(40))]


async def test_the_reserve_of_a_limiter_is_for_audio_and_control_traffic(at: Bench) -> None:
    at.plane.set_limit("slow", Limiter(bits_per_second=8, burst_bytes=200, audio_reserve_bytes=150))
    types = frozenset({96, 111})
    at.plane.install(at.route(payload_types=types, audio=frozenset({111}), limiter_ids=("slow",)))
    payloads = [rtp(96), rtp(96), rtp(111), RTCP, STUN]
    for payload in payloads:
        at.alice.send(on(0x4000, payload))
    await at.settled()
    passed = [payloads[0], *payloads[2:]]
    assert await at.sent_before() == [on(0x4001, payload) for payload in passed]


async def test_counters_count_payloads_and_go_on_when_a_row_is_replaced(at: Bench) -> None:
    at.plane.install(at.route(0x4000, ROW))
    at.alice.send(on(0x4000, b"12345"))
    await at.bob.receive()
    at.plane.install(at.route(0x4000, 0x4001))
    at.alice.send(on(0x4000, b"123"))
    assert await at.bob.receive() == on(0x4001, b"123")
    counters = last(at)
    assert (counters.packets, counters.bytes) == (2, 8)
    assert counters.last_seen is not None


async def test_the_totals_are_the_sum_of_the_rows_that_are_there(at: Bench) -> None:
    assert at.plane.totals() == RouteCounters()
    at.plane.install(at.route(0x4000, payload_types=frozenset({96})))
    at.plane.install(at.route(0x4002, session_id="s2", payload_types=frozenset()))
    for datagram in (on(0x4000, rtp(96)), on(0x4000, rtp(97)), on(0x4002, RTCP), on(0x4002, rtp(96))):
        at.alice.send(datagram)
    await at.settled()
    assert at.plane.totals() == RouteCounters(2, 40 + len(RTCP), {DropReason.PAYLOAD_TYPE: 2})
    at.plane.remove_session("s2")
    assert at.plane.totals() == RouteCounters(1, 40, {DropReason.PAYLOAD_TYPE: 1})


async def test_a_stranger_reaches_control_with_stun_requests_only(at: Bench) -> None:
    for datagram in (b"", b"x", on(0x4000, b"data"), STUN[:-1], b"\x00\x16" + STUN[2:], STUN):
        at.alice.send(datagram)
    async with asyncio.timeout(PATIENCE_SECONDS):
        punts = await at.plane.punts()
    assert [(punt.five_tuple, punt.datagram) for punt in punts] == [(at.alice.five_tuple, STUN)]


async def test_an_owner_reaches_control_with_anything(at: Bench) -> None:
    at.plane.own(at.alice.five_tuple)
    datagrams = [on(0x4000, b"early media"), b"\x00\x16" + STUN[2:], STUN]
    for datagram in datagrams:
        at.alice.send(datagram)
    got: list[bytes] = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(got) < len(datagrams):
            got += [punt.datagram for punt in await at.plane.punts()]
    assert got == datagrams


async def test_strangers_cannot_take_an_owners_place_in_the_queue(at: Bench) -> None:
    at.plane.own(at.bob.five_tuple)
    for _ in range(20):
        for _ in range(250):
            at.alice.send(STUN)
        await asyncio.sleep(0)
    at.bob.send(on(0x4000, b"media"))
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            if any(punt.five_tuple == at.bob.five_tuple for punt in await at.plane.punts()):
                break
    assert at.plane.plane_counters().punts_refused_owned == 0


async def test_packets_with_a_row_wait_behind_those_that_control_has_not_seen(at: Bench) -> None:
    at.plane.own(at.alice.five_tuple)
    at.plane.install(at.route())
    at.alice.send(STUN)
    at.alice.send(on(0x4000, b"second"))
    got: list[bytes] = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(got) < 2:
            got += [punt.datagram for punt in await at.plane.punts()]
    assert got == [STUN, on(0x4000, b"second")]
    at.plane.forward(at.alice.leg(0x4000), b"second")
    await asyncio.sleep(0)
    at.alice.send(on(0x4000, b"third"))
    assert [await at.bob.receive(), await at.bob.receive()] == [on(0x4001, b"second"), on(0x4001, b"third")]


@pytest.mark.parametrize("plane", sorted(PLANES))
async def test_routes_cross_from_an_ipv4_listener_to_an_ipv6_listener(plane: str) -> None:
    async with bench(PLANES[plane], Address("127.0.0.1", 0), Address("::1", 0)) as at:
        at.plane.install(at.route())
        at.alice.send(on(0x4000, b"across"))
        assert await at.bob.receive() == on(0x4001, b"across")


@pytest.mark.parametrize("plane", sorted(PLANES))
async def test_when_one_listener_cannot_be_bound_none_stays_bound(plane: str) -> None:
    async with bench(PLANES[plane]) as at:
        taken = at.alice.five_tuple.server
        other: Plane = PLANES[plane]()
        with pytest.raises(OSError, match="in use"):
            other.start([Address("127.0.0.1", 0), taken])
        other.stop()


@pytest.mark.parametrize("plane", sorted(PLANES))
async def test_a_stopped_plane_is_silent_and_may_be_stopped_again(plane: str) -> None:
    async with bench(PLANES[plane]) as at:
        at.plane.install(at.route())
        at.plane.stop()
        at.plane.send(at.bob.five_tuple, b"reply")
        at.plane.forward(at.alice.leg(0x4000), b"data")
        at.plane.stop()


@pytest.mark.parametrize("plane", sorted(PLANES))
async def test_the_addresses_of_a_stopped_plane_are_free(plane: str) -> None:
    async with bench(PLANES[plane]) as at:
        at.plane.stop()
        other: Plane = PLANES[plane]()
        assert other.start([at.alice.five_tuple.server]) == [at.alice.five_tuple.server]
        other.stop()
