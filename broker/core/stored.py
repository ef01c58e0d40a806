"""Stored: what the store still held when it was read, as events tell of it."""

from __future__ import annotations

from dataclasses import dataclass

from auth.personal import Personal
from auth.principal import Guest, Insider, PartyId


@dataclass(frozen=True, slots=True)
class StoredMessage:
    message_id: str
    sender: Insider | Guest | None
    """The sender as they are now; None when nobody vouches for them any more."""
    sender_party: PartyId
    text: Personal
    sent_at_ms: int


@dataclass(frozen=True, slots=True)
class Invitation:
    """Whom an insider asked in, what for, and on what terms. Kept as long as it can be used or somebody is in
    by it."""

    invitation_id: str
    invited_by: PartyId
    guest_name: Personal
    guest_email: Personal | None
    purpose: Personal
    lifetime_seconds: int
    """Of each issue."""
    redemptions: int
    """By each issue."""
    issue: int
    """Only the link with this number is good."""
    expires_at_unix_seconds: int
    redemptions_left: int


@dataclass(frozen=True, slots=True)
class StoredSignIn:
    """An insider's. `sign_in_id` names it to its person and in the record, and opens nothing."""

    sign_in_id: str
    token_digest: str
    party: PartyId
    prefix: Personal
    """The network it came from."""
    program: str
    """What the last program to use it said of itself; empty where none has."""
    began_at_unix_seconds: int
    used_at_unix_seconds: int
    expires_at_unix_seconds: int


@dataclass(frozen=True, slots=True)
class SecurityKey:
    """An administrator's. `credential_id` in base64url, `public_key` as COSE has it (RFC 9052)."""

    credential_id: str
    party: PartyId
    name: Personal
    """What its person calls it."""
    public_key: bytes
    sign_count: int
    """How often it said that it had been used, when it last was; 0 of one that does not count."""
    enrolled_at_unix_seconds: int
    used_at_unix_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class StoredVisit:
    guest: Guest
    token_digest: str
    admitted: bool
    expires_at_unix_seconds: int


@dataclass(frozen=True, slots=True)
class LostSession:
    """A session that a previous run opened and never closed."""

    session_id: str
    kind: str
    last_count: str
    """The last checkpointed counters as JSON text; empty when there were none."""
