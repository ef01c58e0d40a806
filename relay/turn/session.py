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
    payload_types: frozenset[int] | None
    audio_payload_types: frozenset[int] = frozenset()
    same_party_may_meet: bool = False
    was_used: bool = False
    """Whether anybody ever allocated in it; otherwise nobody needs to hear of its end."""
    ip: str | None = None
    """From the first allocation on."""
    allocations: dict[Address, Allocation] = field(default_factory=dict)

    def counted_as(self, party: str) -> str:
        """The name that a party's packets are counted under: one for all where anybody may meet anybody."""
        return self.session_id if self.same_party_may_meet else party

    def reachable(self, sender: Allocation, peer: Address) -> Allocation | None:
        """The live allocation behind a peer address, if this sender may reach it."""
        receiver = self.allocations.get(peer)
        if receiver is None or receiver is sender or receiver.session is not sender.session:
            return None
        if receiver.party == sender.party and not self.same_party_may_meet:
            return None
        return receiver
