"""The list of those whom a relay lets in no more: how it is read, whom it covers, what it ends."""

from __future__ import annotations

import pytest

from relay.credentials import ClaimedName, read_username
from relay.revocations import MAX_BYTES, NOBODY, Revocations, RevocationsError, read_revocations
from relay.stun import attributes as a
from relay.turn.events import (
    AllocationGone,
    Command,
    Disown,
    GoneReason,
    Refused,
    Remove,
    RemoveSession,
    Revoke,
    TurnRules,
)
from relay.turn.refusal import RefusalReason
from tests.spec.turn_world import Client, World, code_of

EVERYTHING = b"""
# Lost in a train on Monday.
credential 1900000000:room-7:alice

session room-7
\tuser @mallory:example.org \r
user bob
user bob
"""


# --- reading ------------------------------------------------------------------------------------------


def test_a_line_names_a_credential_a_session_or_a_user() -> None:
    assert read_revocations(EVERYTHING) == Revocations(
        credentials=frozenset({"1900000000:room-7:alice"}),
        sessions=frozenset({"room-7"}),
        users=frozenset({"@mallory:example.org", "bob"}),
    )


@pytest.mark.parametrize("content", [b"", b"\n\n", b"# user bob", b"  # user bob\r\n"])
def test_a_list_may_name_nobody(content: bytes) -> None:
    assert read_revocations(content) == NOBODY


def test_the_last_line_needs_no_end() -> None:
    assert read_revocations(b"user bob").users == {"bob"}


@pytest.mark.parametrize(
    "line",
    [
        b"bob",
        b"user",
        b"user ",
        b"user  bob",
        b"user bob alice",
        b"user bob # left us",
        b"user\tbob",
        b"User bob",
        b"users bob",
        b"user bo\x00b",
        b"user \x1b[31mbob",
        b"user " + b"b" * 301,
    ],
)
def test_any_other_line_is_a_mistake_that_is_told_by_its_number_alone(line: bytes) -> None:
    with pytest.raises(RevocationsError) as told:
        read_revocations(b"# one\nuser alice\n" + line + b"\nuser carol\n")
    assert "line 3 " in str(told.value)
    assert "bob" not in str(told.value)


def test_a_name_is_as_long_as_any_username_can_be() -> None:
    username = b"1" * 15 + b":" + b"n" * 256
    assert read_username(username, with_session=False) is not None
    listed = read_revocations(b"credential " + username)
    assert listed.credentials == {username.decode()}


def test_a_list_of_other_than_ascii_is_a_mistake() -> None:
    with pytest.raises(RevocationsError, match="ASCII"):
        read_revocations("user zoë".encode())


def test_a_list_has_a_largest_size() -> None:
    full = b"user bob\n#" + b"x" * (MAX_BYTES - 10)
    assert read_revocations(full).users == {"bob"}
    with pytest.raises(RevocationsError, match=f"{MAX_BYTES} bytes"):
        read_revocations(full + b"x")


# --- whom it covers -----------------------------------------------------------------------------------

ALICE = b"1900000000:room-7:alice"


@pytest.mark.parametrize(
    ("listed", "covered"),
    [
        ("", False),
        ("credential 1900000000:room-7:alice", True),
        ("session room-7", True),
        ("user alice", True),
        ("credential 1900000001:room-7:alice", False),
        ("credential 1900000000:room-7:alic", False),
        ("credential alice", False),
        ("session room-77", False),
        ("session alice", False),
        ("user room-7", False),
        ("user Alice", False),
        ("user alice2\nuser ali", False),
    ],
)
def test_names_are_covered_as_a_whole_and_each_kind_by_its_own_list(listed: str, covered: bool) -> None:
    claim = read_username(ALICE, with_session=True)
    assert claim == ClaimedName(1_900_000_000, "room-7", "alice")
    assert read_revocations(listed.encode()).cover(ALICE, claim) is covered


def test_a_user_without_a_session_is_what_follows_the_expiry() -> None:
    username = b"1900000000:@mallory:example.org"
    claim = read_username(username, with_session=False)
    assert claim is not None
    assert read_revocations(EVERYTHING).cover(username, claim)
    assert not read_revocations(b"user mallory\nuser example.org\nsession @mallory").cover(username, claim)


# --- what it ends -------------------------------------------------------------------------------------


