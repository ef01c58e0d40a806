"""Outage: what the core does while the record cannot be written, and the aggregated record of refused
strangers.

Nothing new opens (each opening fails at its commit and is answered so). Calls admitted before go on for
`outage_grace_seconds`, then end.
"""

from __future__ import annotations

from auth.principal import PartyId
from broker.core import (
    administration,
    calling,
    emergency,
    invitation_list,
    security_key,
    sharing,
    signing_in,
    visit,
)
from broker.core.clock import Deadline, Now
from broker.core.commands import CloseConnection, Command, ConnectionId, Narrowing, Note
from broker.core.errors import AUDIT_UNAVAILABLE
from broker.core.events import CommitFailed, EntryRefused, RecordResumed
from broker.core.house import House
from broker.core.recording import draft
from broker.core.refusals import FLUSH_SECONDS


def commit_failed(house: House, event: CommitFailed, now: Now) -> list[Command]:
    """Take back what never opened: the scopes of the failed batch are dropped, no other is touched."""
    commands: list[Command] = []
    if event.outage and house.outage_since is None:
        house.outage_since = now.monotonic_seconds
        house.deadlines.add(now, house.rules.outage_grace_seconds, "outage.grace", str(now.monotonic_seconds))
        commands.append(Narrowing(records=(draft("record.unavailable"),)))
        commands.append(administration.forget_views(house))
    # Shares last: of one whose call ends too, the end of the call says it.
    for scope in sorted(event.scopes, key=lambda one: sharing.call_sharing_in(house, one) is not None):
        commands.extend(_drop(house, scope, now))
    return commands


def _drop(house: House, scope: str, now: Now) -> list[Command]:
    call = house.calls.get(scope)
    if call is not None:
        return [calling.end(house, call, "record_unavailable", None)]
    invitation = house.invitations.get(scope)
    if invitation is not None:
        return [Narrowing((), invitation_list.take_back(house, invitation))]
    sharing_call = sharing.call_sharing_in(house, scope)
    if sharing_call is not None:
        return sharing.end_share(house, sharing_call, "record_unavailable")
    administration.take_back(house, scope)
    security_key.take_back(house, scope)
    signing_in.forget(house, scope)
    emergency.take_back(house, scope)
    failed_visit = house.visits.get(PartyId(scope))
    if failed_visit is not None:
        redeemed = house.invitations.get(failed_visit.guest.invitation_id)
        if redeemed is not None and not failed_visit.admitted:
            invitation_list.give_back(house, redeemed)
        return visit.end(house, failed_visit, "record_unavailable", now)
    connection = house.connections.get(ConnectionId(scope))
    if connection is None or connection.closing:
        return []
    # Nobody was shown this person by a hello that failed: there is nobody to tell that they are gone.
    connection.closing = True
    closed = Narrowing((scope,), (CloseConnection(connection.connection_id, AUDIT_UNAVAILABLE),))
    return [closed, *calling.connection_left(house, connection)]


def record_resumed(house: House, event: RecordResumed, now: Now) -> list[Command]:
    """The record can be written again."""
    if house.outage_since is None:
        return []
    seconds = int(now.monotonic_seconds - house.outage_since)
    house.outage_since = None
    return [Note((draft("record.resumed", outage_seconds=seconds, entries_missed=event.missed),))]


def grace_over(house: House, deadline: Deadline, now: Now) -> list[Command]:
    """The outage outlasted the grace: admitted calls end too."""
    if house.outage_since is None or str(house.outage_since) != deadline.key:
        return []
    return [calling.end(house, call, "record_unavailable", None) for call in list(house.calls.values())]


def count_refusal(house: House, event: EntryRefused, now: Now) -> list[Command]:
    """Count a stranger's refusal; the first one since the last flush starts the minute."""
    house.refusals.count(event.kind, event.code, event.prefix, event.count)
    _flush_later(house, now)
    return []


def _flush_later(house: House, now: Now) -> None:
    if not house.flush_is_due:
        house.flush_is_due = True
        house.deadlines.add(now, FLUSH_SECONDS, "refusals.flush", "")


def flush_refusals(house: House, deadline: Deadline, now: Now) -> list[Command]:
    """One record for each source prefix, kind and code of the past minute."""
    house.flush_is_due = False
    counts = house.refusals.counts()
    house.floods = {kind for kind, count in counts.items() if count >= house.rules.flood_refusals_per_minute}
    if house.floods:  # whether it goes on is seen in a minute, also when nobody comes any more
        _flush_later(house, now)
    records = house.refusals.flush()
    return [Note(records)] if records else []
