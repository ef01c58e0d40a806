"""People: what the directory says of everybody who has something open, and what ends when it says that they
may no longer, or says nothing at all.

Whoever is disabled loses everything at once. Whoever has vanished does so too, unless very many have at once:
then it is rather the directory, or somebody's filter, that is wrong, and somebody has to look.
"""

from __future__ import annotations

from collections.abc import Mapping, Set

from auth.principal import Insider, PartyId
from broker.core import administration, calling, leaving, review, signing_in, visit
from broker.core.clock import Deadline, Now
from broker.core.commands import Answer, Command, Narrowing, Tell
from broker.core.errors import ACCESS_ENDED, DIRECTORY_SILENT, ErrorRow
from broker.core.events import DirectorySilent, PeopleRead
from broker.core.frame_fields import EndReason
from broker.core.house import Connection, House
from broker.core.presence import lost_sight

MAY_ALWAYS_VANISH = 5
"""So many people at once are no mass removal, whatever their part of all."""
SLICE = 64
"""People who lose what they have open within one event, once the directory has been silent for too long."""


def people_read(house: House, event: PeopleRead, now: Now) -> list[Command]:
    """The directory answered."""
    house.directory_silent = None
    house.silenced.clear()
    reasons = {party: f"account_{state}" for party, state in event.ended}
    most = max(MAY_ALWAYS_VANISH, event.asked * house.rules.max_vanished_percent // 100)
    house.vanished = len(event.vanished) if len(event.vanished) > most else 0
    if not house.vanished:
        reasons |= dict.fromkeys(event.vanished, "account_removed")
    commands = _access_ended(house, reasons, now)
    changed = {person.party: person for person in event.changed}
    house.people.update(changed)
    for connection in house.connections.values() if changed else ():
        connection.principal = changed.get(connection.party, connection.principal)
        host = review.host_of(connection)
        if host is not None:
            connection.host = changed.get(host, connection.host)
    return [*commands, *review.of_parties(house, changed.keys(), now)]


def directory_silent(house: House, event: DirectorySilent, now: Now) -> list[Command]:
    """It did not answer: what is open goes on for the grace of the settings."""
    if house.directory_silent is None:
        house.directory_silent = now.monotonic_seconds
        house.deadlines.add(now, house.rules.directory_grace_seconds, "directory.grace", "")
    return []


def grace_over(house: House, deadline: Deadline, now: Now) -> list[Command]:
    """Nobody can say any longer who may have something open: everybody of the directory loses it, some at a
    time. They may sign in again, or come back with the sign-in they have, once it answers."""
    since = house.directory_silent
    if since is None or now.monotonic_seconds - since < house.rules.directory_grace_seconds:
        return []  # it answered in between
    present = [c.party for c in house.connections.values() if isinstance(c.principal, Insider)]
    hosts = [one.guest.invited_by for one in house.visits.values()]
    house.silenced.extend(dict.fromkeys([*present, *hosts]))
    return next_silenced(house, deadline, now)


def next_silenced(house: House, deadline: Deadline, now: Now) -> list[Command]:
    """Some more of them."""
    some = frozenset(house.silenced.popleft() for _ in range(min(SLICE, len(house.silenced))))
    if house.silenced:
        house.deadlines.add(now, 0, "directory.slice", "")
    return _everything_ends(house, some, "directory_silent", DIRECTORY_SILENT, now)


def _access_ended(house: House, reasons: Mapping[PartyId, str], now: Now) -> list[Command]:
    """These people may use the edge no more: neither they nor whom they let in, and nobody sees them."""
    commands = _everything_ends(house, reasons.keys(), "access_ended", ACCESS_ENDED, now)
    for party, reason in reasons.items():
        house.people.pop(party, None)
        for own in house.sign_ins_of(party):
            commands += signing_in.end(house, own, reason, ACCESS_ENDED)
    return commands


def _everything_ends(
    house: House, parties: Set[PartyId], reason: EndReason, row: ErrorRow, now: Now
) -> list[Command]:
    """Media first, of all of them. However many they are, everything is gone through once."""
    if not parties:
        return []
    commands: list[Command] = []
    for call in list(house.calls.values()):
        ended_by = next((party for party in call.grant.parties if party in parties), None)
        if ended_by is not None:
            commands.append(calling.end(house, call, reason, ended_by))
    for party in parties:
        for connection in _connections(house, party):
            commands += leaving.close(house, connection, row)
        commands += administration.end_all_of(house, party, reason)
    for own_visit in [v for v in house.visits.values() if v.guest.invited_by in parties]:
        commands += visit.end(house, own_visit, "host_gone", now)
    for viewer in [c for c in house.connections.values() if not c.closing]:
        for party in sorted(viewer.sees & parties):
            viewer.lose_sight_of(party)
            told = (Tell(viewer.connection_id, lost_sight(viewer, party)),)
            commands += [Narrowing((), told), Answer(told, viewer.connection_id)]
    return commands


def watched(house: House) -> dict[PartyId, Insider | None]:
    """Everybody whose being in the directory matters to something open, as last told of; None for whoever
    has nothing but a sign-in."""
    found: dict[PartyId, Insider | None] = dict.fromkeys(house.tokens_of)
    found.update(house.people)
    for connection in house.connections.values():
        for person in (connection.principal, connection.host):
            if isinstance(person, Insider):
                found[person.party] = person
    return found


def _connections(house: House, party: PartyId) -> list[Connection]:
    return [house.connections[connection_id] for connection_id in house.by_party.get(party, ())]
