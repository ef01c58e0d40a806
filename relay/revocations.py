"""Whom a relay lets in no more although their credential is in order: a list that an administrator keeps."""

from __future__ import annotations

import re
from dataclasses import dataclass

from relay.credentials import ClaimedName

MAX_BYTES = 4 << 20
_LINE = re.compile(r"(credential|session|user) ([!-~]{1,300})")


class RevocationsError(ValueError):
    """The text is no list of revocations; the message names the line and repeats nothing of it."""


@dataclass(frozen=True, slots=True)
class Revocations:
    """Usernames of credentials, session ids, and users: what a username names after expiry and session."""

    credentials: frozenset[str] = frozenset()
    sessions: frozenset[str] = frozenset()
    users: frozenset[str] = frozenset()

    def cover(self, username: bytes, claim: ClaimedName) -> bool:
        return (
            claim.party in self.users
            or claim.session_id in self.sessions
            or username.decode("ascii", "replace") in self.credentials
        )


NOBODY = Revocations()


def read_revocations(content: bytes) -> Revocations:
    """One revocation a line: `credential USERNAME`, `session ID` or `user NAME`. `#` begins a comment line.

    Raises RevocationsError.
    """
    if len(content) > MAX_BYTES:
        raise RevocationsError(f"it is larger than {MAX_BYTES} bytes")
    try:
        lines = content.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise RevocationsError("it is not ASCII text") from None
    found: dict[str, set[str]] = {"credential": set(), "session": set(), "user": set()}
    for number, line in enumerate(map(str.strip, lines), start=1):
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise RevocationsError(f"line {number} is not `credential`, `session` or `user` and a name")
        found[match[1]].add(match[2])
    return Revocations(frozenset(found["credential"]), frozenset(found["session"]), frozenset(found["user"]))
