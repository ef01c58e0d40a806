"""Connection: connect, hello and the end of a connection."""

from __future__ import annotations

from auth.principal import Guest, Insider
from broker.core import program, signing_in, visit
from broker.core.answers import (
    entry_refused,
    refuse,
    return_after_seconds,
    unrecorded,
)
from broker.core.client_frames import Hello
from broker.core.clock import Deadline, Now
from broker.core.commands import (
    CloseConnection,
    Command,
    ConnectionId,
    Narrowing,
    Note,
    ReadUndelivered,
    SaveSignIn,
    Show,
)
from broker.core.errors import (
    ALREADY_HELLO,
    EMERGENCY_STOP,
    NOT_HELLO,
    NOT_SIGNED_IN,
    TOO_MANY_CONNECTIONS,
    ErrorRow,
)
from broker.core.events import (
    Connected,
    Disconnected,
    FrameReceived,
)
from broker.core.frames import InsiderWelcome
from broker.core.house import Connection, House
from broker.core.invitation_list import info
from broker.core.leaving import close, leave
from broker.core.presence import appear, presence_opened, visible_people
from broker.core.reach import ask_entry
from broker.core.recording import draft, named
from broker.policy.decision import Decision
from config.policy.client import ClientEffect


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
    signed_in = signing_in.live(house, event.token_digest, now)
    if signed_in is None and event.principal.party not in house.visits:
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
        sign_in=signed_in.kept.sign_in_id if signed_in is not None else None,
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
        invitations=[info(house, i) for i in house.invitations.values() if i.invited_by == connection.party],
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
            writes=_used(house, connection, now),
            on_failure=unrecorded(connection.connection_id),
            then=(*appearance.gone, ReadUndelivered(connection.connection_id, connection.party)),
        )
    ]


def _used(house: House, connection: Connection, now: Now) -> tuple[SaveSignIn, ...]:
    """What to store of the sign-in that the connection was made with: it is used, and by which program."""
    used = house.sign_ins.get(connection.token_digest)
    program = f"{connection.program.name} {connection.program.version}" if connection.program else None
    return (SaveSignIn(used.use(now, program)),) if used is not None else ()


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
    used = _used(house, connection, now)
    noted: list[Command] = [Note((), writes=used)] if used else []
    return [*commands, Narrowing((event.connection_id,), (), (record,)), *noted]
