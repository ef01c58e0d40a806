"""Time-limited TURN credentials, as applications and TURN servers share them by one secret.

Username `expiry:session:party` (expiry in Unix seconds), password base64(HMAC-SHA1(secret, username)). A
relay where any two allocations may meet knows no sessions; there the username is `expiry:` followed by the
name of a user, of whatever form.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

# Printable ASCII without blanks and the colon: what an authenticated name may bring into events and logs.
_NAME = re.compile(r"[!-9;-~]{1,128}")
_EXPIRY = re.compile(r"[0-9]{1,15}")
_ANY_NAME = re.compile(r"[!-~]{1,256}")


@dataclass(frozen=True, slots=True)
class TurnCredential:
    """What a client is told; printing it does not show the password."""

    username: str
    password: str = field(repr=False)


class ClaimedName(NamedTuple):
    """What a username says. True only once the password has been verified."""

    expires_at: int
    """Unix seconds."""
    session_id: str
    party: str


@dataclass(frozen=True, slots=True)
class CredentialSecrets:
    """Secrets in force: the first signs, all verify, so that they can be rotated under running calls."""

    secrets: tuple[bytes, ...] = field(repr=False)

    def __post_init__(self) -> None:
        if not self.secrets or not all(self.secrets):
            raise ValueError("a relay needs at least one secret, and none of them empty")

    def issue(self, session_id: str, party: str, expires_at: int) -> TurnCredential:
        """A credential for one party of a session. ValueError for a name that no username can carry."""
        if not _NAME.fullmatch(session_id) or not _NAME.fullmatch(party):
            raise ValueError("session ids and parties are 1-128 printable ASCII characters without a colon")
        username = f"{expires_at}:{session_id}:{party}"
        return TurnCredential(username, password_for(self.secrets[0], username.encode()).decode())

    def passwords(self, username: bytes) -> Sequence[bytes]:
        """The passwords that this username may come with, one per secret."""
        return [password_for(secret, username) for secret in self.secrets]


def password_for(secret: bytes, username: bytes) -> bytes:
    return base64.b64encode(hmac.digest(secret, username, "sha1"))


def read_username(username: bytes, *, with_session: bool) -> ClaimedName | None:
    """Take a username apart; None if it has another form. Without sessions the session id is empty."""
    try:
        text = username.decode("ascii")
    except UnicodeDecodeError:
        return None
    expiry, _, rest = text.partition(":")
    if not _EXPIRY.fullmatch(expiry):
        return None
    if not with_session:
        return ClaimedName(int(expiry), "", rest) if _ANY_NAME.fullmatch(rest) else None
    session_id, _, party = rest.partition(":")
    if not _NAME.fullmatch(session_id) or not _NAME.fullmatch(party):
        return None
    return ClaimedName(int(expiry), session_id, party)
