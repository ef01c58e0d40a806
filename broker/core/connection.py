"""Connection: sign-in, connect, hello, sign-out and the end of a connection."""

from __future__ import annotations

from auth.principal import Guest, Insider
from broker.audit.record import JsonValue
from broker.core import calling, visit
from broker.core.answers import refuse, reply, reply_denied, unrecorded
from broker.core.clock import Deadline, Now
from broker.core.commands import (
    CloseConnection,
    Command,
    ConnectionId,
    EndSignIn,
    Narrowing,
    Note,
    ReadUndelivered,
    ReplyGranted,
    SaveSignIn,
    Show,
    Tell,
)
from broker.core.errors import (
    ALREADY_HELLO,
    AUDIT_UNAVAILABLE,
    NOT_HELLO,
    NOT_SIGNED_IN,
    POLICY_REFUSED,
    SIGNED_OUT,
    TOO_MANY_CONNECTIONS,
    ErrorRow,
)
from broker.core.events import Connected, Disconnected, FrameReceived, SignInProved, SignOutRequested
from broker.core.frames import Hello, InsiderWelcome, PresenceChanged
from broker.core.house import Connection, House
from broker.core.invitation import info
from broker.core.presence import appear, tell_viewers, visible_people
from broker.core.reach import counterpart_subject
from broker.core.recording import draft, named
from broker.policy.decide import Subject
from broker.policy.decision import Decision
from config.policy import Action


def sign_in(house: House, event: SignInProved, now: Now) -> list[Command]:
    """The directory vouched for the person; policy says whether they may use the edge from where they are."""
    subject = Subject(event.insider, event.source.reveal())
    decision = house.gate.ask(Action.EDGE_SIGNIN, subject, None, now)
    if not decision.allowed:
        return reply_denied(event.request_id, decision)
    expires_at = now.wall_seconds + house.rules.sign_in_seconds
    record = draft(
        "auth.accepted",
        basis=(decision,),
        personal=named("user", event.insider, event.source),
        user=event.insider.party,
        method="password",
        expires_at=expires_at,
    )
    return [
        house.gate.opening(
            event.request_id,
            (decision,),
            (record,),
            (ReplyGranted(event.request_id),),
            writes=(SaveSignIn(event.token_digest, event.insider.party, expires_at),),
            on_failure=(reply(event.request_id, AUDIT_UNAVAILABLE),),
        )
    ]


def connected(house: House, event: Connected, now: Now) -> list[Command]:
    """An authenticated WebSocket: asked about again, because policy or the person may have changed since
    sign-in."""
    connection = Connection(event.connection_id, event.principal, event.source, event.token_digest)
    guest_without_visit = isinstance(event.principal, Guest) and event.principal.party not in house.visits
    if event.token_digest in house.ended_tokens or guest_without_visit:
        return _turn_away(event.connection_id, NOT_SIGNED_IN)
    present = house.by_party.get(connection.party, [])
    if len(present) >= house.rules.max_connections_per_person:
        return _turn_away(event.connection_id, TOO_MANY_CONNECTIONS)
    decision = _ask_entry(house, connection, event.host, now)
    if decision is None or not decision.allowed:
        basis = (decision,) if decision is not None else ()
        record = draft(
            "decision.denied",
            event.connection_id,
            basis=basis,
            personal=named("party", event.principal, event.source),
        )
        return [Note((record,)), *_turn_away(event.connection_id, POLICY_REFUSED)]
    house.connections[event.connection_id] = connection
    house.by_party.setdefault(connection.party, []).append(event.connection_id)
    house.deadlines.add(now, house.rules.hello_timeout_seconds, "connection.hello", event.connection_id)
    record = draft(
        "connection.opened",
        event.connection_id,
        basis=(decision,),
        personal=named("party", event.principal, event.source),
        party=connection.party,
        external=isinstance(event.principal, Guest),
    )
    failure = unrecorded(event.connection_id)
    return [house.gate.opening(event.connection_id, (decision,), (record,), (), on_failure=failure)]


def _ask_entry(house: House, connection: Connection, host: Insider | None, now: Now) -> Decision | None:
    if isinstance(connection.principal, Insider):
        return house.gate.ask(Action.EDGE_SIGNIN, connection.subject, None, now)
    if host is None:
        return None
    return house.gate.ask(Action.EDGE_JOIN, connection.subject, counterpart_subject(house, host), now)


def _turn_away(connection_id: ConnectionId, row: ErrorRow) -> list[Command]:
    return [Narrowing((), (CloseConnection(connection_id, row),))]


