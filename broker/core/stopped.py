"""What an emergency stop and its lift leave to be done, as the house keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from auth.personal import Personal
from auth.principal import Insider
from broker.audit.record import JsonValue
from broker.policy.administration import Role
from broker.policy.stop import Scope


@dataclass(frozen=True, slots=True)
class EndOf:
    """What an emergency stop of this scope ends next: everything it covers, one thing of that, whatever else
    a review finds, or nothing any more, so that the last word can be said."""

    scope: Scope
    kind: Literal[
        "everything", "call", "share", "connection", "visit", "sign_in", "whatever_else", "last_word"
    ]
    id: str
    """Of the thing; of everything and of the last word, the request that is answered then, if there is
    one."""


@dataclass(slots=True)
class Tally:
    """What an emergency stop ended."""

    ended: Mapping[str, JsonValue]
    settled: bool = False
    """Whether all of it has ended by now."""
    packets: int = 0
    """Of the calls it ended, over their whole time."""
    last_packet_ms: int | None = None
    """When the relay forwarded the last of them (Unix milliseconds)."""


@dataclass(frozen=True, slots=True)
class PendingLift:
    """One administrator wants a stop lifted; another has to approve."""

    id: str
    by: Insider
    role: Role
    source: Personal
    until_ms: int
    """For the eye: the time itself is measured by the clock that nobody sets."""
    approved: bool = False
    """Somebody has, and it waits for the record."""


@dataclass(frozen=True, slots=True)
class Drill:
    """What a stop of this scope would have ended at that moment."""

    scope: Scope
    at_ms: int
    would_end: Mapping[str, JsonValue]
