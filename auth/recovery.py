"""Recovery accounts: people who can lift an emergency stop when the directory is gone. They come from the
settings, and are good for nothing else."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import SecretStr

from auth.password_hash import PasswordHash, parse_user_password
from auth.passwords import DEFAULT_DECOY, PasswordChecker, password_bytes
from auth.personal import Personal
from auth.principal import Insider, PartyId

CHECK_TIMEOUT_SECONDS = 5.0
MAX_WAITING_CHECKS = 4


class RecoveryAccounts:
    """`accounts` are NAME:{ARGON2}... each; raises PasswordHashError for one that is not."""

    def __init__(self, accounts: Iterable[SecretStr]) -> None:
        self._stored: dict[str, PasswordHash] = {}
        for account in accounts:
            name, _, stored = account.get_secret_value().partition(":")
            self._stored[name] = parse_user_password(stored)
        self._checker = PasswordChecker(1, MAX_WAITING_CHECKS, CHECK_TIMEOUT_SECONDS)

    def get(self, party: PartyId, group: str) -> Insider | None:
        """Whose party id this is, as a member of this group."""
        name = party.removeprefix("r-")
        return self._person(name, group) if party.startswith("r-") and name in self._stored else None

    async def check(self, name: str, password: str, group: str) -> Insider | None:
        """The person, if it is their password; an unknown name takes as long. Raises
        DirectoryUnavailable where too many checks wait already."""
        given = password_bytes(password)
        stored = self._stored.get(name, DEFAULT_DECOY)
        matches = given is not None and await self._checker.matches(stored, given)
        return self._person(name, group) if matches and name in self._stored else None

    async def close(self) -> None:
        """Ends the thread that checks."""
        await self._checker.close()

    @staticmethod
    def _person(name: str, group: str) -> Insider:
        login = Personal(name)
        return Insider(PartyId(f"r-{name}"), login, login, frozenset({group}))
