"""What the store gives back of invitations and visits, on a real SQLite file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from auth.personal import Personal
from auth.principal import PartyId
from broker.audit.checkpoint import SigningKey
from broker.audit.ledger import Ledger
from broker.audit.record import Draft
from broker.core.commands import EndVisit, RevokeInvitation, SaveInvitation, SaveVisit, Write
from broker.core.stored import Invitation
from broker.shell.store import Entry, Store

INVITATION = Invitation(
    "i-1",
    PartyId("u-ada"),
    Personal("Grace"),
    Personal("grace@p.example"),
    Personal("A talk"),
    lifetime_seconds=60,
    redemptions=3,
    issue=2,
    expires_at_unix_seconds=1000,
    redemptions_left=1,
)
VISIT = SaveVisit(
    PartyId("g-1"),
    Personal("Gus"),
    None,
    "i-1",
    PartyId("u-ada"),
    "digest",
    admitted=True,
    expires_at_unix_seconds=2000,
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    key = SigningKey.load_or_create("test", tmp_path / "key.pem")
    opened = Store(f"sqlite:///{tmp_path}/store.sqlite", Ledger("test", key, lambda n: bytes(n)))
    yield opened
    opened.close()


def commit(store: Store, *writes: Write) -> None:
    store.commit([Entry(0, (Draft("auth.ended", None, {"reason": "test"}),), writes)])


def test_an_invitation_comes_back_as_it_was_saved_last(store: Store) -> None:
    commit(store, SaveInvitation(replace(INVITATION, issue=1, redemptions_left=3)))
    commit(store, SaveInvitation(INVITATION))
    assert store.started(999).invitations == (INVITATION,)
    assert store.invited_by("i-1") == INVITATION.invited_by


def test_an_expired_one_comes_back_only_while_somebody_is_in_by_it(store: Store) -> None:
    commit(store, SaveInvitation(INVITATION), VISIT)
    assert store.started(1000).invitations == (INVITATION,)
    assert store.started(2000).invitations == ()
    commit(store, EndVisit(VISIT.guest))
    assert store.started(1000).invitations == ()


def test_a_revoked_one_never_comes_back(store: Store) -> None:
    commit(store, SaveInvitation(INVITATION), VISIT)
    commit(store, RevokeInvitation("i-1"), EndVisit(VISIT.guest))
    assert store.started(0).invitations == ()
    assert store.invited_by("i-1") is None
