"""The first byte on a TLS port says what comes: STUN begins with 0 to 3, HTTP with a letter.

One port carries both, so that media passes where a network lets nothing but HTTPS out.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import cast

FIRST_BYTE_SECONDS = 10.0
"""How long a connection may say nothing after the handshake. Browsers open some that they may never use."""
HANDSHAKE_SECONDS = 10.0
LAST_STUN_BYTE = 3
_BACKLOG = 512

Speaks = Callable[[], asyncio.Protocol]


class TlsPort:
    """A listener that carries both; `http` and `turn` make the protocol of a connection."""

    def __init__(self, http: Speaks, turn: Speaks) -> None:
        self.http = http
        self.turn = turn
        self.silent: set[FirstByte] = set()
        """Connections that have not said anything yet."""
        self._server: asyncio.Server | None = None

    async def listen(self, address: str, port: int, tls: ssl.SSLContext) -> None:
        """Raises OSError."""
        self._server = await asyncio.get_running_loop().create_server(
            lambda: FirstByte(self),
            address,
            port,
            ssl=tls,
            ssl_handshake_timeout=HANDSHAKE_SECONDS,
            backlog=_BACKLOG,
        )

    @property
    def is_open(self) -> bool:
        return self._server is not None

    def close(self) -> None:
        """Take no more connections, and hand none over; those handed over are not ours."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in tuple(self.silent):
            connection.abort()


class FirstByte(asyncio.Protocol):
    """Waits for one byte, hands the connection to whom it is for, and is out of the way."""

    def __init__(self, port: TlsPort) -> None:
        self._port = port
        self._transport: asyncio.Transport | None = None
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if not self._port.is_open:
            # Its handshake was still on when the port closed.
            self.abort()
            return
        self._port.silent.add(self)
        self._patience = asyncio.get_running_loop().call_later(FIRST_BYTE_SECONDS, self.abort)

    def data_received(self, data: bytes) -> None:
        transport = self._transport
        if transport is None or self not in self._port.silent:
            return
        self._done()
        speaks = self._port.turn if data[0] <= LAST_STUN_BYTE else self._port.http
        protocol = speaks()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        protocol.data_received(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._done()

    def abort(self) -> None:
        self._done()
        if self._transport is not None:
            self._transport.abort()

    def _done(self) -> None:
        self._port.silent.discard(self)
        if self._patience is not None:
            self._patience.cancel()
