"""What an operator does to a running relay (drain, revoke, reconfigure), and connections that are over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from relay.credentials import CredentialSecrets, TurnCredential, password_for
from relay.revocations import Revocations
from relay.stun import attributes as a
from relay.stun.integrity import PasswordAlgorithm
from relay.stun.message import Method
from relay.turn.events import (
    AllocationGone,
    CloseStream,
    Disown,
    Drain,
    GoneReason,
    Received,
    Reconfigure,
    Refused,
    Remove,
    RemoveSession,
    Revoke,
    Send,
    StreamClosed,
    Sweep,
    TurnRules,
)
from relay.turn.refusal import RefusalReason
from relay.vocabulary import Address, Transport
from tests.spec.turn_world import CREDENTIAL_SECONDS, SECRET, Client, Delivery, World, code_of

PREFIX = "198.18.0.0/15"
IP, IP6 = "203.0.113.5", "2001:db8:2::5"
HERE, ALSO, HERE6 = Address("192.0.2.77", 3478), Address("192.0.2.78", 3478), Address("2001:db8::77", 5349)
CHOICES = [None, PasswordAlgorithm.MD5, PasswordAlgorithm.SHA_256]


def world_of(**rules: object) -> World:
    made = World(replace(TurnRules(relayed_prefix=PREFIX), **rules))  # type: ignore[arg-type]  # each caller names them
    made.admit()
    return made


def connected(
    world: World, transport: Transport = Transport.UDP, session_id: str = "s1"
) -> tuple[Client, Client]:
    alice, bob = world.pair(session_id, transport=transport)
    assert alice.bind(0x4000, bob.relayed) == 0
    assert bob.bind(0x4000, alice.relayed) == 0
    return alice, bob


# --- drain --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize(
    ("servers", "ip", "named"),
    [
        ((), IP, None),
        ((), IP6, None),
        ((HERE,), IP, HERE),
        ((HERE,), IP6, None),
        ((HERE6,), IP, None),
        ((HERE6,), IP6, HERE6),
        ((HERE6, HERE, ALSO), IP, HERE),
        ((HERE, ALSO, HERE6), IP6, HERE6),
    ],
)
def test_8489_10_a_draining_relay_names_a_server_of_the_clients_family_or_refuses(
    servers: tuple[Address, ...], ip: str, named: Address | None, choice: PasswordAlgorithm | None
) -> None:
    world = world_of(alternate_servers=servers)
    world.handle(Drain())
    alice = world.client(ip=ip)
    alice.algorithm = choice
    answer = alice.allocate()
    assert code_of(answer) == (508 if named is None else 300)
    assert answer.every(a.ALTERNATE_SERVER) == ([] if named is None else [named])
    assert answer.verifies(alice.key)
    assert (answer.sha256_at is not None) == (choice is not None)
    assert world.server.allocations() == []


def test_8489_10_who_proved_nothing_is_sent_nowhere() -> None:
    world = world_of(alternate_servers=(HERE,))
    world.handle(Drain())
    for answer in (world.client().bare(Method.ALLOCATE), world.client().with_password("wrong").allocate()):
        assert code_of(answer) == 401
        assert answer.first(a.ALTERNATE_SERVER) is None


def test_an_expired_credential_is_401_also_while_draining() -> None:
    world = world_of(alternate_servers=(HERE,))
    world.handle(Drain())
    alice = world.client()
    world.passes(CREDENTIAL_SECONDS)
    assert code_of(alice.allocate()) == 401
    assert [one.reason for one in world.refused] == [RefusalReason.CREDENTIAL_EXPIRED]


def test_what_is_there_goes_on_while_draining() -> None:
    world = world_of(alternate_servers=(HERE,))
    bob, alice = world.client("bob"), world.client()
    bob.allocate()
    tid = alice.next_id()
    first = alice.allocate(tid=tid)
    world.handle(Drain())
    assert world.server.draining
    assert alice.allocate(tid=tid).raw == first.raw
    assert code_of(alice.allocate()) == 437
    for _ in range(3):
        world.passes(100)
        for one, other in ((alice, bob), (bob, alice)):
            assert code_of(one.refresh()) == 0
            assert one.permit(other.relayed) == 0
            assert one.bind(0x4000, other.relayed) == 0
        alice.send_on(0x4000, b"x")
        assert world.delivered() == [Delivery(bob.five_tuple, 0x4000, b"x")]
    assert code_of(alice.refresh((a.LIFETIME, 0))) == 0
    assert code_of(alice.allocate()) == 300


# --- revocation ---------------------------------------------------------------------------------------


def everybody(world: World) -> dict[str, Client]:
    """Alice by two credentials and bob in one session, alice and carol in another."""
    clients = {}
    for name, party, session_id in (
        ("alice", "alice", "s1"),
        ("bob", "bob", "s1"),
        ("alice again", "alice", "s1"),
        ("alice elsewhere", "alice", "s2"),
        ("carol", "carol", "s2"),
    ):
        client = clients[name] = world.client(party, session_id)
        if name == "alice again":
            expiry = int(world.now.wall) + 60
            client.credential = CredentialSecrets((SECRET,)).issue(session_id, party, expiry)
        assert code_of(client.allocate()) == 0
    for name, peer in (("alice", "bob"), ("alice again", "bob"), ("alice elsewhere", "carol")):
        assert clients[name].bind(0x4000, clients[peer].relayed) == 0
        assert clients[peer].permit(clients[name].relayed) == 0
        clients[peer].send(clients[name].relayed, b"x")
    assert len(world.rows) == 6
    return clients


FIRST = f"{1_900_000_000 + CREDENTIAL_SECONDS}:s1:alice"
COVERED = {
    "credential": (Revocations(credentials=frozenset({FIRST})), ["alice"], 4),
    "session": (Revocations(sessions=frozenset({"s1"})), ["alice", "bob", "alice again"], 2),
    "user": (Revocations(users=frozenset({"alice"})), ["alice", "alice again", "alice elsewhere"], 0),
    "several": (
        Revocations(users=frozenset({"carol", "nobody"}), credentials=frozenset({FIRST})),
        ["alice", "carol"],
        2,
    ),
    "nobody": (
        Revocations(frozenset({"bob"}), frozenset({"alice"}), frozenset({"s1", "s1:alice", FIRST})),
        [],
        6,
    ),
}


@pytest.mark.parametrize("case", COVERED)
def test_what_the_revoked_have_ends_at_once_and_they_get_nothing_more(case: str) -> None:
    revocations, covered, rows_left = COVERED[case]
    world = world_of(admission_required=False)
    clients = everybody(world)
    commands = world.handle(Revoke(revocations))
    gone = [one for one in commands if isinstance(one, AllocationGone)]
    assert sorted(one.relayed_address for one in gone) == sorted(clients[name].relayed for name in covered)
    assert {one.reason for one in gone} <= {GoneReason.REVOKED}
    assert len(world.rows) == rows_left
    for name, client in clients.items():
        assert world.rows_of(client.five_tuple) == [] or name not in covered
        answer = client.refresh()
        assert code_of(answer) == (437 if name in covered else 0)
        if name in covered:
            world.notices.clear()
            answer = client.allocate()
            assert code_of(answer) == 403
            assert answer.verifies(client.key)
            _, session_id, party = client.credential.username.split(":")
            assert world.refused == [Refused(client.five_tuple, RefusalReason.REVOKED, session_id, party)]
    world.handle(Revoke(Revocations(users=frozenset({"somebody else"}))))
    for name, client in clients.items():
        assert code_of(client.allocate()) == (0 if name in covered else 437)
    assert len(world.server.allocations()) == len(clients)


def test_a_revoked_session_is_not_opened_by_admission() -> None:
    world = world_of()
    connected(world)
    world.handle(Revoke(Revocations(sessions=frozenset({"s1"}))))
    world.admit()
    assert code_of(world.client().allocate()) == 403
    assert world.refused[-1].reason is RefusalReason.REVOKED
    world.handle(Revoke(Revocations()))
    assert code_of(world.client().allocate()) == 0


@pytest.mark.parametrize("user", ["@alice:example.org", "alice", "s1:alice"])
def test_with_pairing_any_the_user_is_what_follows_the_expiry(user: str) -> None:
    world = world_of(pairing="any", admission_required=False)
    clients = [world.client(), world.client()]
    for one, name in zip(clients, (user, "somebody.else"), strict=True):
        username = f"1900003600:{name}"
        one.credential = TurnCredential(username, password_for(SECRET, username.encode()).decode())
        one.allocate()
    world.handle(Revoke(Revocations(users=frozenset({user}))))
    assert [one.party for one in world.server.allocations()] == ["somebody.else"]
    assert code_of(clients[0].allocate()) == 403
    assert code_of(clients[1].refresh()) == 0


def test_with_pairing_any_no_session_is_there_to_be_revoked() -> None:
    world = world_of(pairing="any", admission_required=False)
    alice = world.client()
    alice.allocate()
    world.handle(Revoke(Revocations(sessions=frozenset({"any", "s1"}))))
    assert code_of(alice.refresh()) == 0


# --- other rules and secrets --------------------------------------------------------------------------


def test_other_rules_hold_from_the_next_request_on() -> None:
    world = world_of()
    alice, bob = connected(world)
    rules = replace(
        world.rules,
        legacy_channels=True,
        default_lifetime_seconds=30,
        max_lifetime_seconds=60,
        max_allocations_per_credential=2,
        max_allocations=3,
        unauthenticated_answers_burst=1,
        unauthenticated_answers_per_second=1,
        dtls_budget_bytes=4096,
    )
    clients = [world.client() for _ in range(3)]
    for one in clients:
        one.learn_nonce()
    world.handle(Reconfigure(rules, CredentialSecrets(world.secrets)))
    assert world.server.rules == rules
    assert alice.refresh().first(a.LIFETIME) == 30
    assert alice.refresh((a.LIFETIME, 600)).first(a.LIFETIME) == 60
    for one in clients:
        assert code_of(one.allocate()) == 0
    assert [one.reason for one in world.gone] == [GoneReason.REPLACED] * 2
    assert clients[-1].bind(0x5000, bob.relayed) == 0
    assert {row.dtls_budget_bytes for row in world.rows.values()} == {4096}
    stranger = world.client(ip="198.51.100.9")
    assert code_of(stranger.bare(Method.BINDING)) == 0
    assert stranger.raw(stranger.signed(Method.ALLOCATE)) is None
    world.passes(2)
    assert code_of(world.client("bob").allocate()) == 508


def test_a_smaller_bound_per_credential_is_kept_from_the_next_allocation_on() -> None:
    world = world_of()
    clients = [world.client() for _ in range(6)]
    for one in clients[:5]:
        one.allocate()
    rules = replace(world.rules, max_allocations_per_credential=2)
    world.handle(Reconfigure(rules, CredentialSecrets(world.secrets)))
    assert code_of(clients[5].allocate()) == 0
    assert [one.five_tuple for one in world.server.allocations()] == [one.five_tuple for one in clients[4:]]


def test_prefix_realm_pairing_and_admission_stay_as_they_were() -> None:
    world = world_of()
    alice, _ = connected(world)
    rules = replace(
        world.rules, relayed_prefix="10.0.0.0/8", realm=b"other", pairing="any", admission_required=False
    )
    world.handle(Reconfigure(rules, CredentialSecrets(world.secrets)))
    assert world.server.rules == world.rules
    assert world.client().bare(Method.ALLOCATE).first(a.REALM) == b"turngate"
    assert code_of(world.client("carol", "s2").allocate()) == 403
    world.admit("s2")
    carol = world.client("alice", "s2")
    assert code_of(carol.allocate()) == 0
    assert carol.relayed.ip.startswith(("198.18.", "198.19."))
    assert alice.permit(carol.relayed) == 403


# --- connections --------------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", [Transport.TCP, Transport.TLS])
def test_8656_7_a_connection_that_is_over_takes_its_allocation_along(transport: Transport) -> None:
    world = world_of()
    alice, bob = connected(world, transport)
    second = world.client(transport=transport)
    second.allocate()
    commands = world.handle(StreamClosed(alice.five_tuple))
    gone = AllocationGone("s1", "alice", alice.five_tuple, alice.relayed, GoneReason.STREAM_CLOSED)
    assert [type(one) for one in commands] == [Remove, Remove, Disown, AllocationGone]
    assert world.gone == [gone]
    assert world.rows == {}
    assert world.closed == []
    assert [one.five_tuple for one in world.server.allocations()] == [bob.five_tuple, second.five_tuple]
    assert world.handle(StreamClosed(alice.five_tuple)) == []


def replaced(world: World, client: Client) -> None:
    for _ in range(2):
        late = world.client()
        late.credential = client.credential
        late.allocate()


def late_packet(world: World, client: Client) -> None:
    world.passes(120, sweep=False)
    world.handle(Received(client.five_tuple, client.signed(Method.REFRESH)))


ENDS: dict[GoneReason, list[Callable[[World, Client], object]]] = {
    GoneReason.EXPIRED: [lambda world, _: world.passes(120), late_packet],
    GoneReason.REPLACED: [replaced],
    GoneReason.SESSION_ENDED: [lambda world, _: world.end()],
    GoneReason.SESSION_EXPIRED: [lambda world, _: world.passes(36000)],
    GoneReason.REVOKED: [
        lambda world, _: world.handle(Revoke(Revocations(users=frozenset({"alice"})))),
        lambda world, _: world.handle(Revoke(Revocations(sessions=frozenset({"s1"})))),
    ],
}


def test_every_end_of_an_allocation_is_tried_here() -> None:
    assert {*ENDS, GoneReason.CLOSED, GoneReason.STREAM_CLOSED} == set(GoneReason)


@pytest.mark.parametrize(("reason", "end"), [(reason, end) for reason, ends in ENDS.items() for end in ends])
@pytest.mark.parametrize("transport", Transport)
def test_a_connection_whose_allocation_ends_otherwise_is_ended_after_its_rows(
    reason: GoneReason, end: Callable[[World, Client], object], transport: Transport
) -> None:
    """The world itself finds that rows have gone first. There is no connection over UDP."""
    world = world_of(max_allocations_per_credential=2)
    alice, _ = connected(world, transport)
    assert len(world.rows) == 2
    end(world, alice)
    assert world.rows == {}
    assert next(one.reason for one in world.gone if one.five_tuple == alice.five_tuple) is reason
    assert world.closed == [alice.five_tuple] * transport.is_stream


def test_when_a_session_ends_all_its_rows_go_before_any_connection() -> None:
    world = world_of()
    world.admit()
    alice, bob = (world.client(name, transport=Transport.TCP) for name in ("alice", "bob"))
    for one in (alice, bob):
        one.allocate()
    alice.bind(0x4000, bob.relayed)
    bob.bind(0x4000, alice.relayed)
    world.now = world.now._replace(wall=world.now.wall + 36000)
    commands = world.handle(Sweep())
    assert commands[0] == RemoveSession("s1")
    assert [one for one in commands if isinstance(one, CloseStream)] == [
        CloseStream(alice.five_tuple),
        CloseStream(bob.five_tuple),
    ]


@pytest.mark.parametrize("transport", Transport)
def test_8656_8_2_a_client_that_ends_its_own_allocation_keeps_its_connection(transport: Transport) -> None:
    world = world_of()
    alice, _ = connected(world, transport)
    commands = world.handle(Received(alice.five_tuple, alice.signed(Method.REFRESH, [(a.LIFETIME, 0)])))
    assert [type(one) for one in commands] == [Send, Remove, Remove, Disown, AllocationGone]
    assert world.closed == []
    assert code_of(alice.allocate()) == 0
