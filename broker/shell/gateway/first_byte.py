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


class FirstByte(asyncio.Protocol):
    """Waits for one byte, hands the connection to whom it is for, and is out of the way."""

    def __init__(self, http: Speaks, turn: Speaks) -> None:
        self._http = http
        self._turn = turn
        self._transport: asyncio.Transport | None = None
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        loop = asyncio.get_running_loop()
        self._patience = loop.call_later(FIRST_BYTE_SECONDS, self._transport.abort)

    def data_received(self, data: bytes) -> None:
        transport = self._transport
        if transport is None or self._patience is None:
            return
        self._patience.cancel()
        speaks = self._turn if data[0] <= LAST_STUN_BYTE else self._http
        protocol = speaks()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        protocol.data_received(data)

    def connection_lost(self, error: Exception | None) -> None:
        if self._patience is not None:
            self._patience.cancel()


async def serve_tls(
    http: Speaks, turn: Speaks, address: str, port: int, tls: ssl.SSLContext
) -> asyncio.Server:
    """Listens on a TLS port that carries both. Raises OSError."""
    return await asyncio.get_running_loop().create_server(
        lambda: FirstByte(http, turn),
        address,
        port,
        ssl=tls,
        ssl_handshake_timeout=HANDSHAKE_SECONDS,
        backlog=_BACKLOG,
    )
