"""Visit: a guest from the redeemed invitation to the end, through the lobby where the host lets them in."""

from __future__ import annotations

from auth.principal import Guest, Insider, PartyId
from broker.core import calling
from broker.core.answers import deny, refuse, unrecorded
from broker.core.client_frames import LobbyAdmit, LobbyAdmitAll, LobbyRefuse
from broker.core.clock import Deadline, Now
from broker.core.commands import (
    CloseConnection,
    Command,
    EndVisit,
    Narrowing,
    NarrowingEffect,
    OpeningEffect,
    PlainEffect,
    ReadUndelivered,
    SaveVisit,
    Show,
    Tell,
)
from broker.core.errors import SIGNED_OUT, UNKNOWN_GUEST
from broker.core.frames import (
    Contact,
    ContactGone,
    GuestWelcome,
    LobbyAdmitted,
    LobbyLeft,
    LobbyRefused,
    LobbyWaiting,
    PresenceChanged,
    WaitingGuest,
)
from broker.core.house import Connection, House, Visit
from broker.core.invitation_list import guest_left
from broker.core.presence import presence_opened
from broker.core.reach import ask_everywhere, denial_in, places, verdict
from broker.core.recording import draft, named
from broker.policy.decision import Decision
from config.policy.action import Action


def waiting(house: House, visit: Visit) -> WaitingGuest:
    """The guest as the host sees them in the lobby."""
    guest = visit.guest
    invitation = house.invitations.get(guest.invitation_id)
    return WaitingGuest(
        guest=house.contact(guest),
        invitation_id=guest.invitation_id,
        guest_email=guest.email.reveal() if guest.email is not None else None,
        purpose=invitation.purpose.reveal() if invitation is not None else None,
    )


def of_token(house: House, token_digest: str) -> Visit | None:
    """Whose visit this token stands for."""
    return next((v for v in house.visits.values() if v.token_digest == token_digest), None)


def lobby_of(house: House, host: PartyId) -> list[Visit]:
    """Guests of this host who are connected and not let in yet."""
    return [
        v
        for v in house.visits.values()
        if v.guest.invited_by == host and not v.admitted and _present(house, v)
    ]


def guests_of(house: House, host: PartyId) -> list[Visit]:
    """Guests of this host who have been let in, connected or not."""
    return [v for v in house.visits.values() if v.guest.invited_by == host and v.admitted]


def may_be_with(house: House, connection: Connection, now: Now) -> frozenset[PartyId]:
    """Those of this host's guests who may be with them where this connection is. A connection in a zone of
    high sensitivity is shown none."""
    own = [v.guest for v in house.visits.values() if v.guest.invited_by == connection.party]
    return frozenset(
        guest.party
        for guest in own
        if not denial_in(
            ask_everywhere(house, Action.EDGE_JOIN, places(house, guest), [connection.subject], now)
        )
    )


def _present(house: House, visit: Visit) -> bool:
    return any(house.of_party(visit.guest.party))


def welcome(
    house: House, connection: Connection, host: Insider | None, basis: Decision, now: Now
) -> list[Command]:
    """A guest's connection said hello: to the lobby, or back to the host who had let them in."""
    visit = house.visits[connection.party]
    effects: list[OpeningEffect] = []
    then: tuple[PlainEffect, ...] = ()
    shown_host: Contact | None = None
    seen: list[tuple[PartyId, Decision]] = []
    if visit.admitted and host is not None:
        seen = _see_host(house, connection, host, now)
        shown_host = house.contact_for(connection, host)
        back = PresenceChanged(contact=house.contact(visit.guest))
        effects.extend(house.show(host.party, back))
        then = (ReadUndelivered(connection.connection_id, connection.party),)
    elif not visit.admitted:
        effects.extend(house.show(visit.guest.invited_by, LobbyWaiting(waiting=waiting(house, visit))))
    you = house.contact(visit.guest).model_copy(update={"invited_as": None})  # the host's own words
    frame = GuestWelcome(you=you, notice=house.rules.guest_notice, host=shown_host)
    effects.insert(0, Show(connection.connection_id, frame))
    return [
        house.gate.opening(
            connection.connection_id,
            (basis, *(decision for _, decision in seen)),
            presence_opened(connection, basis, seen, [(visit.guest.invited_by, basis)]),
            tuple(effects),
            on_failure=unrecorded(connection.connection_id),
            then=then,
        )
    ]


def _see_host(
    house: House, connection: Connection, host: Insider, now: Now
) -> list[tuple[PartyId, Decision]]:
    """Whether this guest may see how reachable their host is, on this connection and their others, with the
    decision if they may."""
    guest = connection.principal
    seen = ask_everywhere(
        house, Action.PRESENCE_SEE, [connection.subject, *places(house, guest)], places(house, host), now
    )
    decision = verdict(seen)
    for guest_side in (connection, *house.of_party(guest.party)):
        guest_side.let_see(host.party, decision)
    return [(host.party, decision)] if decision.allowed else []


