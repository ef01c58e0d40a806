"""A session as the relay sees it: whose allocations may reach whose, at which address, with what media."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from relay.turn.address_pool import PortPool
from relay.vocabulary import Address

if TYPE_CHECKING:
    from relay.turn.allocation import Allocation


@dataclass(slots=True, eq=False)
class Session:
    session_id: str
    ports: PortPool
    parties: tuple[str, str] | None
    """Who may allocate; None where the credential alone decides."""
    expires_at: float | None
    """Unix seconds; None for a session that ends with its last allocation."""
    payload_types: dict[str, frozenset[int]] | None
    """By the party that may send them; None where nobody has seen a negotiation."""
    audio_payload_types: dict[str, frozenset[int]] = field(default_factory=dict)
    same_party_may_meet: bool = False
    was_used: bool = False
    """Whether anybody ever allocated in it; otherwise nobody needs to hear of its end."""
    ip: str | None = None
    """From the first allocation on."""
    allocations: dict[Address, Allocation] = field(default_factory=dict)

    def counted_as(self, party: str) -> str:
        """The name that a party's packets are counted under: one for all where anybody may meet anybody."""
        return self.session_id if self.same_party_may_meet else party

    def allow(self, party: str, payload_types: frozenset[int], audio: frozenset[int]) -> None:
        """This party may send these, and no others."""
        self.payload_types = {**(self.payload_types or {}), party: payload_types}
        self.audio_payload_types[party] = audio

    def stop(self, party: str, payload_types: frozenset[int]) -> None:
        """This party may send these no more."""
        allowed = self.carries_from(party)
        if allowed is not None:
            audio = self.audio_payload_types.get(party, frozenset())
            self.allow(party, allowed - payload_types, audio - payload_types)

    def carries_from(self, party: str) -> frozenset[int] | None:
        """The payload types that this party may send; None for any."""
        return None if self.payload_types is None else self.payload_types.get(party, frozenset())

    def reachable(self, sender: Allocation, peer: Address) -> Allocation | None:
        """The live allocation behind a peer address, if this sender may reach it."""
        receiver = self.allocations.get(peer)
        if receiver is None or receiver is sender or receiver.session is not sender.session:
            return None
        if receiver.party == sender.party and not self.same_party_may_meet:
            return None
        return receiver
