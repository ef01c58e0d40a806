"""Call: one caller, one callee, and the states between the invitation and the end.

The lifecycle is the table below; whatever is not in it is CALL_STATE to the client that asked. The end is not
a state: an ended call leaves the house, and lives on as an EndingCall only until the relay has reported its
last counters.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from auth.principal import Guest, Insider, PartyId
from broker.core.commands import ConnectionId
from broker.core.frames import EndReason
from broker.core.gate import Grant


class CallState(StrEnum):
    RINGING = "ringing"
    ACTIVE = "active"
    """Accepted: both sides have their relay credentials."""


class CallEvent(StrEnum):
    ACCEPT = "accept"
    DECLINE = "decline"
    CANCEL = "cancel"
    HANG_UP = "hang_up"
    RING_TIMEOUT = "ring_timeout"


ENDED = None
TRANSITIONS: dict[tuple[CallState, CallEvent], CallState | None] = {
    (CallState.RINGING, CallEvent.ACCEPT): CallState.ACTIVE,
    (CallState.RINGING, CallEvent.DECLINE): ENDED,
    (CallState.RINGING, CallEvent.CANCEL): ENDED,
    (CallState.RINGING, CallEvent.RING_TIMEOUT): ENDED,
    (CallState.RINGING, CallEvent.HANG_UP): ENDED,
    (CallState.ACTIVE, CallEvent.HANG_UP): ENDED,
    (CallState.ACTIVE, CallEvent.CANCEL): ENDED,
}
"""(state, event) -> next state; ENDED removes the call. Cancel and hang-up may cross an accept on the wire.
"""


class WrongStateError(Exception):
    """The event does not fit the call's state."""


@dataclass(slots=True)
class Call:
    """A call that has not ended. The two parties are `grant.parties`, caller first."""

    call_id: str
    ref: str
    caller: Insider | Guest
    callee: Insider | Guest
    media: tuple[str, ...]
    grant: Grant
    caller_connection: ConnectionId
    callee_connection: ConnectionId | None = None
    """Known once accepted: the one connection of the callee that answered."""
    state: CallState = CallState.RINGING
    offer_from: PartyId | None = None
    """Whose offer is in flight; at most one (NEGOTIATION_BUSY)."""
    own_relayed: dict[PartyId, set[tuple[str, int]]] = field(default_factory=dict)
    """Each party's live relayed addresses, the only candidates it may name."""
    allocations: int = 0
    """How many relayed addresses both parties were given so far."""
    recorded_relayed: set[tuple[str, int]] = field(default_factory=set)
    """The live ones of which there is a record."""
    removed_candidates: int = 0
    refused_signals: int = 0
    """Descriptions and candidates of both parties that were refused, on record or not."""

    def step(self, event: CallEvent) -> CallState | None:
        """The state after `event`; raises WrongStateError when the table has no such row."""
        try:
            return TRANSITIONS[(self.state, event)]
        except KeyError:
            raise WrongStateError(f"{event} in {self.state}") from None

    def other(self, party: PartyId) -> PartyId:
        """The counterpart of `party`."""
        first, second = self.grant.parties
        return second if party == first else first

    def connection_of(self, party: PartyId) -> ConnectionId | None:
        """The connection that carries this call for `party`."""
        return self.caller_connection if party == self.caller.party else self.callee_connection


@dataclass(frozen=True, slots=True)
class EndingCall:
    """A call whose rows are being removed; its record closes with the relay's last counters."""

    call: Call
    reason: EndReason
    ended_by: PartyId | None
