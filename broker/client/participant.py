"""A participant without a screen: one connection with its chat, invitations, calls and sign-ins."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from broker.client.background import background
from broker.client.call import Calls
from broker.client.chat import Chat
from broker.client.connection import Connection, connect
from broker.client.invitations import Invitations
from broker.client.sign_ins import SignIns
from broker.client.tls import Tls, tls_context
from broker.core.frames import Contact


@dataclass(frozen=True, slots=True)
class Participant:
    """Made by `join`. Frames that neither chat nor a call takes are at `connection.wait_for`."""

    connection: Connection
    chat: Chat
    invitations: Invitations
    calls: Calls
    sign_ins: SignIns

    @property
    def you(self) -> Contact:
        return self.connection.welcome.you


@asynccontextmanager
async def join(
    origin: str,
    token: str,
    tls: Tls = None,
    program: tuple[str, str] | None = None,
    record: Callable[[str], None] | None = None,
) -> AsyncIterator[Participant]:
    """As `connect`, with messages received and acknowledged on the way. `tls` holds for TURN over TLS too."""
    context = tls_context(tls)
    async with connect(origin, token, context, program, record) as connection, background() as tasks:
        chat = Chat(connection)
        tasks.start(chat.receive_forever())
        calls, sign_ins = Calls(connection, context), SignIns(connection)
        yield Participant(connection, chat, Invitations(connection), calls, sign_ins)
