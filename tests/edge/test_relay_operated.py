"""`turngate relay` in operation: who gets in, and what changes under running calls when it is told so."""

from __future__ import annotations

import asyncio
import ssl
import string
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509

from broker.shell.tls import make_demo_certificate
from relay.stun import attributes as a
from relay.stun.message import Message, Method
from relay.vocabulary import Address, Transport
from tests.edge.relay_bench import SECRET, RelayProcess, free_port, made_by_application, relay_command
from tests.edge.relay_clients import HandClient, TurnClient, by_hand, meet, rtp, talk

UDP, TCP, TLS = Transport
LISTEN = ("--listen", "udp://127.0.0.1:0", "--listen", "tcp://127.0.0.1:0")
ANYONE = ("--pairing", "any")
NEW_SECRET = "another secret, twenty characters at least"


@asynccontextmanager
async def connected(
    relay: RelayProcess, *names: str, over: Transport = UDP, secret: str = SECRET
) -> AsyncIterator[list[HandClient]]:
    """A client for each name, with a credential of the application's."""
    async with AsyncExitStack() as stack:
        listener = relay.listeners[1 if over is TCP else 0]
        yield [
            await stack.enter_async_context(by_hand(listener, made_by_application(name, secret), over))
            for name in names
        ]


async def refusal(client: HandClient) -> Message:
    """What it is answered to an Allocate that must not succeed."""
    answer = await client.ask(Method.ALLOCATE, (a.REQUESTED_TRANSPORT, 17))
    assert answer.first(a.XOR_RELAYED_ADDRESS) is None
    return answer


# --- applications -------------------------------------------------------------------------------------


# An application's credentials are good for a day. Synapse names the user (`"%d:%s" % (expiry, user_id)`),
# Nextcloud Talk draws 16 characters, symbols among them (`$timestamp . ':' . $rnd`).
SYNAPSE = ("@ada:example.org", "@bob.b=c/d-e:matrix.example.org:8448")
NEXTCLOUD_TALK = (string.punctuation[:16], string.punctuation[16:])


@pytest.mark.parametrize("names", [SYNAPSE, NEXTCLOUD_TALK], ids=["Matrix Synapse", "Nextcloud Talk"])
async def test_credentials_of_applications_get_in_where_anybody_may_meet_anybody(
    tmp_path: Path, names: tuple[str, str]
) -> None:
    logins = [made_by_application(name, seconds=86_400) for name in names]
    async with relay_command(tmp_path, *LISTEN, *ANYONE) as relay:
        udp, tcp = relay.listeners
        async with TurnClient(udp, logins[0]) as alice, TurnClient(tcp, logins[1], TCP) as bob:
            for number in range(20):
                alice.send(rtp(number), bob.relayed)
                bob.send(rtp(number), alice.relayed)
                assert await bob.receive() == (rtp(number), alice.relayed)
                assert await alice.receive() == (rtp(number), bob.relayed)
        for name in names:
            assert (await relay.logged("relay.allocated", user=name))["session"] == "any"


# --- rotation -----------------------------------------------------------------------------------------


async def test_secrets_rotate_under_a_running_call(tmp_path: Path) -> None:
    async with (
        relay_command(tmp_path, *LISTEN) as relay,
        connected(relay, "room:alice", "room:bob") as (alice, bob),
    ):
        await meet(alice, bob)
        async with connected(relay, "new:alice", "new:bob", secret=NEW_SECRET) as early:
            assert await early[0].try_to_allocate() == 401
        relay.share(NEW_SECRET, SECRET)
        reloading = asyncio.create_task(relay.reload())
        while not reloading.done():
            await talk(alice, bob, times=1)
        assert (await reloading)["secrets"] == 2
        async with connected(relay, "old:alice") as old, connected(relay, "n:bob", secret=NEW_SECRET) as new:
            assert (await old[0].try_to_allocate(), await new[0].try_to_allocate()) == (0, 0)
        relay.share(NEW_SECRET)
        assert (await relay.reload())["secrets"] == 1
        async with (
            connected(relay, "old:carol") as old,
            connected(relay, "n:carol", secret=NEW_SECRET) as new,
        ):
            assert (await old[0].try_to_allocate(), await new[0].try_to_allocate()) == (401, 0)
        # Whose allocation was made with the old secret keeps all of it.
        await talk(alice, bob)
        assert await alice.code(Method.REFRESH) == await bob.code(Method.REFRESH) == 0
        await alice.bind(bob)
        await talk(alice, bob)
        assert await alice.code(Method.REFRESH, (a.LIFETIME, 0)) == 0
        assert await alice.try_to_allocate() == 401


