"""Program: what becomes of a connection whose client program the policy warns of or refuses."""

from __future__ import annotations

from broker.audit.record import Draft
from broker.core import leaving
from broker.core.client_frames import ClientProgram
from broker.core.commands import Command, Narrowing, Note, Tell
from broker.core.errors import CLIENT_REFUSED
from broker.core.frames import ClientOutdated, ClientRefused
from broker.core.house import Connection, House
from broker.core.recording import draft, named
from broker.policy.client import ClientVerdict


def turn_away(
    house: House, connection: Connection, program: ClientProgram, verdict: ClientVerdict
) -> list[Command]:
    """The program may not be used here: its person is told where one is that may, and it is closed."""
    told = ClientRefused(message=verdict.message, link=verdict.link)
    record = _record("client.refused", connection, program, verdict)
    return [
        Narrowing((), (Tell(connection.connection_id, told),), (record,)),
        *leaving.close(house, connection, CLIENT_REFUSED),
    ]


def warn(connection: Connection, program: ClientProgram, verdict: ClientVerdict) -> list[Command]:
    """The program may still be used: its person is told where a better one is."""
    told = ClientOutdated(message=verdict.message, link=verdict.link)
    record = _record("client.outdated", connection, program, verdict)
    return [Note((record,), (Tell(connection.connection_id, told),))]


def _record(
    record_type: str, connection: Connection, program: ClientProgram, verdict: ClientVerdict
) -> Draft:
    return draft(
        record_type,
        connection.connection_id,
        personal=named("party", connection.principal, connection.source),
        party=connection.party,
        program=program.model_dump(),
        link=verdict.link,
    )
