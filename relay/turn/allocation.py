"""An allocation (RFC 8656 section 3.2), with its permission and channels."""

from __future__ import annotations

from dataclasses import dataclass, field

from relay.credentials import ClaimedName
from relay.stun.integrity import PasswordAlgorithm
from relay.turn.refusal import Seal
from relay.turn.session import Session
from relay.vocabulary import Address, FiveTuple, Leg, Route

PERMISSION_LIFETIME_SECONDS = 300
CHANNEL_LIFETIME_SECONDS = 600


@dataclass(slots=True)
class Channel:
    peer: Address
    expires_at: float


@dataclass(slots=True)
class Held:
    """A payload that came before its receiver permitted the sender."""

    payload: bytes
    until: float


@dataclass(slots=True, eq=False)
class Allocation:
    """Times are monotonic seconds.

    RFC 8656 keeps permissions by IP address. The one address that can be permitted is the session's, so
    that all of them are a single time here.
    """

    five_tuple: FiveTuple
    username: bytes
    claim: ClaimedName
    """What the username says."""
    seal: Seal
    """Of the Allocate request: what its answer was sealed with."""
    algorithm: PasswordAlgorithm
    """By which the key was made."""
    session: Session
    party: str
    relayed: Address
    transaction_id: bytes
    """Of the Allocate request, to know its retransmissions."""
    expires_at: float
    response: bytes = b""
    permitted_until: float = 0.0
    channels: dict[int, Channel] = field(default_factory=dict)
    channel_to: dict[Address, int] = field(default_factory=dict)
    addressed: set[Address] = field(default_factory=set)
    """Peers it has named in Send indications."""
    installed: dict[int | Address, Route] = field(default_factory=dict)
    """Rows in the plane, by the form of their source leg."""
    senders: set[Allocation] = field(default_factory=set)
    """Allocations that have a channel to this one, or have named it in a Send indication."""
    held: dict[Leg, list[Held]] = field(default_factory=dict)
    next_expiry: float = 0.0
    """Nothing of it expires before; 0 when not known."""

    def permits(self, now: float) -> bool:
        """Whether it wants to hear from its session."""
        return now < self.permitted_until

    def leg(self, form: int | Address) -> Leg:
        return Leg(self.five_tuple, form)

    def forms_towards(self, peer: Address) -> list[int | Address]:
        """In which forms it sends to this peer."""
        forms: list[int | Address] = []
        if peer in self.channel_to:
            forms.append(self.channel_to[peer])
        if peer in self.addressed:
            forms.append(peer)
        return forms

    def earliest_expiry(self, now: float) -> float:
        times = [self.expires_at, *(channel.expires_at for channel in self.channels.values())]
        if self.permits(now):
            times.append(self.permitted_until)
        times.extend(held[0].until for held in self.held.values())
        return min(times)