# --- revocation ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("over", [UDP, TCP])
@pytest.mark.parametrize("kind", ["credential", "session", "user"])
async def test_what_is_revoked_ends_at_once_and_the_others_go_on(
    tmp_path: Path, kind: str, over: Transport
) -> None:
    revoked = tmp_path / "revoked"
    revoked.write_text("# nobody yet\n")
    async with (
        relay_command(tmp_path, *LISTEN, "--revocations-file", str(revoked)) as relay,
        connected(relay, "room:alice", "room:bob", over=over) as (alice, bob),
        connected(relay, "other:carol", "other:dave", over=over) as (carol, dave),
    ):
        await meet(alice, bob)
        await meet(carol, dave)
        line = f"{kind} " + {"credential": alice.login.username, "session": "room", "user": "alice"}[kind]
        ended = [alice, bob] if kind == "session" else [alice]
        for number in range(50):
            alice.send(rtp(number))
            bob.send(rtp(number))
        revoked.write_text(f"{line}\n")
        await relay.reload()
        # From now on nothing passes.
        for number in range(50, 60):
            bob.send(rtp(number))
            alice.send(rtp(number))
        for one in ended:
            gone = await relay.logged("relay.released", reason="revoked", client=str(one.way.address))
            assert (gone["session"], gone["relayed"]) == ("room", str(one.relayed))
            if over is TCP:
                assert_passed_before(await one.until_closed())
            else:
                assert await one.code(Method.REFRESH) == 437
                assert_passed_before(one.inbox)
        if kind != "session":
            assert await bob.code(Method.REFRESH) == 0
            assert await bob.code(Method.CREATE_PERMISSION, (a.XOR_PEER_ADDRESS, alice.relayed)) == 403
            assert_passed_before(bob.inbox)
        await talk(carol, dave)
        async with connected(relay, "room:alice", over=over) as (again,):
            again.login = alice.login
            refused = await refusal(again)
            assert refused.first(a.ERROR_CODE) == 403
            assert refused.verifies(again.key)
            told = await relay.logged("relay.refused", code=403, reason="revoked")
            assert (told["session"], told["user"]) == ("room", "alice")
            assert told["client"] == str(again.way.address)
            revoked.write_text("# forgiven\n")
            await relay.reload()
            assert await again.try_to_allocate() == 0
        await talk(carol, dave)


def assert_passed_before(messages: Iterable[bytes]) -> None:
    """The first so many of fifty, in order, and nothing else."""
    numbers = [int.from_bytes(message[6:10], "big") for message in messages]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) <= 50


async def test_the_list_also_holds_after_a_restart(tmp_path: Path) -> None:
    revoked = tmp_path / "revoked"
    revoked.write_text("user @user:example.org\n")
    async with (
        relay_command(tmp_path, *LISTEN, *ANYONE, "--revocations-file", str(revoked)) as relay,
        connected(relay, "@user:example.org", "@another:example.org") as (listed, unlisted),
    ):
        assert (await listed.try_to_allocate(), await unlisted.try_to_allocate()) == (403, 0)


# --- mistakes -----------------------------------------------------------------------------------------

TOO_SHORT = "hidden-too-short"


