"""Stored passwords: the `{ARGON2}` form of a userPassword value, as OpenLDAP's argon2 module writes it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

MAX_MEMORY_KIB = 256 * 1024
MAX_TIME_COST = 16
MAX_PARALLELISM = 16

_SCHEME = "{ARGON2}"
_ENCODED = re.compile(
    r"\$argon2id\$v=19"
    r"\$m=(?P<memory>[1-9][0-9]{0,6}),t=(?P<time>[1-9][0-9]{0,2}),p=(?P<parallelism>[1-9][0-9]?)"
    r"\$(?P<salt>[A-Za-z0-9+/]{11,86})"
    r"\$(?P<digest>[A-Za-z0-9+/]{22,86})"
)


class PasswordHashError(ValueError):
    """The only error of `parse_user_password`. The message never repeats the value."""


@dataclass(frozen=True, slots=True)
class PasswordHash:
    """An Argon2id hash whose cost is within bounds. Prints without the hash."""

    encoded: str = field(repr=False)
    """`$argon2id$v=19$m=...,t=...,p=...$salt$digest`"""
    cost: tuple[int, int, int]
    """Memory in KiB, passes over it, lanes."""

    def decoy(self) -> PasswordHash:
        """A hash that costs the same to check and that no password is known to match."""
        cost_fields = self.encoded.split("$")[:4]
        return PasswordHash("$".join([*cost_fields, "A" * 22, "A" * 43]), self.cost)


def parse_user_password(value: str) -> PasswordHash:
    """Read `{ARGON2}$argon2id$...`. Raises PasswordHashError for every other scheme, clear text included, and
    for costs that would let one sign-in occupy the machine."""
    if value[: len(_SCHEME)].upper() != _SCHEME:
        raise PasswordHashError("a password must be stored as {ARGON2} followed by an argon2id hash")
    match = _ENCODED.fullmatch(value, len(_SCHEME))
    if match is None or len(match["salt"]) % 4 == 1 or len(match["digest"]) % 4 == 1:
        raise PasswordHashError("not an argon2id hash of version 19")
    memory, time, parallelism = int(match["memory"]), int(match["time"]), int(match["parallelism"])
    if memory > MAX_MEMORY_KIB or time > MAX_TIME_COST or parallelism > MAX_PARALLELISM:
        raise PasswordHashError(
            f"argon2id costs more than m={MAX_MEMORY_KIB},t={MAX_TIME_COST},p={MAX_PARALLELISM} permit"
        )
    if memory < 8 * parallelism:
        raise PasswordHashError("argon2id needs 8 KiB of memory per lane")
    return PasswordHash(value[len(_SCHEME) :], (memory, time, parallelism))


def format_user_password(encoded: str) -> str:
    """The userPassword value for an encoded hash."""
    return _SCHEME + encoded
