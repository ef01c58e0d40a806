"""Reach: who can be addressed at all, before policy is asked what may be done with them.

A guest reaches only the insider who invited them, and neither reaches the other before the host has let the
guest in.
"""

from __future__ import annotations

from auth.principal import Guest, Insider
from broker.core.house import House
from broker.policy.decide import Subject


def counterpart_subject(house: House, principal: Insider | Guest) -> Subject:
    """The counterpart as policy sees them: with the source of one of their connections when there is one."""
    connection = next(house.of_party(principal.party), None)
    return Subject(principal, connection.source.reveal() if connection else None)


def within_reach(house: House, one: Insider | Guest, other: Insider | Guest) -> bool:
    """Whether an outsider on either side has been let in. Insiders are always within each other's reach."""
    guests = [principal for principal in (one, other) if isinstance(principal, Guest)]
    return all(guest.party in house.visits and house.visits[guest.party].admitted for guest in guests)