@pytest.mark.parametrize(
    ("mistake", "says"),
    [
        ("no secrets file", "secrets_file"),
        ("no secret in it", "relay.secrets"),
        ("a secret that is too short", "relay.secrets"),
        ("secrets that others may read", "chmod 600"),
        ("no revocations file", "No such file"),
        ("a broken line", "line 2"),
        ("a certificate without its key", ""),
    ],
)
async def test_with_any_mistake_all_is_as_before(tmp_path: Path, mistake: str, says: str) -> None:
    revoked = tmp_path / "revoked"
    revoked.write_text("user mallory\n")
    certificate, key = make_demo_certificate(tmp_path, ["127.0.0.1"])
    serial = x509.load_pem_x509_certificate(certificate.read_bytes()).serial_number
    tls = (f"tls.certificate_file={certificate}", f"tls.private_key_file={key}")
    options = ("--listen", "tls://127.0.0.1:0", "--revocations-file", str(revoked))
    async with (
        relay_command(tmp_path, *LISTEN, *options, "--set", tls[0], "--set", tls[1]) as relay,
        connected(relay, "room:alice", "room:bob") as (alice, bob),
        connected(relay, "room:mallory") as (mallory,),
    ):
        await meet(alice, bob)
        # Everything changes, and one thing of it is a mistake.
        relay.share(NEW_SECRET)
        revoked.write_text("user alice\n")
        trusting = ssl.create_default_context(cafile=certificate)
        make_demo_certificate(tmp_path, ["127.0.0.1"])
        match mistake:
            case "no secrets file":
                relay.secrets_file.unlink()
            case "no secret in it":
                relay.share()
            case "a secret that is too short":
                relay.share(TOO_SHORT)
            case "secrets that others may read":
                relay.secrets_file.chmod(0o644)
            case "no revocations file":
                revoked.unlink()
            case "a broken line":
                revoked.write_text("user alice\nuser\n")
            case _:
                key.write_text("no key\n")
        why = "\n".join((await relay.refuse_to_reload())["why"])
        assert says in why
        await talk(alice, bob)
        assert await mallory.try_to_allocate() == 403
        async with (
            connected(relay, "room:carol") as old,
            connected(relay, "room:dave", secret=NEW_SECRET) as new,
        ):
            assert (await old[0].try_to_allocate(), await new[0].try_to_allocate()) == (0, 401)
        login = made_by_application("room:erin")
        async with by_hand(relay.listeners[2], login, TLS, trusting) as erin:
            assert serial_of(erin) == serial
        status, log = await relay.stopped()
        assert status == 0
        for hidden in (SECRET, NEW_SECRET, TOO_SHORT, str(alice.login.password)):
            assert hidden not in log + "".join(relay.output.every)


def serial_of(client: HandClient) -> int:
    """Of the certificate that the relay has shown to it."""
    secured = client.connection.writer.get_extra_info("ssl_object")
    return x509.load_der_x509_certificate(secured.getpeercert(binary_form=True)).serial_number


async def test_bounds_change_and_what_waits_for_a_restart_is_named(tmp_path: Path) -> None:
    config = tmp_path / "turngate.toml"
    written = """[relay]\nlisten = ["udp://127.0.0.1:0"]\ndefault_lifetime_seconds = {}\nrealm = "{}"\n"""
    config.write_text(written.format(120, "turngate"))
    async with (
        relay_command(tmp_path, "--config", str(config)) as relay,
        connected(relay, "room:alice", "room:bob", "room:carol", "room:dave") as (alice, bob, carol, dave),
    ):
        await meet(alice, bob)
        config.write_text(written.format(60, "elsewhere"))
        assert (await relay.reload())["needs_restart"] == ["realm"]
        assert (await carol.ask(Method.ALLOCATE, (a.REQUESTED_TRANSPORT, 17))).first(a.LIFETIME) == 60
        assert (await alice.ask(Method.REFRESH)).first(a.LIFETIME) == 60
        config.write_text("[relay]\nno_such_setting = 1\n")
        assert "no_such_setting" in "\n".join((await relay.refuse_to_reload())["why"])
        assert (await dave.ask(Method.ALLOCATE, (a.REQUESTED_TRANSPORT, 17))).first(a.LIFETIME) == 60
        await talk(alice, bob)


# --- the certificate ----------------------------------------------------------------------------------


async def test_a_new_certificate_is_shown_to_new_connections_and_old_ones_go_on(tmp_path: Path) -> None:
    certificate, key = make_demo_certificate(tmp_path, ["127.0.0.1"])
    before = ssl.create_default_context(cafile=certificate)
    tls = ("--set", f"tls.certificate_file={certificate}", "--set", f"tls.private_key_file={key}")
    async with relay_command(tmp_path, "--listen", "tls://127.0.0.1:0", *tls) as relay:
        (at,) = relay.listeners
        async with (
            by_hand(at, made_by_application("room:alice"), TLS, before) as alice,
            by_hand(at, made_by_application("room:bob"), TLS, before) as bob,
        ):
            await meet(alice, bob)
            make_demo_certificate(tmp_path, ["127.0.0.1"])
            after = ssl.create_default_context(cafile=certificate)
            reloading = asyncio.create_task(relay.reload())
            while not reloading.done():
                await talk(alice, bob, times=1)
            async with by_hand(at, made_by_application("room:carol"), TLS, after) as carol:
                current = x509.load_pem_x509_certificate(certificate.read_bytes()).serial_number
                assert serial_of(carol) == current != serial_of(alice)
                assert await carol.try_to_allocate() == 0
                await talk(alice, bob)
                assert await alice.code(Method.REFRESH) == 0


