"""Connection: sign-in, connect, hello, sign-out and the end of a connection."""

from __future__ import annotations

from auth.principal import Guest, Insider
from broker.core import program, visit
from broker.core.answers import (
    entry_refused,
    refuse,
    reply,
    reply_denied,
    return_after_seconds,
    unrecorded,
)
from broker.core.client_frames import Hello
from broker.core.clock import Deadline, Now
from broker.core.commands import (
    CloseConnection,
    Command,
    ConnectionId,
    EndSignIn,
    Narrowing,
    Note,
    ReadUndelivered,
    ReplyDone,
    ReplyGranted,
    SaveSignIn,
    SaveSignInFailure,
    Show,
)
from broker.core.errors import (
    ALREADY_HELLO,
    AUDIT_UNAVAILABLE,
    EMERGENCY_STOP,
    NOT_HELLO,
    NOT_SIGNED_IN,
    SIGNED_OUT,
    TOO_MANY_CONNECTIONS,
    ErrorRow,
)
from broker.core.events import (
    Connected,
    Disconnected,
    FrameReceived,
    PasswordRefused,
    SignInProved,
    SignOutRequested,
)
from broker.core.frames import InsiderWelcome
from broker.core.house import Connection, House
from broker.core.invitation import info
from broker.core.leaving import close, leave
from broker.core.presence import appear, presence_opened, visible_people
from broker.core.reach import ask_entry
from broker.core.recording import draft, named
from broker.policy.decision import Decision
from broker.policy.question import Subject
from config.policy.action import Action
from config.policy.client import ClientEffect


