"""One request on its way through the server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from relay.stun.message import Field, Message
from relay.turn.allocation import Allocation
from relay.turn.events import Command, Now
from relay.vocabulary import FiveTuple


@dataclass(slots=True)
class Answer:
    """A success, and what follows once it is on its way."""

    fields: Sequence[Field] = ()
    afterwards: list[Command] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class AllocatedRequest:
    """An authenticated request on a five-tuple that has an allocation of the same username."""

    message: Message
    five_tuple: FiveTuple
    allocation: Allocation
    now: Now
    before: list[Command]
    """Commands that are due whatever the answer will be; they go ahead of it."""