def admit(house: House, connection: Connection, frame: LobbyAdmit, now: Now) -> list[Command]:
    """The host lets a waiting guest in."""
    visit = house.visits.get(PartyId(frame.guest))
    host = connection.principal
    if (
        visit is None
        or visit.admitted
        or visit.guest.invited_by != host.party
        or not isinstance(host, Insider)
    ):
        return refuse(connection.connection_id, UNKNOWN_GUEST)
    guest_connection = next(house.of_party(visit.guest.party), None)
    if guest_connection is None:
        return refuse(connection.connection_id, UNKNOWN_GUEST)
    guest = places(house, visit.guest)
    decision = verdict(ask_everywhere(house, Action.GUEST_ADMIT, [connection.subject], guest, now))
    if not decision.allowed:
        return deny(connection, decision, visit.guest.party)
    decisions = [decision, *(seen for _, seen in _see_host(house, guest_connection, host, now))]
    record = draft(
        "visit.admitted",
        visit.guest.party,
        basis=decisions,
        personal=named("host", host, connection.source)
        | named("guest", visit.guest, guest_connection.source),
        guest=visit.guest.party,
        host=host.party,
    )
    visit.admitted = True
    visit.decisions += (decision,)
    effects: list[OpeningEffect] = []
    for guest_side in house.of_party(visit.guest.party):
        shown = house.contact_for(guest_side, host)
        effects.append(Show(guest_side.connection_id, LobbyAdmitted(host=shown)))
    for host_side in house.of_party(host.party):
        host_side.sees.add(visit.guest.party)
    effects.extend(house.show(host.party, PresenceChanged(contact=house.contact(visit.guest))))
    return [
        house.gate.opening(
            visit.guest.party,
            decisions,
            (record,),
            tuple(effects),
            within=house.standing(connection),
            writes=(_row(visit),),
            on_failure=unrecorded(connection.connection_id),
            then=house.tell(host.party, LobbyLeft(guest=visit.guest.party)),
        )
    ]


def admit_all(house: House, connection: Connection, frame: LobbyAdmitAll, now: Now) -> list[Command]:
    """Each of them as if asked for alone: one who may not come in keeps nobody else out."""
    named_ones = set(frame.guests)
    there = [v.guest.party for v in lobby_of(house, connection.party) if v.guest.party in named_ones]
    if not there:
        return refuse(connection.connection_id, UNKNOWN_GUEST)
    return [command for party in there for command in admit(house, connection, LobbyAdmit(guest=party), now)]


def refuse_guest(house: House, connection: Connection, frame: LobbyRefuse, now: Now) -> list[Command]:
    """The host does not let a guest in, or shows them out."""
    visit = house.visits.get(PartyId(frame.guest))
    if visit is None or visit.guest.invited_by != connection.party:
        return refuse(connection.connection_id, UNKNOWN_GUEST)
    return end(house, visit, "shown_out" if visit.admitted else "refused_by_host", now)


def end(house: House, visit: Visit, reason: str, now: Now) -> list[Command]:
    """The visit is over: its calls end, its connections close, its cookie is worth nothing any more."""
    guest: Guest = visit.guest
    call = house.call_of(guest.party)
    commands: list[Command] = [calling.end(house, call, "party_left", None)] if call is not None else []
    waited = not visit.admitted and _present(house, visit)
    del house.visits[guest.party]
    scopes: list[str] = [guest.party]
    effects: list[NarrowingEffect] = []
    for connection in [house.connections[c] for c in house.by_party.get(guest.party, ())]:
        scopes.append(connection.connection_id)
        if not connection.closing:
            effects.append(Tell(connection.connection_id, LobbyRefused()))
            effects.append(CloseConnection(connection.connection_id, SIGNED_OUT))
            connection.closing = True
    for host_side in house.of_party(guest.invited_by):
        host_side.sees.discard(guest.party)
    if visit.admitted:
        effects.extend(house.tell(guest.invited_by, ContactGone(party=guest.party)))
    elif waited:
        effects.extend(house.tell(guest.invited_by, LobbyLeft(guest=guest.party)))
    told = guest_left(house, guest.invitation_id, now)
    # A visit that could not be recorded never began, and its host knows nothing of it.
    if visit.admitted or reason != "record_unavailable":
        effects.extend(told)
    record = draft(
        "visit.closed" if visit.admitted else "visit.refused",
        guest.party,
        personal=named("guest", guest),
        guest=guest.party,
        host=guest.invited_by,
        reason=reason,
    )
    commands.append(Narrowing(tuple(scopes), tuple(effects), (record,), (EndVisit(guest.party),)))
    return commands


def expired(house: House, deadline: Deadline, now: Now) -> list[Command]:
    """The visit's time is up."""
    visit = house.visits.get(PartyId(deadline.key))
    return end(house, visit, "expired", now) if visit is not None else []


def _row(visit: Visit) -> SaveVisit:
    guest = visit.guest
    return SaveVisit(
        guest.party,
        guest.name,
        guest.email,
        guest.invitation_id,
        guest.invited_by,
        visit.token_digest,
        visit.admitted,
        visit.expires_at_unix_seconds,
    )