def hello(
    house: House, connection: Connection, event: FrameReceived, frame: Hello, now: Now
) -> list[Command]:
    """The first frame: what this person may see, and who may now see them."""
    if connection.program is not None:
        return refuse(connection.connection_id, ALREADY_HELLO)
    host = event.counterpart if isinstance(event.counterpart, Insider) else None
    basis = _ask_entry(house, connection, host, now)
    if basis is None or not basis.allowed:
        return _close(house, connection, POLICY_REFUSED)
    connection.program = frame.client
    if isinstance(connection.principal, Guest):
        return visit.welcome(house, connection, host, basis, now)
    return _welcome_insider(house, connection, event.people, basis, now)


def _welcome_insider(
    house: House, connection: Connection, people: tuple[Insider, ...], basis: Decision, now: Now
) -> list[Command]:
    seen, seen_by = visible_people(house, connection, people, now)
    connection.sees = {person.party for person in seen}
    guests = visit.guests_of(house, connection.party)
    connection.sees.update(v.guest.party for v in guests)
    shown, viewers, shown_by = appear(house, connection, now)
    returned = PresenceChanged(contact=house.contact(connection.principal))
    for guest_visit in guests:
        for guest_side in house.of_party(guest_visit.guest.party):
            if connection.party in guest_side.sees:
                shown += (Show(guest_side.connection_id, returned),)
    contacts = [house.contact(person) for person in seen] + [house.contact(v.guest) for v in guests]
    frame = InsiderWelcome(
        you=house.contact(connection.principal),
        contacts=contacts,
        invitations=[info(i) for i in house.invitations.values() if i.invited_by == connection.party],
        lobby=[visit.waiting(house, v) for v in visit.lobby_of(house, connection.party)],
    )
    record = draft(
        "presence.opened",
        connection.connection_id,
        basis=(basis,),
        program=connection.program.model_dump() if connection.program else None,
        sees=[_summary(person.party, decision) for person, decision in zip(seen, seen_by, strict=True)],
        shown_to=[_summary(party, decision) for party, decision in zip(viewers, shown_by, strict=True)],
    )
    return [
        house.gate.opening(
            connection.connection_id,
            (basis, *seen_by, *shown_by),
            (record,),
            (Show(connection.connection_id, frame), *shown),
            on_failure=unrecorded(connection.connection_id),
            then=(ReadUndelivered(connection.connection_id, connection.party),),
        )
    ]


def _summary(party: str, decision: Decision) -> dict[str, JsonValue]:
    return {"party": party, "decision": decision.id, "rules": list(decision.determining_rules)}


def sign_out(house: House, event: SignOutRequested, now: Now) -> list[Command]:
    """The token is worth nothing from now on, and every connection made with it closes."""
    own_visit = next((v for v in house.visits.values() if v.token_digest == event.token_digest), None)
    if own_visit is not None:
        return visit.end(house, own_visit, "left", now)
    house.ended_tokens.add(event.token_digest)
    commands: list[Command] = []
    for connection in [c for c in house.connections.values() if c.token_digest == event.token_digest]:
        commands.extend(_close(house, connection, SIGNED_OUT))
    record = draft("auth.ended", reason="signed_out")
    return [*commands, Narrowing((), (), (record,), (EndSignIn(event.token_digest),))]


def hello_timed_out(house: House, deadline: Deadline, now: Now) -> list[Command]:
    """A connection that never said hello is closed."""
    connection = house.connections.get(ConnectionId(deadline.key))
    if connection is None or connection.program is not None or connection.closing:
        return []
    return _close(house, connection, NOT_HELLO)


def _close(house: House, connection: Connection, row: ErrorRow) -> list[Command]:
    """Close from our side: its calls end now, not when the socket notices."""
    if connection.closing:
        return []
    left = _leave(house, connection)
    return [Narrowing((connection.connection_id,), (CloseConnection(connection.connection_id, row),)), *left]


def _leave(house: House, connection: Connection) -> list[Command]:
    before = house.status_of(connection.party)
    connection.closing = True
    commands = calling.connection_left(house, connection)
    told: tuple[Tell, ...] = visit.guest_left(house, connection)
    after = house.status_of(connection.party)
    if after != before:
        told += tell_viewers(house, connection.party, after)
    if told:
        commands.append(Narrowing((), told))
    return commands


def disconnected(house: House, event: Disconnected, now: Now) -> list[Command]:
    """The socket is gone: close its record with what went over it."""
    connection = house.connections.get(event.connection_id)
    if connection is None:
        return []
    commands = [] if connection.closing else _leave(house, connection)
    del house.connections[event.connection_id]
    house.by_party[connection.party].remove(event.connection_id)
    if not house.by_party[connection.party]:
        del house.by_party[connection.party]
    record = draft(
        "connection.closed",
        event.connection_id,
        party=connection.party,
        reason=event.reason,
        bytes={"in": event.bytes_in, "out": event.bytes_out},
        packets={"in": event.frames_in, "out": event.frames_out},
    )
    return [*commands, Narrowing((event.connection_id,), (), (record,))]
