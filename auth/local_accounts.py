"""Local accounts: people who can sign in when the directory is gone. They come from the settings, and each
kind of them is good for one thing alone."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import SecretStr

from auth.password_hash import PasswordHash, parse_user_password
from auth.passwords import DEFAULT_DECOY, PasswordChecker, password_bytes
from auth.personal import Personal
from auth.principal import Insider, PartyId

CHECK_TIMEOUT_SECONDS = 5.0
MAX_WAITING_CHECKS = 4


class LocalAccounts:
    """`accounts` are NAME:{ARGON2}... each; raises PasswordHashError for one that is not. Their people are in
    `group` and no other, and their party ids begin with `prefix`."""

    def __init__(self, accounts: Iterable[SecretStr], group: str, prefix: str) -> None:
        self._group = group
        self._prefix = prefix
        self._stored: dict[str, PasswordHash] = {}
        for account in accounts:
            name, _, stored = account.get_secret_value().partition(":")
            self._stored[name] = parse_user_password(stored)
        self._checker = PasswordChecker(1, MAX_WAITING_CHECKS, CHECK_TIMEOUT_SECONDS)

    def get(self, party: PartyId) -> Insider | None:
        """Whose party id this is."""
        name = party.removeprefix(self._prefix)
        return self._person(name) if party.startswith(self._prefix) and name in self._stored else None

    async def check(self, name: str, password: str) -> Insider | None:
        """The person, if it is their password; an unknown name takes as long. Raises
        DirectoryUnavailable where too many checks wait already."""
        given = password_bytes(password)
        stored = self._stored.get(name, DEFAULT_DECOY)
        matches = given is not None and await self._checker.matches(stored, given)
        return self._person(name) if matches and name in self._stored else None

    async def close(self) -> None:
        """Ends the thread that checks."""
        await self._checker.close()

    def _person(self, name: str) -> Insider:
        login = Personal(name)
        return Insider(PartyId(f"{self._prefix}{name}"), login, login, frozenset({self._group}))
