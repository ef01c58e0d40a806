"""Reach: who can be addressed at all, before policy is asked what may be done with them.

A guest reaches only the insider who invited them, and neither reaches the other before the host has let the
guest in.
"""

from __future__ import annotations

from collections.abc import Sequence

from auth.principal import Guest, Insider
from broker.core.clock import Now
from broker.core.errors import PEER_UNREACHABLE, STILL_IN_LOBBY, ErrorRow
from broker.core.house import Connection, House
from broker.policy.decision import Decision
from broker.policy.question import Subject
from config.policy.action import Action


def places(house: House, principal: Insider | Guest) -> list[Subject]:
    """The party as policy sees them: once for every address they are connected from, once without any when
    they are not connected."""
    sources = dict.fromkeys(connection.source.reveal() for connection in house.of_party(principal.party))
    return [Subject(principal, source) for source in sources] or [Subject(principal, None)]


def ask_everywhere(
    house: House, action: Action, actor: Sequence[Subject], counterpart: Sequence[Subject], now: Now
) -> tuple[Decision, ...]:
    """Ask for every pair of places. Either all of them allow, and every limit among them holds, or the answer
    is the one denial: what reaches a person reaches all of their connections, one in a zone of high
    sensitivity included."""
    decisions = []
    for one in actor:
        for other in counterpart:
            decision = house.gate.ask(action, one, other, now)
            if not decision.allowed:
                return (decision,)
            decisions.append(decision)
    return tuple(decisions)


def ask_entry(house: House, connection: Connection, now: Now) -> Decision | None:
    """Whether this connection's person may be here; None for a guest whose host the directory no longer
    has."""
    if isinstance(connection.principal, Insider):
        return house.gate.ask(Action.EDGE_SIGNIN, connection.subject, None, now)
    if connection.host is None:
        return None
    host = places(house, connection.host)
    decision = verdict(ask_everywhere(house, Action.EDGE_JOIN, [connection.subject], host, now))
    visit = house.visits.get(connection.party)
    if not decision.allowed or visit is None or not visit.admitted:
        return decision
    # Whoever was let in is here by that too.
    return denial_in(ask_everywhere(house, Action.GUEST_ADMIT, host, [connection.subject], now)) or decision


def verdict(decisions: Sequence[Decision]) -> Decision:
    """One decision for all of them, where their limits do not matter: the denial, or the allow that obliges
    most."""
    return denial_in(decisions) or max(reversed(decisions), key=lambda decision: len(decision.obligations))


def denial_in(decisions: Sequence[Decision]) -> Decision | None:
    """The decision that denies, if one does."""
    return next((decision for decision in decisions if not decision.allowed), None)


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