@pytest.fixture
def world() -> World:
    return World(TurnRules(relayed_prefix="198.18.0.0/15", admission_required=False))


def talking(world: World, session_id: str = "s1") -> tuple[Client, Client]:
    """A pair with a row each way."""
    alice, bob = world.client("alice", session_id), world.client("bob", session_id)
    alice.allocate()
    bob.allocate()
    assert alice.bind(0x4000, bob.relayed) == bob.bind(0x4001, alice.relayed) == 0
    return alice, bob


def revoke(world: World, listed: str) -> list[Command]:
    return world.handle(Revoke(read_revocations(listed.encode())))


def ends_of(commands: list[Command]) -> list[tuple[str, GoneReason]]:
    return [(one.party, one.reason) for one in commands if isinstance(one, AllocationGone)]


def test_what_a_revoked_credential_has_ends_in_the_same_moment_and_the_others_keep_theirs(
    world: World,
) -> None:
    alice, bob = talking(world)
    kept = [bob, *talking(world, "s2")]
    rows = {leg for leg in world.rows if leg.five_tuple in {one.five_tuple for one in kept[1:]}}
    commands = revoke(world, f"credential {alice.credential.username}")
    assert ends_of(commands) == [("alice", GoneReason.REVOKED)]
    assert Disown(alice.five_tuple) in commands
    assert sum(isinstance(one, Remove) for one in commands) == 2
    assert set(world.rows) == rows
    assert [one.five_tuple for one in world.server.allocations()] == [one.five_tuple for one in kept]


def test_a_revoked_user_has_nothing_left_in_any_session(world: World) -> None:
    _, bob = talking(world)
    _, other_bob = talking(world, "s2")
    assert ends_of(revoke(world, "user alice")) == [("alice", GoneReason.REVOKED)] * 2
    assert world.rows == {}
    left = [one.five_tuple for one in world.server.allocations()]
    assert left == [bob.five_tuple, other_bob.five_tuple]


def test_a_revoked_session_ends_with_all_its_allocations(world: World) -> None:
    alice, bob = talking(world)
    others = talking(world, "s2")
    commands = revoke(world, "session s1")
    assert commands[0] == RemoveSession("s1")
    assert ends_of(commands) == [("alice", GoneReason.REVOKED), ("bob", GoneReason.REVOKED)]
    assert {leg.five_tuple for leg in world.rows} == {one.five_tuple for one in others}
    assert code_of(alice.refresh()) == code_of(bob.refresh()) == 437
    assert code_of(others[0].refresh()) == 0


@pytest.mark.parametrize("listed", ["credential {username}", "session s1", "user alice"])
def test_who_is_revoked_allocates_nothing_until_the_line_is_taken_out(world: World, listed: str) -> None:
    alice = world.client("alice")
    revoke(world, listed.format(username=alice.credential.username))
    refusal = alice.allocate()
    assert code_of(refusal) == 403
    assert refusal.verifies(alice.key)
    assert refusal.first(a.NONCE) is None
    assert [one.reason for one in world.notices if isinstance(one, Refused)] == [RefusalReason.REVOKED]
    assert world.server.session_ip("s1") is None
    revoke(world, "user somebody-else")
    assert code_of(alice.allocate()) == 0


def test_a_revoked_credential_says_nothing_about_another_of_the_same_user(world: World) -> None:
    alice = world.client("alice")
    revoke(world, f"credential {alice.credential.username}")
    world.passes(1)
    again = world.client("alice")
    assert again.credential.username != alice.credential.username
    assert code_of(again.allocate()) == 0


def test_the_same_list_again_ends_nothing_more(world: World) -> None:
    talking(world)
    talking(world, "s2")
    assert revoke(world, "session s1\nuser mallory") != []
    rows = dict(world.rows)
    assert revoke(world, "session s1\nuser mallory") == []
    assert world.rows == rows != {}


def test_where_anybody_may_meet_anybody_one_user_ends_alone() -> None:
    world = World(TurnRules(relayed_prefix="198.18.0.0/15", admission_required=False, pairing="any"))
    alice, bob = talking(world)
    party = "s1:alice"
    assert ends_of(revoke(world, f"user {party}")) == [(party, GoneReason.REVOKED)]
    assert world.rows == {}
    assert code_of(bob.refresh()) == 0
    assert code_of(alice.allocate()) == 403
