"""Hashing and checking passwords: Argon2id in threads of its own, with a bounded number of checks in hand."""

from __future__ import annotations

import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from auth.directory import DirectoryUnavailable
from auth.password_hash import PasswordHash, format_user_password, parse_user_password
from auth.threads import BoundedThreads

MAX_PASSWORD_BYTES = 1024

# One lane: sign-ins run side by side in threads already, and a hash must not take a second core from the
# relay.
_HASHER = PasswordHasher(time_cost=3, memory_cost=64 * 1024, parallelism=1)

DEFAULT_DECOY = parse_user_password(
    format_user_password(f"$argon2id$v=19$m=65536,t=3,p=1${'A' * 22}${'A' * 43}")
)
"""What an unknown login is checked against when the directory holds no hash to take the cost from."""


class PasswordNotUsableError(ValueError):
    """The password cannot be stored: it is empty, too long or no text. The message does not repeat it."""


def password_bytes(password: str) -> bytes | None:
    """The bytes that are hashed: UTF-8 of the composed form (RFC 8265 OpaqueString), so that keyboards which
    type an umlaut as one character or as two agree. None for what nobody can have as a password: empty,
    longer than 1024 bytes, or not encodable."""
    if len(password) > MAX_PASSWORD_BYTES:
        return None
    try:
        encoded = unicodedata.normalize("NFC", password).encode("utf-8")
    except UnicodeEncodeError:
        return None
    return encoded if 0 < len(encoded) <= MAX_PASSWORD_BYTES else None


def hash_password(password: str) -> str:
    """The userPassword value to write into the LDIF file: `{ARGON2}$argon2id$...` with a fresh salt. Blocks
    for about a tenth of a second. Raises PasswordNotUsableError."""
    encoded = password_bytes(password)
    if encoded is None:
        raise PasswordNotUsableError(f"a password has 1 to {MAX_PASSWORD_BYTES} bytes of text")
    return format_user_password(_HASHER.hash(encoded))


class PasswordChecker:
    """At most `threads` checks run and at most `max_waiting_checks` wait; one more is refused, not queued.

    Belongs to one event loop: all but the hashing happens there.
    """

    def __init__(self, threads: int, max_waiting_checks: int, check_timeout_seconds: float) -> None:
        self._threads = BoundedThreads("password checks", threads, max_waiting_checks)
        self._check_timeout_seconds = check_timeout_seconds

    async def matches(self, stored: PasswordHash, password: bytes) -> bool:
        """Whether the password is the stored one. Raises DirectoryUnavailable when too many checks wait
        already, when this one is not done in time, argon2 cannot do it, or the checker is closed."""
        return await self._threads.run(lambda: _verify(stored, password), self._check_timeout_seconds)

    async def close(self) -> None:
        """Let the running checks end, skip the waiting ones and release the threads."""
        await self._threads.close()


def _verify(stored: PasswordHash, password: bytes) -> bool:
    try:
        return _HASHER.verify(stored.encoded, password)
    except VerifyMismatchError:
        return False
    except (VerificationError, InvalidHashError) as error:
        raise DirectoryUnavailable(f"argon2: {error}") from None
