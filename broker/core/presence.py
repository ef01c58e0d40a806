"""Presence: who may see whom, decided when a person appears and kept in memory until they leave."""

from __future__ import annotations

from auth.principal import Insider, PartyId
from broker.core.clock import Now
from broker.core.commands import Answer, Command, OpeningEffect, Show, Tell
from broker.core.frames import PresenceChanged, PresenceSet, PresenceStatus, ShownStatus
from broker.core.house import Connection, House
from broker.core.reach import counterpart_subject
from broker.policy.decision import Decision
from config.policy import Action


def visible_people(
    house: House, connection: Connection, people: tuple[Insider, ...], now: Now
) -> tuple[list[Insider], list[Decision]]:
    """The insiders this connection's person may see, with the decisions that say so."""
    seen: list[Insider] = []
    decisions: list[Decision] = []
    for person in people:
        if person.party == connection.party:
            continue
        subject = counterpart_subject(house, person)
        decision = house.gate.ask(Action.PRESENCE_SEE, connection.subject, subject, now)
        if decision.allowed:
            seen.append(person)
            decisions.append(decision)
    return seen, decisions


def appear(
    house: House, connection: Connection, now: Now
) -> tuple[tuple[OpeningEffect, ...], list[PartyId], list[Decision]]:
    """Show a newly connected insider to every connected insider who may see them: effects, viewers,
    decisions."""
    effects: list[OpeningEffect] = []
    viewers: list[PartyId] = []
    decisions: list[Decision] = []
    if not isinstance(connection.principal, Insider):
        return (), [], []
    frame = PresenceChanged(contact=house.contact(connection.principal))
    for viewer in house.connections.values():
        ready = viewer.program is not None and not viewer.closing and viewer.party != connection.party
        if not ready or not isinstance(viewer.principal, Insider):
            continue
        decision = house.gate.ask(Action.PRESENCE_SEE, viewer.subject, connection.subject, now)
        if not decision.allowed:
            continue
        viewer.sees.add(connection.party)
        effects.append(Show(viewer.connection_id, frame))
        viewers.append(viewer.party)
        decisions.append(decision)
    return tuple(effects), viewers, decisions


def set_status(house: House, connection: Connection, frame: PresenceSet, now: Now) -> list[Command]:
    """The person says how reachable they are."""
    before = house.status_of(connection.party)
    connection.status = frame.status
    after = house.status_of(connection.party)
    return [Answer(tell_viewers(house, connection.party, after))] if after != before else []


def tell_viewers(house: House, party: PartyId, status: ShownStatus) -> tuple[Tell, ...]:
    """The status to everyone who is being shown this party."""
    frame = PresenceStatus(party=party, status=status)
    return tuple(
        Tell(viewer.connection_id, frame)
        for viewer in house.connections.values()
        if party in viewer.sees and not viewer.closing
    )