# --- draining -----------------------------------------------------------------------------------------


async def test_a_draining_relay_refuses_newcomers_and_ends_with_its_last_allocation(tmp_path: Path) -> None:
    port = free_port()
    async with (
        relay_command(tmp_path, *LISTEN, "--metrics", f"127.0.0.1:{port}", "--stats", "0.1") as relay,
        connected(relay, "room:alice", "room:bob") as (alice, bob),
        connected(relay, "room:carol") as (carol,),
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http,
    ):
        await meet(alice, bob)
        relay.drain()
        assert (await relay.logged("relay.draining"))["allocations"] == 2
        refused = await refusal(carol)
        assert refused.first(a.ERROR_CODE) == 508
        assert refused.has_integrity
        assert (await relay.logged("relay.refused", reason="draining"))["user"] == "carol"
        async with http.get("/healthz") as answer:
            assert (answer.status, await answer.json()) == (503, {"ok": False})
        await relay.output.read(lambda line: '"draining": true' in line)
        await talk(alice, bob)
        assert await alice.code(Method.REFRESH) == 0
        assert await alice.code(Method.REFRESH, (a.LIFETIME, 0)) == 0
        assert await bob.code(Method.REFRESH) == 0
        assert await bob.code(Method.REFRESH, (a.LIFETIME, 0)) == 0
        assert await relay.ended() == 0
        assert "drain_timed_out" not in "".join(relay.log.every)


async def test_newcomers_are_sent_to_the_alternate_of_their_own_family(tmp_path: Path) -> None:
    here = ("--listen", "udp://127.0.0.1:0", "--listen", "udp://[::1]:0", "--listen", "tcp://[::1]:0")
    there = {"192.0.2.7:3478": Address("192.0.2.7", 3478), "[2001:db8::7]:3478": Address("2001:db8::7", 3478)}
    alternates = '["192.0.2.7:3478", "[2001:db8::7]:3478", "192.0.2.8:3478"]'
    async with (
        relay_command(tmp_path, *here, "--set", f"relay.alternate_servers={alternates}") as relay,
        connected(relay, "room:alice", "room:bob") as (alice, bob),
    ):
        await meet(alice, bob)
        relay.drain()
        await relay.logged("relay.draining")
        for at, over, family in zip(relay.listeners, (UDP, UDP, TCP), (0, 1, 1), strict=True):
            async with by_hand(at, made_by_application("room:carol"), over) as carol:
                answer = await refusal(carol)
                assert answer.first(a.ERROR_CODE) == 300
                assert answer.first(a.ALTERNATE_SERVER) == list(there.values())[family]
                assert answer.verifies(carol.key)
                told = await relay.logged("relay.refused", code=300, reason="go_elsewhere")
                assert told["client"] == str(carol.way.address)
        # Who has no credential is not told where else there is a relay.
        async with by_hand(relay.listeners[0], made_by_application("room:x", NEW_SECRET)) as stranger:
            answer = await refusal(stranger)
            assert (answer.first(a.ERROR_CODE), answer.first(a.ALTERNATE_SERVER)) == (401, None)
        await talk(alice, bob)


async def test_a_relay_with_nobody_there_ends_as_soon_as_it_is_told_to_drain(tmp_path: Path) -> None:
    async with relay_command(tmp_path, *LISTEN) as relay:
        relay.drain()
        assert await relay.ended() == 0


async def test_draining_takes_no_longer_than_it_may(tmp_path: Path) -> None:
    async with (
        relay_command(tmp_path, *LISTEN, "--set", "relay.drain_seconds=1") as relay,
        connected(relay, "room:alice", "room:bob") as (alice, bob),
    ):
        await meet(alice, bob)
        relay.drain()
        since = time.monotonic()
        assert (await relay.logged("relay.draining"))["at_most_seconds"] == 1
        await talk(alice, bob)
        assert await relay.ended() == 0
        assert time.monotonic() - since >= 0.9
        assert (await relay.logged("relay.drain_timed_out"))["allocations"] == 2
