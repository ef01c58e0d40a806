"""The Python client against a small edge over TLS: sign-in, connection, chat, invitations, shutdown."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import threading
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from broker.client.connection import INBOX_FRAMES, connect
from broker.client.errors import EdgeClosed, EdgeMisspoke, EdgeRefused, EdgeUnreachable
from broker.client.http import leave, redeem, sign_in, sign_out
from broker.client.invitations import split_link
from broker.client.participant import join
from broker.core.client_frames import ChatReceived, Hello, PresenceSet
from broker.core.errors import SIGNED_OUT
from broker.core.frames import ChatMessage, InsiderWelcome, PresenceStatus
from broker.shell.tls import make_demo_certificate
from tests.edge.client_fake_edge import GUEST, HOST, SECRET, contact, error_frame, fake_edge, frame_type_of


def _message(message_id: str, text: str = "hi") -> ChatMessage:
    return ChatMessage(message_id=message_id, sender=contact("bob"), text=text, sent_at_ms=1)


async def test_an_insider_signs_in_for_a_token_and_signs_out_with_it(tmp_path: Path) -> None:
    async with fake_edge(tmp_path) as edge:
        token = await sign_in(edge.origin, "ada", SECRET, edge.ca_file)
        assert token == "token-ada"
        await sign_out(edge.origin, token, edge.ca_file)
        assert edge.ended_tokens == [token]


@contextmanager
def edge_that_never_ends_tls(folder: Path) -> Iterator[tuple[str, Path]]:
    """It answers one sign-in and then only holds the connection; its origin and CA file."""
    ca_file, key_file = make_demo_certificate(folder, ["127.0.0.1"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ca_file, key_file)
    over = threading.Event()

    def serve() -> None:
        with context.wrap_socket(server.accept()[0], server_side=True) as tls:
            tls.recv(65536)
            tls.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{"token":"t"}')
            over.wait(20.0)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"https://127.0.0.1:{server.getsockname()[1]}", ca_file
        finally:
            over.set()
            thread.join(20.0)


def test_a_program_that_ends_after_its_sign_in_leaves_no_socket_to_an_edge_that_is_slow_to_close(
    tmp_path: Path,
) -> None:
    with edge_that_never_ends_tls(tmp_path) as (origin, ca_file):
        assert asyncio.run(sign_in(origin, "ada", SECRET, ca_file)) == "t"
        gc.collect()  # what was left open says so now, and that is an error


async def test_a_refused_sign_in_says_which_code_and_decision(tmp_path: Path) -> None:
    async with fake_edge(tmp_path) as edge:
        with pytest.raises(EdgeRefused) as refused:
            await sign_in(edge.origin, "ada", "wrong", edge.ca_file)
    error = refused.value
    assert (error.code, error.decision_id, error.retryable) == ("SIGN_IN_REFUSED", "d1", False)


async def test_an_answer_that_is_no_error_of_the_protocol_is_not_taken_for_one(tmp_path: Path) -> None:
    async with fake_edge(tmp_path) as edge:
        with pytest.raises(EdgeMisspoke):
            await sign_in(edge.origin, "behind-a-proxy", SECRET, edge.ca_file)


async def test_a_guest_redeems_a_link_waits_in_the_lobby_and_is_let_in(tmp_path: Path) -> None:
    async with fake_edge(tmp_path) as edge, join(edge.origin, f"token-{HOST}", edge.ca_file) as host:
        created = await host.invitations.create("Grace", "A talk")
        origin, secret = split_link(created.link)
        token = await redeem(origin, secret, "Grace", edge.ca_file)
        async with join(origin, token, edge.ca_file) as guest:
            waiting = await host.invitations.next_waiting()
            assert waiting.guest.party == guest.you.party == GUEST
            assert (await host.invitations.admit(GUEST)).party == GUEST
            assert (await guest.invitations.admitted()).party == HOST
        async with join(origin, token, edge.ca_file) as again:
            assert (await again.invitations.admitted()).party == HOST
        await leave(origin, token, edge.ca_file)
        assert edge.ended_tokens == [token]


async def test_a_guest_who_is_not_let_in_learns_it(tmp_path: Path) -> None:
    async with (
        fake_edge(tmp_path) as edge,
        join(edge.origin, f"token-{HOST}", edge.ca_file) as host,
        join(edge.origin, f"token-{GUEST}", edge.ca_file) as guest,
    ):
        await host.invitations.next_waiting()
        await host.invitations.refuse(GUEST)
        with pytest.raises(EdgeRefused, match="STILL_IN_LOBBY"):
            await guest.invitations.admitted()


@pytest.mark.parametrize(
    "origin", ["http://127.0.0.1:1", "https://127.0.0.1/x", "https://me@127.0.0.1", "ftp://x"]
)
async def test_a_token_is_never_sent_to_what_is_not_an_https_origin(origin: str) -> None:
    with pytest.raises(ValueError, match="not an https origin"):
        await sign_in(origin, "ada", SECRET)
    with pytest.raises(ValueError, match="not an https origin"):
        async with connect(origin, "token-ada"):
            pytest.fail("there must be no connection")


async def test_an_edge_with_an_untrusted_certificate_gets_neither_password_nor_token(tmp_path: Path) -> None:
    async with fake_edge(tmp_path) as edge:
        with pytest.raises(EdgeUnreachable):
            await sign_in(edge.origin, "ada", SECRET)
        with pytest.raises(EdgeUnreachable):
            async with connect(edge.origin, "token-ada"):
                pytest.fail("there must be no connection")
        assert edge.received == []


async def test_a_given_tls_context_is_used_as_it_is(tmp_path: Path) -> None:
    async with fake_edge(tmp_path) as edge:
        context = ssl.create_default_context(cafile=str(edge.ca_file))
        async with connect(edge.origin, "token-ada", context) as connection:
            assert isinstance(connection.welcome, InsiderWelcome)


async def test_hello_names_the_program(tmp_path: Path) -> None:
    async with (
        fake_edge(tmp_path) as edge,
        connect(edge.origin, "token-ada", edge.ca_file, ("recorder", "7")),
        connect(edge.origin, "token-bob", edge.ca_file),
    ):
        named, default = edge.sent_by("ada", Hello)[0], edge.sent_by("bob", Hello)[0]
    assert isinstance(named, Hello)
    assert isinstance(default, Hello)
    assert (named.client.name, named.client.version) == ("recorder", "7")
    assert default.client.name == "turngate-python"


async def test_a_token_refused_at_the_upgrade_is_a_refusal(tmp_path: Path) -> None:
    async with fake_edge(tmp_path) as edge:
        with pytest.raises(EdgeRefused, match="NOT_SIGNED_IN"):
            async with connect(edge.origin, "token-nobody", edge.ca_file):
                pytest.fail("there must be no connection")


async def test_a_token_refused_on_the_socket_is_the_same_refusal(tmp_path: Path) -> None:
    async with fake_edge(tmp_path) as edge:
        with pytest.raises(EdgeRefused, match="NOT_SIGNED_IN"):
            async with connect(edge.origin, "token-expired", edge.ca_file):
                pytest.fail("there must be no connection")


async def test_an_edge_of_another_protocol_is_not_talked_to(tmp_path: Path) -> None:
    async with fake_edge(tmp_path) as edge:
        edge.subprotocols = ("other.v9",)
        with pytest.raises(EdgeMisspoke):
            async with connect(edge.origin, "token-ada", edge.ca_file):
                pytest.fail("there must be no connection")


async def test_every_raw_frame_can_be_recorded_also_what_is_not_understood(tmp_path: Path) -> None:
    raw: list[str] = []
    async with (
        fake_edge(tmp_path) as edge,
        connect(edge.origin, "token-ada", edge.ca_file, record=raw.append) as connection,
    ):
        await edge.push("ada", '{"type":"from.the.future"}')
        await edge.push("ada", PresenceStatus(party="bob", status="away"))
        await connection.wait_for(PresenceStatus)
        assert connection.frames_not_understood == 1
    assert [frame_type_of(text) for text in raw] == ["welcome", "from.the.future", "presence.status"]


async def test_waiting_for_a_frame_takes_the_one_that_fits_and_leaves_the_others(tmp_path: Path) -> None:
    async with (
        fake_edge(tmp_path) as edge,
        connect(edge.origin, "token-ada", edge.ca_file) as connection,
    ):
        for party in ("bob", "eve"):
            await edge.push("ada", PresenceStatus(party=party, status="away"))
        assert (await connection.wait_for(PresenceStatus, lambda frame: frame.party == "eve")).party == "eve"
        assert (await connection.wait_for(PresenceStatus)).party == "bob"
        with pytest.raises(TimeoutError):
            await connection.wait_for(PresenceStatus, timeout_seconds=0.01)


async def test_frames_nobody_reads_cost_bounded_memory_and_the_oldest_go_first(tmp_path: Path) -> None:
    async with (
        fake_edge(tmp_path) as edge,
        connect(edge.origin, "token-ada", edge.ca_file) as connection,
    ):
        for number in range(INBOX_FRAMES + 3):
            await edge.push("ada", PresenceStatus(party=f"p{number}", status="away"))
        await edge.push("ada", _message("last"))
        await connection.wait_for(ChatMessage)
        assert (await connection.wait_for(PresenceStatus)).party == f"p{connection.frames_dropped}"
        assert connection.frames_dropped in (3, 4)


async def test_when_the_edge_closes_everybody_who_waits_learns_why(tmp_path: Path) -> None:
    async with (
        fake_edge(tmp_path) as edge,
        join(edge.origin, "token-ada", edge.ca_file) as ada,
    ):
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(_closed_reason(ada.connection.wait_for(PresenceStatus)))
            reading = tasks.create_task(_closed_reason(ada.chat.next_message()))
            await edge.push("ada", error_frame(SIGNED_OUT))
            await edge.sockets["ada"].close(code=4401)
        assert waiting.result() == reading.result() == (4401, "SIGNED_OUT")
        with pytest.raises(EdgeClosed):
            await ada.connection.send(PresenceSet(status="away"))


async def _closed_reason(waiting: Awaitable[object]) -> tuple[int | None, str | None]:
    with pytest.raises(EdgeClosed) as closed:
        await waiting
    return closed.value.close_code, closed.value.error.code if closed.value.error else None


async def test_a_chat_message_gets_there_is_acknowledged_and_read_once(tmp_path: Path) -> None:
    async with (
        fake_edge(tmp_path) as edge,
        join(edge.origin, "token-ada", edge.ca_file) as ada,
        join(edge.origin, "token-bob", edge.ca_file) as bob,
    ):
        message_id = await ada.chat.send("bob", "good morning")
        message = await bob.chat.next_message(sender="ada")
        assert (message.message_id, message.text) == (message_id, "good morning")
        await edge.push("bob", message)
        assert await edge.received_from("bob", ChatReceived, count=2) == ChatReceived(message_id=message_id)
        with pytest.raises(TimeoutError):
            await bob.chat.next_message(timeout_seconds=0.01)


async def test_messages_beyond_the_unread_limit_stay_at_the_edge(tmp_path: Path) -> None:
    async with fake_edge(tmp_path) as edge, join(edge.origin, "token-ada", edge.ca_file) as ada:
        for number in range(1001):
            await edge.push("ada", _message(f"m{number}"))
        await edge.received_from("ada", ChatReceived, count=1000)
        assert (await ada.chat.next_message()).message_id == "m0"
        await edge.push("ada", _message("m1000"))
        assert await edge.received_from("ada", ChatReceived, count=1001) == ChatReceived(message_id="m1000")
        assert ada.chat.left_at_the_edge == 1


async def test_an_error_of_the_body_comes_out_as_it_is_and_nothing_is_left_running(tmp_path: Path) -> None:
    async with fake_edge(tmp_path) as edge:
        with pytest.raises(LookupError):
            async with join(edge.origin, "token-ada", edge.ca_file):
                raise LookupError
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05), join(edge.origin, "token-bob", edge.ca_file) as bob:
                await bob.chat.next_message(timeout_seconds=None)
        edge.welcomes = False
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3), join(edge.origin, "token-eve", edge.ca_file):
                pytest.fail("nobody was welcomed")
    assert asyncio.all_tasks() == {asyncio.current_task()}
