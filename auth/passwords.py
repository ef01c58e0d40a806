"""Hashing and checking passwords: Argon2id in threads of its own, with a bounded number of checks in hand."""

from __future__ import annotations

import asyncio
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from auth.directory import DirectoryUnavailable
from auth.password_hash import PasswordHash, format_user_password, parse_user_password

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


@dataclass(slots=True)
class _Check:
    """One check on its way to a thread. Whoever gave up on it says so, and the thread then saves itself the
    work."""

    stored: PasswordHash
    password: bytes = field(repr=False)
    abandoned: bool = False
    failure: str = ""
    """Why there is no answer; empty when there is one."""

    def run(self) -> bool:
        """Runs in a thread. Raises nothing: nobody may be left to look at it."""
        if self.abandoned:
            self.failure = "the check was abandoned"
            return False
        try:
            return _HASHER.verify(self.stored.encoded, self.password)
        except VerifyMismatchError:
            return False
        except (VerificationError, InvalidHashError) as error:
            self.failure = f"argon2: {error}"
            return False


class PasswordChecker:
    """At most `threads` checks run and at most `max_waiting_checks` wait; one more is refused, not queued.

    Belongs to one event loop: all but the hashing happens there.
    """

    def __init__(self, threads: int, max_waiting_checks: int, check_timeout_seconds: float) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="password")
        self._max_checks = threads + max_waiting_checks
        self._check_timeout_seconds = check_timeout_seconds
        self._checks: dict[asyncio.Future[bool], _Check] = {}
        self._closed = False

    async def matches(self, stored: PasswordHash, password: bytes) -> bool:
        """Whether the password is the stored one. Raises DirectoryUnavailable when too many checks wait
        already, when this one is not done in time, argon2 cannot do it, or the checker is closed."""
        if self._closed:
            raise DirectoryUnavailable("password checks have ended")
        if len(self._checks) >= self._max_checks:
            raise DirectoryUnavailable(f"{self._max_checks} password checks are under way already")
        check = _Check(stored, password)
        future = asyncio.get_running_loop().run_in_executor(self._executor, check.run)
        # A check counts until its thread is through with it, also when nobody waits for it any longer:
        # otherwise clients that hang up could fill the executor's queue, which has no bound of its own.
        self._checks[future] = check
        future.add_done_callback(lambda done: self._checks.pop(done, None))
        try:
            async with asyncio.timeout(self._check_timeout_seconds):
                matched = await asyncio.shield(future)
        except TimeoutError:
            raise DirectoryUnavailable(
                f"a password check took longer than {self._check_timeout_seconds} seconds"
            ) from None
        finally:
            check.abandoned = True
        if check.failure:
            raise DirectoryUnavailable(check.failure)
        return matched

    async def close(self) -> None:
        """Let the running checks end, skip the waiting ones and release the threads."""
        self._closed = True
        for check in self._checks.values():
            check.abandoned = True
        await asyncio.gather(*self._checks)
        self._executor.shutdown()
