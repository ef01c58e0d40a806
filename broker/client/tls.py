"""TLS towards an edge: what is trusted, and connections that are gone when their session is."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import aiohttp

Tls = ssl.SSLContext | Path | None
"""A context used as it is, a file of the only CA certificates to trust, or None for the system's trust."""


def tls_context(tls: Tls) -> ssl.SSLContext:
    """The context for `tls`; certificate and host name are verified unless a given context says otherwise."""
    if isinstance(tls, ssl.SSLContext):
        return tls
    return ssl.create_default_context(cafile=str(tls) if tls is not None else None)


class Connector(aiohttp.TCPConnector):
    """aiohttp's, and `close` leaves no transport behind.

    A connection that aiohttp has begun to close waits for the other side to end TLS as well, and nobody waits
    for that: with an edge that is slow to answer, it would outlive the session and be dropped with the loop.
    """

    def __init__(self, tls: Tls = None, **options: Any) -> None:
        super().__init__(ssl=tls_context(tls), **options)
        self._transports: set[asyncio.Transport] = set()

    async def connect(self, req: aiohttp.ClientRequest, traces: list[Any], timeout: Any) -> Any:
        connection = await super().connect(req, traces, timeout)
        if connection.transport is not None:
            self._transports.add(connection.transport)
        return connection

    async def close(self, *, abort_ssl: bool = False) -> None:
        await super().close(abort_ssl=abort_ssl)
        for transport in self._transports:
            transport.abort()
        self._transports.clear()
        await asyncio.sleep(0)  # the loop closes the sockets in its next turn
