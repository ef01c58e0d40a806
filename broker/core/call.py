"""Call: one caller, one callee, and the states between the invitation and the end.

The lifecycle is the table below; whatever is not in it is CALL_STATE to the client that asked. The end is not
a state: an ended call leaves the house, and lives on as an EndingCall only until the relay has reported its
last counters.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from auth.principal import Guest, Insider, PartyId
from broker.core.commands import ConnectionId
from broker.core.frame_fields import EndReason
from broker.core.gate import Grant
from broker.core.sdp import Medium
from broker.policy.decision import Decision

if TYPE_CHECKING:
    from broker.core.bandwidth import Flow


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


@dataclass(frozen=True, slots=True)
class Share:
    """One party shows its screen. The scope is the grant's session id: what stands on it ends with it."""

    party: PartyId
    grant: Grant
    opened_at_unix_seconds: int


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
    answer_decisions: tuple[Decision, ...] = ()
    """The same questions as those of the grant, asked of where the callee answered."""
    reviewed: tuple[Decision, ...] = ()
    """The same questions once more, as the last review of the call answered them."""
    opened_at_unix_seconds: int = 0
    state: CallState = CallState.RINGING
    bits_per_second: int | None = None
    """Of what each party may send: the strictest of every rule that allowed anything in this call."""
    flows: tuple[object, tuple[Flow, ...]] | None = None
    """What limits of bandwidth are about in it, and what that was made of (`bandwidth.flows`)."""
    rates: dict[PartyId, dict[str, int]] = field(default_factory=dict)
    """What each party was last told that it may send, by medium; nothing where nothing limits it."""
    share: Share | None = None
    """At most one screen is shown at a time."""
    had_share: bool = False
    """From the first one on, descriptions have a section for the screen, which can never leave them again."""
    screen_payload_types: frozenset[int] = frozenset()
    """What the sharing party may send for nothing but its screen."""
    offer_from: PartyId | None = None
    """Whose offer is in flight; at most one (NEGOTIATION_BUSY)."""
    offered: tuple[Medium, ...] = ()
    """What that offer says, once rebuilt."""
    own_relayed: dict[PartyId, set[tuple[str, int]]] = field(default_factory=dict)
    """Each party's live relayed addresses, the only candidates it may name."""
    allocations: int = 0
    """How many relayed addresses both parties were given so far."""
    recorded_relayed: set[tuple[str, int]] = field(default_factory=set)
    """The live ones of which there is a record."""
    transports: dict[PartyId, str] = field(default_factory=dict)
    """How each party reaches the relay, by its newest allocation: udp, tcp or tls."""
    removed_candidates: int = 0
    refused_signals: int = 0
    """Descriptions and candidates of both parties that were refused, on record or not."""

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """All that let it be."""
        return (*self.grant.decisions, *self.answer_decisions, *self.reviewed)

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

    @property
    def sharing(self) -> PartyId | None:
        """Who shows their screen now."""
        return self.share.party if self.share is not None else None

    def connection_of(self, party: PartyId) -> ConnectionId | None:
        """The connection that carries this call for `party`."""
        return self.caller_connection if party == self.caller.party else self.callee_connection


@dataclass(frozen=True, slots=True)
class EndingCall:
    """A call whose rows are being removed; its record closes with the relay's last counters."""

    call: Call
    reason: EndReason
    ended_by: PartyId | None
