"""The WebSocket as a client meets it that keeps to nothing: each gets its answer, and nobody else waits."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import json
import os
import secrets
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import cast

import pytest
from aiohttp import web

from broker.client.participant import join
from broker.core.frame_codec import MAX_FRAME_BYTES, SUBPROTOCOL
from broker.shell.gateway.socket import MAX_BAD_FRAMES, SocketOutbox
from tests.edge.bench_house import LOCAL
from tests.edge.bench_wire import WAIT_SECONDS
from tests.edge.edge_bench import Bench, edge_bench, until

HELLO = json.dumps({"type": "hello", "client": {"name": "bench", "version": "1"}})


def message_to(party: str, text: str = "hello") -> str:
    return json.dumps({"type": "chat.send", "ref": secrets.token_urlsafe(8), "to": party, "text": text})


@asynccontextmanager
async def raw_socket(
    bench: Bench, token: str, receive_bytes: int | None = None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """An upgraded connection whose frames the test writes itself, and reads only if it wants to."""
    plain = socket.socket()
    if receive_bytes is not None:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    plain.setblocking(False)
    await asyncio.get_running_loop().sock_connect(plain, (LOCAL, bench.house.settings.inside.port))
    reader, writer = await asyncio.open_connection(
        sock=plain, ssl=bench.tls, server_hostname=LOCAL, limit=4096
    )
    key = base64.b64encode(os.urandom(16)).decode()
    writer.write(
        f"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    )
    try:
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        yield reader, writer
    finally:
        writer.transport.abort()


def ws_frame(payload: bytes, opcode: int = 1, *, final: bool = True) -> bytes:
    """One masked frame of RFC 6455 section 5.2; the mask is zero."""
    length = len(payload)
    head = bytes([(0x80 if final else 0) | opcode])
    if length < 126:
        head += bytes([0x80 | length])
    elif length < 65536:
        head += bytes([0x80 | 126]) + struct.pack(">H", length)
    else:
        head += bytes([0x80 | 127]) + struct.pack(">Q", length)
    return head + bytes(4) + payload


async def close_code(reader: asyncio.StreamReader) -> int:
    """The code of the close frame, whatever is sent before it."""
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            opcode, length = await reader.readexactly(2)
            if length == 126:
                (length,) = struct.unpack(">H", await reader.readexactly(2))
            payload = await reader.readexactly(length)
            if opcode == 0x88:
                return int(struct.unpack(">H", payload[:2])[0])


@pytest.mark.parametrize("protocols", [(), ("turngate.v2",), ("chat", "turngate.v0")])
async def test_a_socket_that_does_not_name_our_protocol_is_not_opened(
    tmp_path: Path, protocols: tuple[str, ...]
) -> None:
    async with edge_bench(tmp_path) as bench:
        token = await bench.token_of("alice")
        headers = {
            "Authorization": f"Bearer {token}",
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": base64.b64encode(bytes(16)).decode(),
        }
        if protocols:
            headers["Sec-WebSocket-Protocol"] = ", ".join(protocols)
        answer = await bench.http("GET", f"{bench.inside}/ws", headers=headers)
        assert (answer.status, answer.code) == (400, "BAD_REQUEST")
        assert bench.records("connection.opened") == []
        async with bench.wire(bench.inside, token, protocols=("other", SUBPROTOCOL)) as wire:
            assert wire.socket.protocol == SUBPROTOCOL


async def test_twenty_frames_that_are_none_end_the_connection(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench, bench.insider("alice") as alice, bench.insider("bob") as bob:
        nonsense = [
            "",
            "{",
            "null",
            "[]",
            "{}",
            '{"type":"welcome"}',
            '{"type":"hello","client":{"name":"a","version":"1"},"more":1}',
            '{"type":"chat.send","ref":"r","to":"u-x","text":7}',
            '{"type":"chat.send","ref":"r","to":"u-x","text":"\\ud800"}',
            '{"type":"chat.send","ref":"r","to":"u-\x00","text":"x"}',
            "[" * 30000,
            '{"type":' * 5000,
            "1" * 60000,
        ]
        for text in nonsense:
            await alice.socket.send_str(text)
        for _ in range(MAX_BAD_FRAMES - len(nonsense)):
            await alice.socket.send_bytes(HELLO.encode())
        assert await alice.closed() == 4400
        assert [f["code"] for f in alice.frames if f["type"] == "error"] == [
            *["BAD_FRAME"] * (MAX_BAD_FRAMES - 1),
            "TOO_MANY_BAD_FRAMES",
        ]
        assert (await bob.until("presence.status"))["status"] == "offline"
        (closed,) = await bench.recorded("connection.closed")
        assert closed["fields"]["reason"] == "TOO_MANY_BAD_FRAMES"


async def test_frames_are_taken_up_to_their_bound_in_one_piece_or_in_many(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench, bench.insider("bob") as bob:
        for pieces in ([MAX_FRAME_BYTES + 1], [MAX_FRAME_BYTES // 4] * 5, [2**40]):
            async with raw_socket(bench, await bench.token_of("alice")) as (reader, writer):
                writer.write(ws_frame(HELLO.encode()))
                for at, size in enumerate(pieces):
                    payload = b"x" * min(size, MAX_FRAME_BYTES * 2)
                    frame = ws_frame(payload, 1 if at == 0 else 0, final=at == len(pieces) - 1)
                    if size > len(payload):  # a length that is announced, and never sent
                        frame = frame[:2] + struct.pack(">Q", size) + frame[10:]
                    writer.write(frame)
                assert await close_code(reader) == 1009, pieces
        async with raw_socket(bench, await bench.token_of("alice")) as (reader, writer):
            middle = len(HELLO) // 2
            writer.write(ws_frame(HELLO[:middle].encode(), final=False))
            writer.write(ws_frame(HELLO[middle:].encode(), 0))
            # Already signed in elsewhere: the one way to say who came.
            await bob.until("presence.changed")
            big = json.dumps({"type": "chat.send", "ref": "r", "to": bob.you, "text": "é" * 3000})
            writer.write(ws_frame(big.encode().ljust(MAX_FRAME_BYTES - 1)))
            assert len((await bob.until("chat.message"))["text"]) == 3000


async def test_broken_websocket_framing_ends_only_its_own_connection(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench, bench.insider("bob") as bob:
        for broken in (
            bytes([0xF1, 0x80, 0, 0, 0, 0]),  # reserved bits
            bytes([0x83, 0x80, 0, 0, 0, 0]),  # an opcode nobody knows
            bytes([0x89, 0xFE, 0x01, 0x00]) + bytes(4 + 256),  # a ping longer than a ping may be
            ws_frame(b"\xff\xfe"),  # text that is no text
            ws_frame(b"x", 0),  # the continuation of nothing
        ):
            async with raw_socket(bench, await bench.token_of("alice")) as (reader, writer):
                writer.write(ws_frame(HELLO.encode()) + broken)
                assert await close_code(reader) in (1002, 1007), broken
        await bob.heard()
        await until(lambda: len(bench.edge.effects.outboxes) == 1)
        assert len(await bench.recorded("connection.closed", 5)) == 5
        assert len(await bench.recorded("connection.opened", 6)) == 6


async def test_a_connection_that_sends_too_fast_is_told_so_and_goes_on(tmp_path: Path) -> None:
    async with (
        edge_bench(tmp_path, frames_burst=10, frames_per_second=1) as bench,
        bench.insider("alice") as alice,
        bench.insider("bob") as bob,
    ):
        frozen = bench.edge.clock()
        bench.edge.clock = lambda: frozen
        for _ in range(20):
            await alice.send(message_to(bob.you))
        for _ in range(20):
            await alice.until("error", "chat.accepted")
        codes = [frame.get("code") for frame in alice.frames if frame["type"] == "error"]
        # The hello before the clock stood still was one of the ten, or has been refilled since.
        assert codes.count("RATE_LIMITED") in (10, 11)
        assert set(codes) == {"RATE_LIMITED"}
        later = dataclasses.replace(frozen, monotonic_seconds=frozen.monotonic_seconds + 5)
        bench.edge.clock = lambda: later
        await alice.send(message_to(bob.you, "slower"))
        await bob.until("chat.message", text="slower")


async def test_one_person_holds_so_many_connections_and_no_more(tmp_path: Path) -> None:
    async with edge_bench(tmp_path, max_connections_per_person=3) as bench, AsyncExitStack() as stack:
        token = await bench.token_of("alice")
        held = [await stack.enter_async_context(bench.wire(bench.inside, token)) for _ in range(3)]
        for again in (token, await bench.token_of("alice")):
            async with bench.wire(bench.inside, again, hello=False) as one_more:
                assert await one_more.closed() == 4429
                assert one_more.frames[-1]["code"] == "TOO_MANY_CONNECTIONS"
        await stack.enter_async_context(bench.insider("bob"))
        await held[0].socket.close()
        await until(lambda: len(bench.edge.effects.outboxes) == 3)
        await stack.enter_async_context(bench.wire(bench.inside, token))


async def test_all_clients_together_hold_so_many_connections_and_no_more(tmp_path: Path) -> None:
    async with edge_bench(tmp_path, max_connections=2) as bench:
        token = await bench.token_of("carol")
        async with bench.insider("alice"), bench.insider("bob"):
            answer = await bench.http(
                "GET",
                f"{bench.inside}/ws",
                headers={"Authorization": f"Bearer {token}", "Sec-WebSocket-Protocol": SUBPROTOCOL},
            )
            assert (answer.status, answer.code) == (503, "EDGE_BUSY")
        await until(lambda: not bench.edge.effects.outboxes)
        async with bench.wire(bench.inside, token) as carol:
            assert carol.you


async def test_a_slow_reader_is_disconnected_and_nobody_else_waits(tmp_path: Path) -> None:
    async with (
        edge_bench(tmp_path, send_queue_frames=16, frames_per_second=1000, frames_burst=10_000) as bench,
        bench.insider("alice") as alice,
        bench.insider("bob") as bob,
    ):
        carol = await bench.party("carol")
        sent = 0
        async with raw_socket(bench, await bench.token_of("carol"), receive_bytes=4096) as (reader, writer):
            writer.write(ws_frame(HELLO.encode()))
            await alice.until("presence.changed")
            await reader.readexactly(2)  # and nothing more: the stream's own buffer is small
            while not bench.records("connection.closed"):
                await alice.send(message_to(carol, "\U0001f642" * 4000))
                await alice.until("chat.accepted")
                sent += 1
                if sent % 20 == 0:
                    await alice.send(message_to(bob.you, f"number {sent}"))
                    await bob.until("chat.message", text=f"number {sent}")
                assert sent < 2000
        (closed,) = bench.records("connection.closed")
        assert closed["fields"]["reason"] == "SLOW_READER"
        # Told as it happened, perhaps before the last message was accepted.
        offline = {"type": "presence.status", "party": carol, "status": "offline"}
        await until(lambda: offline in alice.frames)
        # Nothing is lost: a reader who reads gets it all, however little fits into the queue at once.
        async with join(bench.inside, await bench.token_of("carol"), bench.house.ca_file) as again:
            for _ in range(sent):
                await again.chat.next_message()


async def test_a_writer_that_is_ended_in_the_moment_a_frame_goes_out_does_end() -> None:
    went_out = asyncio.get_running_loop().create_future()

    class Socket:
        async def send_str(self, _: str) -> None:
            await went_out

    outbox = SocketOutbox(cast("web.WebSocketResponse", Socket()), 4)
    outbox.send("frame")
    async with asyncio.TaskGroup() as tasks:
        writer = tasks.create_task(outbox.drain())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        went_out.set_result(None)
        writer.cancel()
        with pytest.raises(asyncio.CancelledError):
            async with asyncio.timeout(WAIT_SECONDS):
                await writer


async def test_who_never_says_hello_is_closed(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench:
        house = bench.edge.driver._house
        house.rules = dataclasses.replace(house.rules, hello_timeout_seconds=0)
        async with bench.wire(bench.inside, await bench.token_of("alice"), hello=False) as silent:
            assert await silent.closed() == 4400
            assert silent.frames[-1]["code"] == "NOT_HELLO"


async def test_who_says_anything_before_hello_is_told_to_greet_and_gets_nothing(tmp_path: Path) -> None:
    async with (
        edge_bench(tmp_path) as bench,
        bench.insider("bob") as bob,
        bench.wire(bench.inside, await bench.token_of("alice"), hello=False) as rude,
    ):
        await rude.send(message_to(bob.you))
        assert (await rude.until("error"))["code"] == "NOT_HELLO"
        await bench.settled(bob)
        assert "chat.message" not in bob.types


async def test_a_client_that_answers_no_ping_is_gone(tmp_path: Path) -> None:
    async with edge_bench(tmp_path, heartbeat_seconds=0.2) as bench, bench.insider("bob") as bob:
        async with raw_socket(bench, await bench.token_of("alice")) as (_, writer):
            writer.write(ws_frame(HELLO.encode()))
            alice = (await bob.until("presence.changed"))["contact"]["party"]
            assert await bob.until("presence.status", party=alice, status="offline")
        assert bob.socket.close_code is None, "whoever answers stays"


async def test_a_connection_cut_in_the_middle_of_a_frame_is_recorded_as_closed(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench, bench.insider("bob") as bob:
        async with raw_socket(bench, await bench.token_of("alice")) as (_, writer):
            writer.write(ws_frame(HELLO.encode()))
            await bob.until("presence.changed")
            writer.write(ws_frame(message_to(bob.you).encode())[:20])
        await bob.until("presence.status", status="offline")
        (closed,) = await bench.recorded("connection.closed")
        assert closed["fields"]["packets"]["in"] == 1
        assert closed["fields"]["bytes"]["in"] == len(HELLO)


async def test_bytes_and_frames_of_a_connection_are_counted_as_they_passed(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench, bench.insider("bob") as bob:
        async with bench.insider("alice") as alice:
            text = message_to(bob.you, "Grüße 🙂")
            text = json.dumps(json.loads(text), ensure_ascii=False)
            await alice.send(text)
            await alice.until("chat.accepted")
            received = list(alice.received)
        (closed,) = await bench.recorded("connection.closed")
        hello = '{"type":"hello","client":{"name":"bench","version":"1"}}'
        assert closed["fields"]["bytes"] == {
            "in": len((hello + text).encode()),
            "out": len("".join(received).encode()),
        }
        assert closed["fields"]["packets"] == {"in": 2, "out": len(received)}
