"""One TLS port, two protocols: the first byte after the handshake says which; neither disturbs the other."""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from unittest.mock import patch

import pytest
from cryptography import x509

from auth.principal import PartyId
from broker.shell.gateway import first_byte
from broker.shell.tls import make_demo_certificate, show_certificate_again
from relay.stun import attributes as a
from relay.stun.message import MessageClass, Method, build, parse
from tests.edge.bench_house import LOCAL
from tests.edge.edge_bench import Bench, edge_bench

PATIENCE_SECONDS = 10.0
GET = b"GET /api/notice HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n"


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with edge_bench(tmp_path) as made:
        yield made


async def connected(bench: Bench, side: str = "outside") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    port = getattr(bench.house.settings, side).port
    return await asyncio.open_connection(LOCAL, port, ssl=bench.tls)


async def binding_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    request = build(Method.BINDING, MessageClass.REQUEST, secrets.token_bytes(12))
    writer.write(request)
    async with asyncio.timeout(PATIENCE_SECONDS):
        answer = await reader.readexactly(32)
    message = parse(answer)
    assert message.transaction_id == request[8:20]
    mapped = message.first(a.XOR_MAPPED_ADDRESS)
    assert mapped is not None
    assert tuple(mapped) == writer.get_extra_info("sockname")
    return answer


def shown_serial(writer: asyncio.StreamWriter) -> int:
    tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
    return x509.load_der_x509_certificate(tls.getpeercert(binary_form=True) or b"").serial_number


@pytest.mark.parametrize("side", ["inside", "outside"])
async def test_a_port_speaks_stun_and_http_at_the_same_time(bench: Bench, side: str) -> None:
    turn = await connected(bench, side)
    http = await connected(bench, side)
    await binding_answer(*turn)
    http[1].write(GET % LOCAL.encode())
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert (await http[0].readline()).startswith(b"HTTP/1.1 ")
    await binding_answer(*turn)
    for _, writer in (turn, http):
        writer.close()


async def test_a_request_that_comes_byte_by_byte_is_answered(bench: Bench) -> None:
    reader, writer = await connected(bench)
    for octet in GET % LOCAL.encode():
        writer.write(bytes((octet,)))
        await writer.drain()
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert (await reader.readline()).startswith(b"HTTP/1.1 ")
    writer.close()


async def test_the_admin_port_speaks_http_alone(bench: Bench) -> None:
    reader, writer = await connected(bench, "admin")
    writer.write(build(Method.BINDING, MessageClass.REQUEST, bytes(12)) + b"\r\n\r\n")
    async with asyncio.timeout(PATIENCE_SECONDS):
        answer = await reader.read(12)
    assert answer in (b"", b"HTTP/1.1 400", b"HTTP/1.0 400")
    writer.close()


async def test_garbage_after_a_stun_byte_ends_that_connection_and_no_other(bench: Bench) -> None:
    good, bad = await connected(bench), await connected(bench)
    await binding_answer(*good)
    bad[1].write(b"\x01" + b"not STUN at all")
    async with asyncio.timeout(PATIENCE_SECONDS):
        with pytest.raises(ConnectionResetError):
            await bad[0].read()
    assert bench.edge.media.relay.counters().streams_ended_as_garbage == 1
    await binding_answer(*good)
    good[1].close()


async def test_who_says_nothing_is_not_waited_for(tmp_path: Path) -> None:
    with patch.object(first_byte, "FIRST_BYTE_SECONDS", 0.2):
        async with edge_bench(tmp_path) as bench:
            reader, writer = await connected(bench)
            async with asyncio.timeout(PATIENCE_SECONDS):
                assert await reader.read() == b""
            writer.close()


async def test_a_port_that_has_closed_hands_nothing_over(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench:
        silent = await connected(bench)
    silent[1].write(GET % LOCAL.encode())
    async with asyncio.timeout(PATIENCE_SECONDS):
        with suppress(ConnectionResetError):
            assert await silent[0].read() == b""
    silent[1].close()


async def test_a_client_is_told_every_way_to_the_relay_best_first(bench: Bench) -> None:
    media, settings = bench.edge.media, bench.house.settings
    udp = media.relay.listeners[0].address.port
    for party, side in (("u-ada", settings.inside), ("g-bob", settings.outside)):
        urls = media.ice_server("c-1", PartyId(party), 1_900_000_000).urls
        assert urls == [
            f"turn:{LOCAL}:{udp}?transport=udp",
            f"turns:{LOCAL}:{side.port}?transport=tcp",
        ]


async def test_a_new_certificate_is_shown_to_those_who_come_and_disturbs_nobody(
    bench: Bench, tmp_path: Path
) -> None:
    before = await connected(bench)
    await binding_answer(*before)
    folder = tmp_path / "renewed"
    folder.mkdir()
    certificate, key = make_demo_certificate(folder, [LOCAL])
    tls = bench.house.settings.tls
    assert tls.certificate_file is not None
    assert tls.private_key_file is not None
    certificate.replace(tls.certificate_file)
    key.replace(tls.private_key_file)
    show_certificate_again(bench.shown, tls)
    bench.tls = ssl.create_default_context(cafile=str(tls.certificate_file))
    after = await connected(bench)
    renewed = x509.load_pem_x509_certificate(tls.certificate_file.read_bytes())
    assert shown_serial(after[1]) == renewed.serial_number
    assert shown_serial(before[1]) != renewed.serial_number
    await binding_answer(*before)
    await binding_answer(*after)
    for _, writer in (before, after):
        writer.close()


async def test_a_certificate_that_does_not_load_changes_nothing(bench: Bench) -> None:
    tls = bench.house.settings.tls
    assert tls.private_key_file is not None
    first = await connected(bench)
    tls.private_key_file.write_text("not a key")
    show_certificate_again(bench.shown, tls)
    second = await connected(bench)
    assert shown_serial(second[1]) == shown_serial(first[1])
    await binding_answer(*second)
    for _, writer in (first, second):
        writer.close()
