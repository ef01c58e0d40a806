"""Finding: what was looked at, whether it is well, and what to change."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    WELL = "well"
    LOOK = "look"
    """It works, or nobody could tell; a person should look."""
    ILL = "ill"
    """It does not work, or does not protect."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`found` and `change` may hold text that strangers wrote: whoever shows it makes it safe."""

    check: str
    """What was looked at, such as `directory dc1.example:636: certificate`."""
    verdict: Verdict
    found: str
    change: str = ""
    """Empty where all is well."""


def well(check: str, found: str) -> Finding:
    return Finding(check, Verdict.WELL, found)


def look(check: str, found: str, change: str) -> Finding:
    return Finding(check, Verdict.LOOK, found, change)


def ill(check: str, found: str, change: str) -> Finding:
    return Finding(check, Verdict.ILL, found, change)


def counted(count: int, one: str, many: str) -> str:
    """`1 person`, `2 people`."""
    return f"{count} {one if count == 1 else many}"
