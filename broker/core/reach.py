"""Reach: who can be addressed at all, before policy is asked what may be done with them.

A guest reaches only the insider who invited them, and neither reaches the other before the host has let the
guest in.
"""

from __future__ import annotations

from auth.principal import Guest, Insider
from broker.core.errors import PEER_UNREACHABLE, STILL_IN_LOBBY, ErrorRow
from broker.core.house import House
from broker.policy.decide import Subject


def counterpart_subject(house: House, principal: Insider | Guest) -> Subject:
    """The counterpart as policy sees them: with the source of one of their connections when there is one."""
    connection = next(house.of_party(principal.party), None)
    return Subject(principal, connection.source.reveal() if connection else None)


def hindrance(house: House, actor: Insider | Guest, counterpart: Insider | Guest) -> ErrorRow | None:
    """Why the counterpart is out of the actor's reach; None when they are not. Insiders always reach each
    other."""
    for guest, host in ((actor, counterpart), (counterpart, actor)):
        if not isinstance(guest, Guest):
            continue
        visit = house.visits.get(guest.party)
        if guest.invited_by != host.party or visit is None:
            return PEER_UNREACHABLE
        if not visit.admitted:
            return STILL_IN_LOBBY if guest is actor else PEER_UNREACHABLE
    return None
