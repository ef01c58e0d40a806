"""Events of administration: what people want who are, or would be, signed in at the admin listener.

`insider` is the person as the directory knows them now, None when it no longer does.
"""

from __future__ import annotations

from dataclasses import dataclass

from auth.personal import Personal
from auth.principal import Insider
from broker.core.commands import RequestId
from broker.core.stored import SecurityKey
from broker.policy.administration import Role, View


@dataclass(frozen=True, slots=True)
class KeyUse:
    """A security key signed for the console. `sign_count` is how often it says that it was used."""

    credential_id: str
    sign_count: int


@dataclass(frozen=True, slots=True)
class AdminSignInProved:
    """The directory accepted a password at the admin listener, from somebody who asks for one role."""

    request_id: RequestId
    insider: Insider
    source: Personal
    token_digest: str
    role: Role
    notice_sha256: str | None = None
    """Of the notice that they acknowledged, in hex; None where there was none."""
    code_step: int | None = None
    """The step of the one-time code that came with the password."""
    key_use: KeyUse | None = None
    """Of the security key that came with it instead. Neither for an account without a second factor."""


@dataclass(frozen=True, slots=True)
class AdminSignOutRequested:
    token_digest: str


@dataclass(frozen=True, slots=True)
class AdminViewRequested:
    """Somebody signed in at the admin listener wants to see something. `view` None is nothing but that they
    are still who they were."""

    request_id: RequestId
    token_digest: str
    insider: Insider | None
    source: Personal
    view: View | None


@dataclass(frozen=True, slots=True)
class SessionEndRequested:
    """An operator wants a connection, a call or a visit ended."""

    request_id: RequestId
    token_digest: str
    insider: Insider | None
    source: Personal
    session_id: str


@dataclass(frozen=True, slots=True)
class SecurityKeyMade:
    """Somebody signed in wants this key to count as theirs; its `party` is who is signed in."""

    request_id: RequestId
    token_digest: str
    insider: Insider | None
    source: Personal
    key: SecurityKey


@dataclass(frozen=True, slots=True)
class SecurityKeyRemovalRequested:
    """Somebody signed in wants a key of theirs to count no more."""

    request_id: RequestId
    token_digest: str
    insider: Insider | None
    source: Personal
    credential_id: str


AdminEvent = (
    AdminSignInProved
    | AdminSignOutRequested
    | AdminViewRequested
    | SessionEndRequested
    | SecurityKeyMade
    | SecurityKeyRemovalRequested
)
