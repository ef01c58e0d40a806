"""Leaving: what ends with a connection, whoever closed it."""

from __future__ import annotations

from broker.core import calling
from broker.core.answers import return_after_seconds
from broker.core.commands import CloseConnection, Command, Narrowing, Tell
from broker.core.errors import EMERGENCY_STOP, ErrorRow
from broker.core.frames import LobbyLeft
from broker.core.house import Connection, House
from broker.core.presence import tell_viewers


def close(house: House, connection: Connection, row: ErrorRow) -> list[Command]:
    """Close from our side: its calls end now, not when the socket notices."""
    if connection.closing:
        return []
    left = leave(house, connection)
    return_after = return_after_seconds(connection.connection_id) if row is EMERGENCY_STOP else None
    closed = CloseConnection(connection.connection_id, row, return_after)
    return [Narrowing((connection.connection_id,), (closed,)), *left]


def leave(house: House, connection: Connection) -> list[Command]:
    """The connection carries nothing any more; whoever was shown its person is told what that changes."""
    before = house.status_of(connection.party)
    connection.closing = True
    commands = calling.connection_left(house, connection)
    told = _left_the_lobby(house, connection)
    after = house.status_of(connection.party)
    told += tell_viewers(house, connection.party, before, after)
    if told:
        commands.append(Narrowing((), told))
    return commands


def _left_the_lobby(house: House, connection: Connection) -> tuple[Tell, ...]:
    """The last connection of a waiting guest: the host's lobby forgets them until they return."""
    visit = house.visits.get(connection.party)
    waited = connection.program is not None and visit is not None and not visit.admitted
    if visit is None or not waited or any(house.of_party(connection.party)):
        return ()
    return house.tell(visit.guest.invited_by, LobbyLeft(guest=visit.guest.party))