def sign_in(house: House, event: SignInProved, now: Now) -> list[Command]:
    """The directory vouched for the person; policy says whether they may use the edge from where they are."""
    subject = Subject(event.insider, event.source.reveal())
    decision = house.gate.ask(Action.EDGE_SIGNIN, subject, None, now)
    if not decision.allowed:
        return reply_denied(event.request_id, decision, event.insider)
    expires_at = now.wall_seconds + house.rules.sign_in_seconds
    record = draft(
        "auth.accepted",
        basis=(decision,),
        personal=named("user", event.insider, event.source),
        user=event.insider.party,
        method="password",
        expires_at=expires_at,
        notice_acknowledged=event.notice_sha256 is not None,
        notice_sha256=event.notice_sha256,
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


def password_refused(house: House, event: PasswordRefused, now: Now) -> list[Command]:
    """A stranger's failure is stored, and on record only as one of many. Where it cannot be stored the answer
    is no other: it counts for this run."""
    answer = (ReplyDone(event.request_id),)
    return [Note((), answer, (SaveSignInFailure(event.failure),), on_failure=answer)]


def connected(house: House, event: Connected, now: Now) -> list[Command]:
    """An authenticated WebSocket: asked about again, because policy or the person may have changed since
    sign-in."""
    connection = Connection(
        event.connection_id,
        event.principal,
        event.source,
        event.token_digest,
        now.wall_seconds,
        event.host,
    )
    guest_without_visit = isinstance(event.principal, Guest) and event.principal.party not in house.visits
    if event.token_digest in house.ended_tokens or guest_without_visit:
        return _turn_away(event.connection_id, NOT_SIGNED_IN)
    present = house.by_party.get(connection.party, [])
    if len(present) >= house.rules.max_connections_per_person:
        return _turn_away(event.connection_id, TOO_MANY_CONNECTIONS)
    decision = ask_entry(house, connection, now)
    if decision is None or not decision.allowed:
        denied = _turn_away(event.connection_id, entry_refused(decision))
        return [_entry_denied(connection, decision), *denied]
    connection.decisions = (decision,)
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
    return [
        house.gate.opening(
            event.connection_id,
            (decision,),
            (record,),
            (),
            within=house.standing(connection),
            on_failure=failure,
        )
    ]


def _entry_denied(connection: Connection, decision: Decision | None) -> Note:
    """None: the guest's host is nobody the directory knows any more."""
    record = draft(
        "decision.denied",
        connection.connection_id,
        basis=(decision,) if decision is not None else (),
        personal=named("party", connection.principal, connection.source),
    )
    return Note((record,))


def _turn_away(connection_id: ConnectionId, row: ErrorRow) -> list[Command]:
    return_after = return_after_seconds(connection_id) if row is EMERGENCY_STOP else None
    return [Narrowing((), (CloseConnection(connection_id, row, return_after),))]


def hello(
    house: House, connection: Connection, event: FrameReceived, frame: Hello, now: Now
) -> list[Command]:
    """The first frame: what this person may see, and who may now see them."""
    if connection.program is not None:
        return refuse(connection.connection_id, ALREADY_HELLO)
    host = event.counterpart if isinstance(event.counterpart, Insider) else None
    connection.host = host
    basis = ask_entry(house, connection, now)
    if basis is None or not basis.allowed:
        return [_entry_denied(connection, basis), *close(house, connection, entry_refused(basis))]
    connection.decisions = (basis,)
    verdict = house.gate.judge(connection.principal, frame.client)
    if verdict.effect is ClientEffect.REFUSE:
        return program.turn_away(house, connection, frame.client, verdict)
    connection.program = frame.client
    house.people.update({person.party: person for person in event.people})
    if isinstance(connection.principal, Guest):
        welcomed = visit.welcome(house, connection, host, basis, now)
    else:
        welcomed = _welcome_insider(house, connection, event.people, basis, now)
    if verdict.effect is ClientEffect.WARN:
        welcomed += program.warn(connection, frame.client, verdict)
    return welcomed


def _welcome_insider(
    house: House, connection: Connection, people: tuple[Insider, ...], basis: Decision, now: Now
) -> list[Command]:
    seen = visible_people(house, connection, people, now)
    welcome = visit.may_be_with(house, connection, now)
    guests = [v for v in visit.guests_of(house, connection.party) if v.guest.party in welcome]
    connection.sees = {v.guest.party for v in guests}
    appearance = appear(house, connection, now)
    contacts = [house.contact(person) for person, _ in seen] + [house.contact(v.guest) for v in guests]
    frame = InsiderWelcome(
        you=house.contact(connection.principal),
        contacts=contacts,
        invitations=[info(i) for i in house.invitations.values() if i.invited_by == connection.party],
        lobby=[
            visit.waiting(house, v)
            for v in visit.lobby_of(house, connection.party)
            if v.guest.party in welcome
        ],
    )
    for person, decision in seen:
        connection.let_see(person.party, decision)
    sees = [(person.party, decision) for person, decision in seen]
    return [
        house.gate.opening(
            connection.connection_id,
            (basis, *(decision for _, decision in sees), *(decision for _, decision in appearance.viewers)),
            presence_opened(connection, basis, sees, appearance.viewers),
            (Show(connection.connection_id, frame), *appearance.shown),
            on_failure=unrecorded(connection.connection_id),
            then=(*appearance.gone, ReadUndelivered(connection.connection_id, connection.party)),
        )
    ]


def sign_out(house: House, event: SignOutRequested, now: Now) -> list[Command]:
    """The token is worth nothing from now on, and every connection made with it closes."""
    own_visit = next((v for v in house.visits.values() if v.token_digest == event.token_digest), None)
    if own_visit is not None:
        return visit.end(house, own_visit, "left", now)
    if event.token_digest in house.ended_tokens:
        return []
    house.end_token(event.token_digest, house.rules.sign_in_seconds, now)
    commands: list[Command] = []
    for connection in [c for c in house.connections.values() if c.token_digest == event.token_digest]:
        commands.extend(close(house, connection, SIGNED_OUT))
    record = draft("auth.ended", user=event.party, reason="signed_out")
    return [*commands, Narrowing((), (), (record,), (EndSignIn(event.token_digest),))]


def token_expired(house: House, deadline: Deadline, now: Now) -> list[Command]:
    """A token that was ended has expired too: the store refuses it by itself."""
    house.ended_tokens.discard(deadline.key)
    return []


def not_hello(house: House, connection: Connection) -> list[Command]:
    """Anything else before hello."""
    return close(house, connection, NOT_HELLO)


def hello_timed_out(house: House, deadline: Deadline, now: Now) -> list[Command]:
    """A connection that never said hello is closed."""
    connection = house.connections.get(ConnectionId(deadline.key))
    if connection is None or connection.program is not None or connection.closing:
        return []
    return close(house, connection, NOT_HELLO)


def disconnected(house: House, event: Disconnected, now: Now) -> list[Command]:
    """The socket is gone: close its record with what went over it."""
    connection = house.connections.get(event.connection_id)
    if connection is None:
        return []
    commands = [] if connection.closing else leave(house, connection)
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
