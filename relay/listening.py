"""Binding what the relay listens on: all of it, or nothing and the reason."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from functools import partial

from relay.streams.streams import Streams
from relay.vocabulary import Address, Listener, Plane, Transport

HANDSHAKE_SECONDS = 10.0
"""How long a TLS handshake may take."""
_BACKLOG = 512


class Listening:
    """The bound listeners: datagrams are the plane's, connections go to the streams."""

    def __init__(self, plane: Plane, streams: Streams, tls: ssl.SSLContext | None) -> None:
        self._plane = plane
        self._streams = streams
        self._tls = tls
        self._servers: list[asyncio.Server] = []

    async def start(self, wanted: Sequence[Listener]) -> list[Listener]:
        """As they are bound, in the same order (port 0 becomes a real port).

        Raises OSError when one cannot be bound; then none stays bound.
        """
        datagram = [one.address for one in wanted if one.transport is Transport.UDP]
        bound = iter(self._plane.start(datagram))
        listeners = []
        try:
            for one in wanted:
                if one.transport is Transport.UDP:
                    listeners.append(Listener(one.transport, next(bound)))
                else:
                    listeners.append(await self._bind(one))
        except OSError:
            self.stop()
            raise
        return listeners

    def stop(self) -> None:
        """Nothing is taken any more, and no connection stays."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        self._streams.close_all()
        self._plane.stop()

    async def _bind(self, listener: Listener) -> Listener:
        transport, address = listener
        tls = self._tls if transport is Transport.TLS else None
        if transport is Transport.TLS and tls is None:
            raise OSError(None, f"a certificate is needed: {listener}")
        try:
            server = await asyncio.get_running_loop().create_server(
                partial(self._streams.protocol, transport),
                address.ip,
                address.port,
                ssl=tls,
                ssl_handshake_timeout=HANDSHAKE_SECONDS if tls is not None else None,
                backlog=_BACKLOG,
            )
        except OSError as refused:
            raise OSError(refused.errno, f"{refused.strerror}: {listener}") from None
        self._servers.append(server)
        return Listener(transport, Address(*server.sockets[0].getsockname()[:2]))
