"""What every forwarding plane does for clients of TCP and TLS. Each test runs against each plane."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from relay.stun import attributes as a
from relay.stun import channel_data
from relay.stun.message import MessageClass, Method, build, parse
from relay.vocabulary import Address, DropReason, Egress, Limiter, RouteCounters
from tests.contract.plane_harness import PATIENCE_SECONDS, PLANES, Bench, StreamClient, bench

ROW = Address("198.18.0.7", 50000)
STUN = build(Method.BINDING, MessageClass.REQUEST, bytes(12))
RTP = b"\x80\x60" + bytes(38)
DTLS = b"\x16\xfe\xfd" + bytes(97)

Remove = Callable[[Bench], object]


@pytest.fixture(params=sorted(PLANES))
async def at(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    async with bench(PLANES[request.param]) as made:
        yield made


def on(channel: int, payload: bytes) -> bytes:
    return channel_data.build(channel, payload)


def counted(at: Bench, sender: StreamClient, form: int | Address = 0x4000) -> RouteCounters:
    return at.plane.counters("s1")[sender.leg(form)]


async def punted(at: Bench, count: int) -> list[bytes]:
    got: list[bytes] = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(got) < count:
            got += [punt.datagram for punt in await at.plane.punts()]
    return got


# --- where it goes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [*range(9), 1200, 60_000])
async def test_what_a_connection_brings_leaves_as_a_datagram_by_its_row(at: Bench, length: int) -> None:
    at.plane.install(at.between(at.carol, at.bob))
    at.carol.send(on(0x4000, b"\xff" * length))
    assert await at.bob.receive() == on(0x4001, b"\xff" * length)
    assert (counted(at, at.carol).packets, counted(at, at.carol).bytes) == (1, length)


@pytest.mark.parametrize("length", [*range(9), 1200, 60_000])
async def test_it_comes_out_again_for_another_connection_without_padding(at: Bench, length: int) -> None:
    at.plane.install(at.between(at.carol, at.dave))
    at.carol.send(on(0x4000, b"\xff" * length))
    assert await at.came_out() == [Egress(at.dave.five_tuple, on(0x4001, b"\xff" * length))]
    assert (counted(at, at.carol).packets, counted(at, at.carol).bytes) == (1, length)


async def test_what_follows_the_payload_of_a_message_is_not_forwarded(at: Bench) -> None:
    at.plane.install(at.between(at.carol, at.dave))
    at.carol.send(on(0x4000, b"hello") + b"more")
    assert await at.came_out() == [Egress(at.dave.five_tuple, on(0x4001, b"hello"))]


@pytest.mark.parametrize("padding", range(4))
async def test_a_datagram_for_a_connection_comes_out_without_padding(at: Bench, padding: int) -> None:
    at.plane.install(at.between(at.alice, at.dave))
    at.alice.send(on(0x4000, b"hello") + bytes(padding))
    await at.settled()
    assert await at.came_out() == [Egress(at.dave.five_tuple, on(0x4001, b"hello"))]


async def test_equal_channel_numbers_pass_unchanged(at: Bench) -> None:
    at.plane.install(at.between(at.carol, at.dave, 0x4000, 0x4000))
    at.plane.install(at.between(at.alice, at.dave, 0x4000, 0x4000))
    at.carol.send(on(0x4000, b"one"))
    at.alice.send(on(0x4000, b"two"))
    await at.settled()
    assert [egress.message for egress in await at.came_out()] == [on(0x4000, b"one"), on(0x4000, b"two")]


@pytest.mark.parametrize("payload", [b"", b"1", b"12", b"123", b"1234"])
async def test_a_connection_without_a_channel_gets_a_data_indication_that_names_the_row(
    at: Bench, payload: bytes
) -> None:
    at.plane.install(at.between(at.carol, at.dave, 0x4000, ROW))
    at.plane.install(at.between(at.alice, at.dave, ROW, ROW))
    at.carol.send(on(0x4000, payload))
    at.plane.forward(at.alice.leg(ROW), payload)
    came = await at.came_out()
    assert [egress.five_tuple for egress in came] == [at.dave.five_tuple] * 2
    for egress in came:
        indication = parse(egress.message)
        assert (indication.method, indication.message_class) == (Method.DATA, MessageClass.INDICATION)
        assert indication.first(a.XOR_PEER_ADDRESS) == ROW
        assert indication.first(a.DATA) == payload


async def test_rows_are_each_connections_own(at: Bench) -> None:
    at.plane.install(at.between(at.carol, at.bob))
    at.dave.send(on(0x4000, b"not mine"))
    at.carol.send(on(0x4002, b"not this"))
    at.carol.send(on(0x4000, b"mine"))
    assert await at.bob.receive() == on(0x4001, b"mine")
    assert await at.sent_before() == []


async def test_who_takes_what_comes_out_waits_until_there_is_something(at: Bench) -> None:
    taking = asyncio.create_task(at.plane.egress())
    await asyncio.sleep(0)
    assert not taking.done()
    at.plane.install(at.between(at.carol, at.dave))
    at.plane.install(at.between(at.dave, at.carol))
    for number in range(5):
        at.carol.send(on(0x4000, bytes((number,))))
    at.dave.send(on(0x4000, b"back"))
    async with asyncio.timeout(PATIENCE_SECONDS):
        came = await taking
        while len(came) < 6:
            came += await at.plane.egress()
    there = [Egress(at.dave.five_tuple, on(0x4001, bytes((number,)))) for number in range(5)]
    assert came == [*there, Egress(at.carol.five_tuple, on(0x4001, b"back"))]


# --- what passes --------------------------------------------------------------------------------------


async def test_a_message_shorter_than_it_says_is_dropped_and_counted(at: Bench) -> None:
    at.plane.install(at.between(at.carol, at.dave))
    at.carol.send(on(0x4000, b"hello")[:-1])
    assert await at.came_out() == []
    assert counted(at, at.carol).drops == {DropReason.CLASS: 1}


async def test_the_class_check_and_the_budget_of_dtls_hold(at: Bench) -> None:
    route = at.between(
        at.carol, at.dave, payload_types=frozenset({96}), dtls_budget_bytes=150, session_id="s1"
    )
    at.plane.install(route)
    wrong_type = b"\x80\x61" + bytes(38)
    for payload in (b"GET / HTTP/1.1\r\n\r\n", wrong_type, RTP, b"", DTLS, DTLS, STUN):
        at.carol.send(on(0x4000, payload))
    assert [egress.message for egress in await at.came_out()] == [
        on(0x4001, payload) for payload in (RTP, DTLS, STUN)
    ]
    counters = counted(at, at.carol)
    assert (counters.packets, counters.bytes) == (3, 40 + 100 + 20)
    assert counters.last_seen is not None
    assert counters.drops == {
        DropReason.CLASS: 2, DropReason.PAYLOAD_TYPE: 1, DropReason.DTLS_BUDGET: 1,
    }  # fmt: skip


async def test_a_limiter_is_one_for_datagrams_and_connections(at: Bench) -> None:
    at.plane.set_limit("slow", Limiter(bits_per_second=8, burst_bytes=100))
    at.plane.install(at.between(at.carol, at.dave, limiter_ids=("slow",)))
    at.plane.install(at.between(at.alice, at.dave, limiter_ids=("slow",)))
    at.carol.send(on(0x4000, bytes(40)))
    at.alice.send(on(0x4000, bytes(40)))
    await at.settled()
    at.carol.send(on(0x4000, bytes(40)))
    assert len(await at.came_out()) == 2
    assert counted(at, at.carol).drops == {DropReason.LIMITER: 1}
    at.plane.set_limit("slow", None)
    at.carol.send(on(0x4000, bytes(40)))
    assert len(await at.came_out()) == 1


@pytest.mark.parametrize(
    ("row", "longest"), [(ROW, 0xFFFC - 12 - 4), (Address("2001:db8::7", 50000), 0xFFFC - 24 - 4)]
)
async def test_what_an_indication_cannot_hold_is_dropped_and_counted(
    at: Bench, row: Address, longest: int
) -> None:
    at.plane.install(at.between(at.carol, at.dave, 0x4000, row))
    for length in (longest, longest + 1, 0xFFFF):
        at.carol.send(on(0x4000, b"\xff" * length))
    (egress,) = await at.came_out()
    assert parse(egress.message).first(a.DATA) == b"\xff" * longest
    assert counted(at, at.carol).drops == {DropReason.CLASS: 2}


# --- what is removed ----------------------------------------------------------------------------------

REMOVALS: dict[str, Remove] = {
    "its row": lambda at: at.plane.remove(at.carol.leg(0x4000)),
    "its session": lambda at: at.plane.remove_session("s1"),
    "everything": lambda at: at.plane.remove_all(),
}


@pytest.mark.parametrize("remove", REMOVALS.values(), ids=REMOVALS)
async def test_nothing_of_a_removed_row_comes_out_though_it_waited_already(at: Bench, remove: Remove) -> None:
    at.plane.install(at.between(at.carol, at.dave))
    for number in range(100):
        at.carol.send(on(0x4000, bytes((number,))))
    remove(at)
    at.carol.send(on(0x4000, b"after"))
    assert await at.came_out() == []


@pytest.mark.parametrize("remove", REMOVALS.values(), ids=REMOVALS)
async def test_nor_does_what_waited_of_the_row_that_it_had_replaced(at: Bench, remove: Remove) -> None:
    at.plane.install(at.between(at.carol, at.dave, to=0x4001))
    at.carol.send(on(0x4000, b"by the first row"))
    at.plane.install(at.between(at.carol, at.dave, to=0x4002))
    at.carol.send(on(0x4000, b"by the second"))
    remove(at)
    assert await at.came_out() == []


async def test_a_row_that_replaces_another_lets_come_what_waited(at: Bench) -> None:
    at.plane.install(at.between(at.carol, at.dave, to=0x4001))
    at.carol.send(on(0x4000, b"before"))
    at.plane.install(at.between(at.carol, at.dave, to=0x4002))
    at.carol.send(on(0x4000, b"after"))
    assert [egress.message for egress in await at.came_out()] == [on(0x4001, b"before"), on(0x4002, b"after")]
    assert counted(at, at.carol).packets == 2


async def test_the_other_rows_of_a_connection_go_on_when_one_is_removed(at: Bench) -> None:
    at.plane.install(at.between(at.carol, at.dave))
    at.plane.install(at.between(at.alice, at.dave, 0x4000, 0x4005, session_id="s2"))
    at.carol.send(on(0x4000, b"gone"))
    at.alice.send(on(0x4000, b"here"))
    await at.settled()
    at.plane.remove_session("s1")
    assert await at.came_out() == [Egress(at.dave.five_tuple, on(0x4005, b"here"))]


async def test_a_row_installed_after_a_removal_brings_nothing_back(at: Bench) -> None:
    route = at.between(at.carol, at.dave)
    at.plane.install(route)
    at.carol.send(on(0x4000, b"before"))
    at.plane.remove(route.source)
    at.plane.install(route)
    at.carol.send(on(0x4000, b"after"))
    assert await at.came_out() == [Egress(at.dave.five_tuple, on(0x4001, b"after"))]


# --- who does not keep up -----------------------------------------------------------------------------


@pytest.mark.parametrize("length", [10, 60_000])
async def test_what_waits_is_bounded_and_what_finds_no_room_is_counted(at: Bench, length: int) -> None:
    at.plane.install(at.between(at.carol, at.dave))
    sent = 20_000 if length == 10 else 1000
    for number in range(sent):
        at.carol.send(on(0x4000, number.to_bytes(4, "big") + bytes(length - 4)))
    refused = at.plane.plane_counters().egress_refused
    async with asyncio.timeout(PATIENCE_SECONDS):
        came = await at.plane.egress()
        while len(came) < sent - refused:
            came += await at.plane.egress()
    numbers = [int.from_bytes(egress.message[4:8], "big") for egress in came]
    assert 0 < refused < sent
    assert numbers == list(range(sent - refused))
    assert sum(len(egress.message) for egress in came) <= 32 << 20
    counters = counted(at, at.carol)
    assert counters.packets == sent - refused
    assert counters.drops == {DropReason.SEND_FAILED: refused}
    # There is room again.
    at.carol.send(on(0x4000, b"late"))
    assert await at.came_out() == [Egress(at.dave.five_tuple, on(0x4001, b"late"))]


async def test_rows_drop_and_count_what_they_have_for_a_paused_client_and_for_no_other(at: Bench) -> None:
    at.plane.install(at.between(at.carol, at.dave))
    at.plane.install(at.between(at.alice, at.dave))
    at.plane.install(at.between(at.dave, at.carol))
    at.carol.send(on(0x4000, b"before"))
    at.plane.pause(at.dave.five_tuple)
    at.plane.pause(at.dave.five_tuple)
    at.carol.send(on(0x4000, b"lost"))
    at.alice.send(on(0x4000, b"lost too"))
    await at.settled()
    at.dave.send(on(0x4000, b"there"))
    at.plane.resume(at.dave.five_tuple)
    at.carol.send(on(0x4000, b"after"))
    assert await at.came_out() == [
        Egress(at.dave.five_tuple, on(0x4001, b"before")),
        Egress(at.carol.five_tuple, on(0x4001, b"there")),
        Egress(at.dave.five_tuple, on(0x4001, b"after")),
    ]
    assert counted(at, at.carol).drops == {DropReason.SEND_FAILED: 1}
    assert counted(at, at.carol).packets == 2
    assert at.plane.counters("s1")[at.alice.leg(0x4000)].drops == {DropReason.SEND_FAILED: 1}
    assert at.plane.plane_counters().egress_refused == 0


# --- what control sees --------------------------------------------------------------------------------


async def test_a_stranger_reaches_control_with_stun_requests_only(at: Bench) -> None:
    for message in (on(0x4000, b"data"), b"\x00\x16" + STUN[2:], STUN):
        at.carol.send(message)
    async with asyncio.timeout(PATIENCE_SECONDS):
        punts = await at.plane.punts()
    assert [(punt.five_tuple, punt.datagram) for punt in punts] == [(at.carol.five_tuple, STUN)]
    assert at.plane.plane_counters().punts_refused_stranger == 2


async def test_an_owner_reaches_control_with_anything_and_in_order(at: Bench) -> None:
    at.plane.own(at.carol.five_tuple)
    messages = [on(0x4000, b"early media"), b"\x00\x16" + STUN[2:], STUN]
    for message in messages:
        at.carol.send(message)
    assert await punted(at, 3) == messages


async def test_a_message_with_a_row_waits_behind_those_that_control_has_not_seen(at: Bench) -> None:
    at.plane.own(at.carol.five_tuple)
    at.plane.install(at.between(at.carol, at.dave))
    at.plane.install(at.between(at.alice, at.dave, 0x4000, 0x4005))
    at.carol.send(STUN)
    at.carol.send(on(0x4000, b"second"))
    # Nobody else waits for that.
    at.alice.send(on(0x4000, b"another's"))
    await read_by_the_plane(at)
    assert await at.came_out() == [Egress(at.dave.five_tuple, on(0x4005, b"another's"))]
    assert await punted(at, 2) == [STUN, on(0x4000, b"second")]
    at.plane.forward(at.carol.leg(0x4000), b"second")
    at.carol.send(on(0x4000, b"third"))
    assert await at.came_out() == [
        Egress(at.dave.five_tuple, on(0x4001, b"second")),
        Egress(at.dave.five_tuple, on(0x4001, b"third")),
    ]


async def read_by_the_plane(at: Bench) -> None:
    """The plane has read what Alice sent; punts stay where they are."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not at.plane.counters("s1")[at.alice.leg(0x4000)].packets:  # noqa: ASYNC110 (no event tells it)
            await asyncio.sleep(0)


@pytest.mark.parametrize("plane", sorted(PLANES))
async def test_a_stopped_plane_lets_nothing_come_out(plane: str) -> None:
    async with bench(PLANES[plane]) as at:
        at.plane.install(at.between(at.carol, at.dave))
        at.carol.send(on(0x4000, b"waiting"))
        at.plane.stop()
        at.carol.send(on(0x4000, b"late"))
        taking = asyncio.create_task(at.plane.egress())
        for _ in range(10):
            await asyncio.sleep(0)
        assert not taking.done()
        taking.cancel()
        await asyncio.wait({taking})
