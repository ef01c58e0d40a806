"""`turngate relay` as an administrator runs it: how it starts and stops, and all that it tells meanwhile."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from relay.credentials import TurnCredential
from relay.stun import attributes as a
from relay.stun.message import Field, MessageClass, Method, build
from relay.vocabulary import Address, Transport
from tests.edge.relay_bench import (
    PATIENCE_SECONDS,
    SECRET,
    RelayProcess,
    free_port,
    made_by_application,
    relay_command,
    start_command,
)
from tests.edge.relay_clients import HandClient, by_hand, meet, rtp, talk

LISTEN = ("--listen", "udp://127.0.0.1:0")
LISTEN_TCP = ("--listen", "tcp://127.0.0.1:0")
EVERY_HALF_SECOND = "import relay.relay_events; relay.relay_events.REFUSAL_PERIOD_SECONDS = 0.5"
"""Instead of every minute, strangers are summed up."""
UDP: Field = (a.REQUESTED_TRANSPORT, 17)


@asynccontextmanager
async def client(relay: RelayProcess, name: str = "room:alice") -> AsyncIterator[HandClient]:
    async with by_hand(relay.listeners[0], made_by_application(name)) as connected:
        yield connected


# --- starting and stopping ----------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_stops_cleanly_and_tells_no_secret(tmp_path: Path, number: signal.Signals) -> None:
    async with (
        relay_command(tmp_path, *LISTEN, "--stats", "0.1") as relay,
        client(relay) as alice,
        client(relay, "room:bob") as bob,
    ):
        await meet(alice, bob)
        await talk(alice, bob)
        await relay.output.read(lambda line: '"forwarded_packets": 10' in line)
        relay.process.send_signal(number)
        assert await relay.ended() == 0
        log = "".join(relay.log.every)
        best = "native" if find_spec("relay._native") else "asyncio"
        assert json.loads(relay.log.every[0])["plane"] == best
        assert json.loads(relay.log.every[-1])["event"] == "relay.stopped"
        assert log.count("relay.allocated") == 2
        for hidden in (SECRET, alice.login.password, bob.login.password):
            assert hidden not in log + "".join(relay.output.every)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--listen", "udp://127.0.0.1:0"), "relay.secrets is not set"),
        (("--listen", "udp://0.0.0.0:3478"), "wildcard"),
        (("--listen", "sctp://127.0.0.1:3478"), "tcp://"),
        (("--listen", "tls://127.0.0.1:0", "--set", "relay.secrets_file=SECRET_FILE"), "certificate"),
        (("--relayed-prefix", "198.18.0.0/30"), "256 addresses"),
        (("--secrets-file", "/nowhere/at/all"), "secrets_file"),
        (("--secrets-file", "SECRET_FILE", "--revocations-file", "SECRET_FILE"), "line 1 is not"),
        (("--secrets-file", "SECRET_FILE", "--revocations-file", "/nowhere/at/all"), "No such file"),
        (("--secrets-file", "SECRET_FILE", "--metrics", "0.0.0.0:9641"), "--metrics"),
    ],
)
async def test_a_mistake_ends_it_with_one_sentence(
    tmp_path: Path, options: tuple[str, ...], complaint: str
) -> None:
    secret_file = tmp_path / "secret"
    secret_file.write_text(SECRET)
    secret_file.chmod(0o600)
    process = await start_command(*(option.replace("SECRET_FILE", str(secret_file)) for option in options))
    async with asyncio.timeout(PATIENCE_SECONDS):
        output, errors = await process.communicate()
    assert process.returncode == (2 if "--metrics" in options else 1)
    assert output == b""
    assert complaint in errors.decode()
    assert "Traceback" not in errors.decode()
    assert SECRET not in errors.decode()


# --- statistics and metrics ---------------------------------------------------------------------------


async def test_statistics_are_json_lines_of_what_happens_now(tmp_path: Path) -> None:
    async with (
        relay_command(tmp_path, *LISTEN, "--stats", "0.1") as relay,
        client(relay) as alice,
        client(relay, "room:bob") as bob,
    ):

        async def stats(**wanted: object) -> dict[str, Any]:
            """The next line with these counters."""
            line = await relay.output.read(lambda line: wanted.items() <= json.loads(line).items())
            found: dict[str, Any] = json.loads(line)
            return found

        assert await stats() == {
            "allocations": {}, "sessions": 0, "streams": 0, "forwarded_packets": 0, "forwarded_bytes": 0,
            "dropped": {"stranger": 0, "owner_too_fast": 0}, "refused": {}, "draining": False,
        }  # fmt: skip
        await meet(alice, bob)
        await talk(alice, bob, times=10)
        during = await stats(forwarded_packets=20)
        assert during["forwarded_bytes"] == 20 * len(rtp(0))
        assert (during["allocations"], during["sessions"]) == ({"udp": 2}, 1)
        # Nobody is bound to this channel, and the relay refuses to bind one to itself.
        alice.send(rtp(0), channel=0x4005)
        assert await alice.code(Method.CHANNEL_BIND, (a.CHANNEL_NUMBER, 0x4005), peer(alice)) == 403
        await talk(alice, bob, times=1)
        later = await stats(forwarded_packets=22)
        assert later["dropped"]["unbound"] == 1
        assert later["refused"] == {"peer_not_in_session": 1}
        assert await alice.code(Method.REFRESH, (a.LIFETIME, 0)) == 0
        assert await bob.code(Method.REFRESH, (a.LIFETIME, 0)) == 0
        # What has been forwarded stays counted when the session is over.
        after = await stats(sessions=0, forwarded_packets=22)
        assert after["allocations"] == {}


def peer(one: HandClient) -> Field:
    return a.XOR_PEER_ADDRESS, one.relayed


async def test_metrics_grow_while_a_session_lives_and_agree_with_what_was_sent(tmp_path: Path) -> None:
    port = free_port()
    async with (
        relay_command(
            tmp_path, *LISTEN, "--listen", "tcp://127.0.0.1:0", "--metrics", f"127.0.0.1:{port}"
        ) as relay,
        client(relay) as alice,
        by_hand(relay.listeners[1], made_by_application("room:bob"), Transport.TCP) as bob,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http,
    ):

        async def sample(name: str) -> float | None:
            async with http.get("/metrics") as answer:
                assert answer.status == 200
                assert answer.content_type == "text/plain"
                lines = (await answer.text()).splitlines()
            values = [line.rpartition(" ")[2] for line in lines if line.rpartition(" ")[0] == name]
            return float(values[0]) if values else None

        assert await sample("turngate_relay_forwarded_packets_total") == 0
        await meet(alice, bob)
        for number in range(1, 4):
            await talk(alice, bob, times=10)
            assert await sample("turngate_relay_forwarded_packets_total") == number * 20
            assert await sample("turngate_relay_forwarded_bytes_total") == number * 20 * len(rtp(0))
        assert await sample('turngate_relay_allocations{transport="udp"}') == 1
        assert await sample('turngate_relay_allocations{transport="tcp"}') == 1
        assert await sample("turngate_relay_sessions") == 1
        assert await sample("turngate_relay_streams") == 1
        assert await sample("turngate_relay_draining") == 0
        refused = 'turngate_relay_refused_total{code="403",reason="peer_not_in_session"}'
        assert await sample(refused) is None
        for number in range(1, 3):
            assert await alice.code(Method.CREATE_PERMISSION, peer(alice)) == 403
            assert await sample(refused) == number
        async with http.get("/healthz") as answer:
            assert (answer.status, await answer.json()) == (200, {"ok": True})


# --- refusals in the log ------------------------------------------------------------------------------

Ask = Callable[[HandClient, HandClient], Awaitable[int]]
"""What a client asks that may think of another; gives the code it is answered."""
UNKNOWN: a.Attribute[bytes] = a.Attribute(0x7FFF, "UNKNOWN", lambda value, _: value, lambda value, _: value)


def asking(method: int, *fields: Field) -> Ask:
    return lambda mine, _: mine.code(method, *fields)


def binding(channel: int) -> Ask:
    return lambda mine, other: mine.code(Method.CHANNEL_BIND, (a.CHANNEL_NUMBER, channel), peer(other))


async def permitting_itself(mine: HandClient, _: HandClient) -> int:
    return await mine.code(Method.CREATE_PERMISSION, peer(mine))


async def refreshing_anothers(mine: HandClient, other: HandClient) -> int:
    mine.login, kept = other.login, mine.login
    code = await mine.code(Method.REFRESH)
    mine.login = kept
    return code


async def allocating_too_fast(mine: HandClient, _: HandClient) -> int:
    for _attempt in range(100):
        if await mine.try_to_allocate() or await mine.code(Method.REFRESH, (a.LIFETIME, 0)):
            break
    return await mine.try_to_allocate()


async def expired(mine: HandClient, _: HandClient) -> int:
    mine.login = made_by_application("room:alice", seconds=-1)
    return await mine.try_to_allocate()


WITH_AN_ALLOCATION: dict[tuple[int, str], Ask] = {
    (400, "malformed"): asking(Method.CHANNEL_BIND, (a.CHANNEL_NUMBER, 0x4000)),
    (400, "channel_out_of_range"): binding(0x5000),
    (400, "channel_taken"): binding(0x4001),
    (403, "peer_not_in_session"): permitting_itself,
    (420, "unknown_attribute"): asking(Method.REFRESH, (UNKNOWN, b"")),
    (437, "allocation_exists"): asking(Method.ALLOCATE, UDP),
    (443, "family_mismatch"): asking(
        Method.CREATE_PERMISSION, (a.XOR_PEER_ADDRESS, Address("2001:db8::1", 50000))
    ),
}
WITHOUT_AN_ALLOCATION: dict[tuple[int, str], Ask] = {
    (401, "credential_expired"): expired,
    (405, "mobility"): asking(Method.ALLOCATE, UDP, (a.MOBILITY_TICKET, b"")),
    (437, "no_allocation"): asking(Method.REFRESH),
    (440, "family_not_relayed"): asking(Method.ALLOCATE, UDP, (a.REQUESTED_ADDRESS_FAMILY, 2)),
    (442, "transport_not_relayed"): asking(Method.ALLOCATE, (a.REQUESTED_TRANSPORT, 6)),
    (486, "allocating_too_fast"): allocating_too_fast,
    (508, "token_unknown"): asking(Method.ALLOCATE, UDP, (a.RESERVATION_TOKEN, bytes(8))),
}


def told(one: HandClient, code: int, reason: str) -> dict[str, object]:
    """What the log says of a refusal to somebody with a good credential."""
    session, _, user = one.login.username.partition(":")[2].partition(":")
    return {
        "session": session, "user": user, "transport": "udp", "client": str(one.way.address),
        "code": code, "reason": reason, "count": 1, "level": "warning",
    }  # fmt: skip


async def test_who_has_a_good_credential_is_named_in_the_line_of_each_refusal(tmp_path: Path) -> None:
    async with (
        relay_command(tmp_path, *LISTEN) as relay,
        client(relay) as alice,
        client(relay, "room:bob") as bob,
        AsyncExitStack() as stack,
    ):
        await meet(alice, bob)
        for (code, reason), ask in WITH_AN_ALLOCATION.items():
            assert (reason, await ask(alice, bob)) == (reason, code)
            line = await relay.logged("relay.refused", **told(alice, code, reason))
            assert line["relayed"] == str(alice.relayed)
            assert line["sentence"]
        for number, ((code, reason), ask) in enumerate(WITHOUT_AN_ALLOCATION.items()):
            other = await stack.enter_async_context(client(relay, f"room-{number}:alice"))
            assert (reason, await ask(other, bob)) == (reason, code)
            assert (await relay.logged("relay.refused", **told(other, code, reason)))["relayed"] is None
        await talk(alice, bob)
        assert (await relay.stopped())[0] == 0
        lines = [json.loads(line) for line in relay.log.every]
        refused = [line["reason"] for line in lines if line["event"] == "relay.refused"]
        assert refused == [reason for _, reason in (*WITH_AN_ALLOCATION, *WITHOUT_AN_ALLOCATION)]


async def test_so_is_who_asks_about_anothers_allocation(tmp_path: Path) -> None:
    async with (
        relay_command(tmp_path, *LISTEN) as relay,
        client(relay) as alice,
        client(relay, "room:bob") as bob,
    ):
        await meet(alice, bob)
        assert await refreshing_anothers(alice, bob) == 441
        assert await permitting_itself(alice, bob) == 403
        await relay.logged("relay.refused", code=403)
        (line,) = [found for found in map(json.loads, relay.log.every) if found.get("code") == 441]
        assert (line["user"], line["reason"]) == ("bob", "other_username")
        assert (line["client"], line["relayed"]) == (str(alice.way.address), str(alice.relayed))


async def test_where_all_share_a_session_refusals_name_it_as_allocations_do(tmp_path: Path) -> None:
    async with (
        relay_command(tmp_path, *LISTEN, "--pairing", "any") as relay,
        client(relay, "@user:example.org") as alice,
    ):
        assert await alice.code(Method.REFRESH) == 437
        refused = await relay.logged("relay.refused", user="@user:example.org")
        assert await alice.try_to_allocate() == 0
        allocated = await relay.logged("relay.allocated", user="@user:example.org")
        assert refused["session"] == allocated["session"]


async def test_a_full_relay_says_so(tmp_path: Path) -> None:
    async with (
        relay_command(tmp_path, *LISTEN, "--set", "relay.max_allocations=2") as relay,
        client(relay) as alice,
        client(relay, "room:bob") as bob,
        client(relay, "room:carol") as carol,
    ):
        await meet(alice, bob)
        assert await carol.try_to_allocate() == 508
        await relay.logged("relay.refused", **told(carol, 508, "full"))


async def test_strangers_are_told_of_by_network_and_what_is_routine_is_not(tmp_path: Path) -> None:
    async with (
        relay_command(tmp_path, *LISTEN, first=EVERY_HALF_SECOND) as relay,
        client(relay) as alice,
        client(relay, "no-session-only-a-user") as unnamed,
    ):
        assert await unnamed.try_to_allocate() == 401
        assert await alice.code(Method.ALLOCATE, UDP, (a.PASSWORD_ALGORITHM, (2, b""))) == 400
        incomplete = build(Method.ALLOCATE, MessageClass.REQUEST, b"incomplete..", [UDP], key=b"key")
        assert (await alice.answer(incomplete)).first(a.ERROR_CODE) == 400
        good = alice.login
        alice.login = TurnCredential(good.username, "guessed")
        assert await alice.try_to_allocate() == 401
        alice.login, alice.realm = good, b"elsewhere"
        assert await alice.try_to_allocate() == 401
        alice.realm, alice.nonce = b"turngate", alice.nonce[:-4] + b"AAAA"
        assert await alice.try_to_allocate() == 438
        for code, reason in (
            (400, "login_incomplete"),
            (400, "algorithm_not_offered"),
            (401, "unknown_username"),
            (401, "wrong_realm"),
            (401, "wrong_password"),
        ):
            line = await relay.logged("relay.strangers_refused", code=code, reason=reason)
            assert (line["network"], line["count"]) == ("127.0.0.0/24", 1)
            assert line["sentence"]
        _, log = await relay.stopped()
        assert not re.search("no_credential|stale_nonce|relay.refused", log)
        # Of strangers neither address nor name is kept.
        assert "127.0.0.1" not in log
        assert "alice" not in log


HOSTILE = [
    'alice\n{"event": "relay.forged"}',
    "alice\r\nrelay.forged",
    "alice\x1b[2Jrelay.forged",
    "alice\x00relay.forged",
    "alice\x7f\x85\u2028relay.forged",
    "zoë-\U0001f600-relay.forged",
    "alice relay.forged",
]
PRINTABLE = 'alice","event":"relay.forged","\\u001b[31m<script>%s{}$(id)`'


async def test_no_client_can_write_a_line_or_break_one(tmp_path: Path) -> None:
    anyone = ("--pairing", "any", "--set", "relay.realm=here")
    async with (
        relay_command(tmp_path, *LISTEN, *anyone, first=EVERY_HALF_SECOND) as relay,
        client(relay, PRINTABLE) as printable,
    ):
        for name in HOSTILE:
            async with client(relay, name) as hostile:
                hostile.realm = b"here"
                assert await hostile.try_to_allocate() == 401
                hostile.login = made_by_application("alice")
                hostile.realm = name.encode()
                assert await hostile.try_to_allocate() == 401
                hostile.realm, hostile.nonce = b"here", name.encode()
                assert await hostile.try_to_allocate() == 438
        printable.realm = b"here"
        assert await printable.try_to_allocate() == 0
        assert (await relay.logged("relay.allocated"))["user"] == PRINTABLE
        assert await permitting_itself(printable, printable) == 403
        assert (await relay.logged("relay.refused"))["user"] == PRINTABLE
        await relay.logged("relay.strangers_refused", reason="wrong_realm")
        _, log = await relay.stopped()
    for line in log.splitlines():
        assert json.loads(line)["event"].startswith("relay.")
        assert json.loads(line)["event"] != "relay.forged"
    assert re.fullmatch(r"[ -~\n]*", log)
    # Of the names that were refused nothing is kept.
    assert log.count("relay.forged") == log.count("<script>")
