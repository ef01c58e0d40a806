"""Presence: who may see whom, decided when a person appears and kept in memory until they leave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from auth.principal import Insider, PartyId
from broker.audit.record import Draft, JsonValue
from broker.core.client_frames import PresenceSet
from broker.core.clock import Now
from broker.core.commands import Answer, Command, OpeningEffect, Show, Tell
from broker.core.frame_fields import ShownStatus
from broker.core.frames import ContactGone, PlainFrame, PresenceChanged, PresenceStatus
from broker.core.house import HIDDEN_STATUS, Connection, House
from broker.core.reach import ask_everywhere, hindrance, places, verdict
from broker.core.recording import draft
from broker.policy.decision import Decision
from config.policy.action import Action


def visible_people(
    house: House, connection: Connection, people: tuple[Insider, ...], now: Now
) -> list[tuple[Insider, Decision]]:
    """The insiders this connection's person may see, each with the decision that says so."""
    seen: list[tuple[Insider, Decision]] = []
    for person in people:
        if person.party == connection.party:
            continue
        theirs = places(house, person)
        decision = verdict(ask_everywhere(house, Action.PRESENCE_SEE, [connection.subject], theirs, now))
        if decision.allowed:
            seen.append((person, decision))
    return seen


PEOPLE_PER_RECORD = 64
MAX_SUMMARY_RULES = 8
"""With it, what is recorded of one person stays under 800 bytes."""


@dataclass(frozen=True, slots=True)
class Appearance:
    """To whom a newly connected insider appears, with the decisions that say so, and who loses sight."""

    shown: tuple[OpeningEffect, ...]
    viewers: tuple[tuple[PartyId, Decision], ...]
    gone: tuple[Tell, ...]


def appear(house: House, connection: Connection, now: Now) -> Appearance:
    """Show a newly connected insider to every connected person who may see them now: insiders, and the guests
    whom they let in."""
    shown: list[OpeningEffect] = []
    viewers: list[tuple[PartyId, Decision]] = []
    gone: list[Tell] = []
    for viewer in house.connections.values():
        ready = viewer.program is not None and not viewer.closing and viewer.party != connection.party
        if not ready or hindrance(house, viewer.principal, connection.principal) is not None:
            continue
        theirs = places(house, connection.principal)
        decision = verdict(ask_everywhere(house, Action.PRESENCE_SEE, [viewer.subject], theirs, now))
        saw = connection.party in viewer.sees
        viewer.let_see(connection.party, decision)
        if decision.allowed:
            contact = house.contact_for(viewer, connection.principal)
            shown.append(Show(viewer.connection_id, PresenceChanged(contact=contact)))
            viewers.append((viewer.party, decision))
        elif saw:
            gone.append(Tell(viewer.connection_id, lost_sight(viewer, connection.party)))
    return Appearance(tuple(shown), tuple(viewers), tuple(gone))


def lost_sight(viewer: Connection, party: PartyId) -> PlainFrame:
    """A guest keeps their host, with a status that says nothing."""
    if isinstance(viewer.principal, Insider):
        return ContactGone(party=party)
    return PresenceStatus(party=party, status=HIDDEN_STATUS)


def presence_opened(
    connection: Connection,
    basis: Decision,
    sees: Sequence[tuple[PartyId, Decision]],
    shown_to: Sequence[tuple[PartyId, Decision]],
) -> tuple[Draft, ...]:
    """The record of whom this connection sees and who sees it, in as many parts as its size asks for."""
    people = [("sees", *one) for one in sees] + [("shown_to", *one) for one in shown_to]
    parts = range(0, max(1, len(people)), PEOPLE_PER_RECORD)
    return tuple(
        draft(
            "presence.opened",
            connection.connection_id,
            basis=(basis,) if first == 0 else (),
            program=connection.program.model_dump() if connection.program else None,
            part=part,
            parts=len(parts),
            sees=_summaries(people[first : first + PEOPLE_PER_RECORD], "sees"),
            shown_to=_summaries(people[first : first + PEOPLE_PER_RECORD], "shown_to"),
        )
        for part, first in enumerate(parts, start=1)
    )


def presence_narrowed(viewer: Connection, lost: Sequence[tuple[PartyId, Decision]]) -> Draft:
    """The record of whom this connection sees no more, or less of, each with the decision that says so."""
    kept = lost[:PEOPLE_PER_RECORD]
    return draft(
        "presence.narrowed",
        viewer.connection_id,
        party=viewer.party,
        lost=_summaries([("lost", *one) for one in kept], "lost"),
        lost_omitted=len(lost) - len(kept),
    )


def _summaries(people: Sequence[tuple[str, PartyId, Decision]], role: str) -> JsonValue:
    return [
        {
            "party": party,
            "decision": decision.id,
            "rules": list(decision.determining_rules[:MAX_SUMMARY_RULES]),
            "rules_omitted": max(0, len(decision.determining_rules) - MAX_SUMMARY_RULES),
        }
        for its_role, party, decision in people
        if its_role == role
    ]


def set_status(house: House, connection: Connection, frame: PresenceSet, now: Now) -> list[Command]:
    """The person says how reachable they are."""
    before = house.status_of(connection.party)
    connection.status = frame.status
    after = house.status_of(connection.party)
    told = tell_viewers(house, connection.party, before, after)
    return [Answer(told, connection.connection_id)] if told else []


def tell_viewers(house: House, party: PartyId, before: ShownStatus, after: ShownStatus) -> tuple[Tell, ...]:
    """The new status to everyone who is being shown this party, as far as they see it change."""
    if before == after:
        return ()
    return tuple(
        Tell(viewer.connection_id, PresenceStatus(party=party, status=viewer.sight_of(party, after)))
        for viewer in house.connections.values()
        if not viewer.closing and viewer.sight_of(party, before) != viewer.sight_of(party, after)
    )
