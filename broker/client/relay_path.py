"""The way to the relay: by UDP where the network lets it through, else by TCP, else by TLS.

Asked with a STUN Binding request (RFC 8489 section 6): whoever answers it is a relay that can be reached.
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qs, urlsplit

from broker.client.errors import MediaFailed

RelayTransport = Literal["udp", "tcp", "tls"]

UDP_TRIES = 4
UDP_TRY_SECONDS = 0.4
"""A datagram may be lost on the way; a network that lets none through says nothing."""
CONNECT_SECONDS = 3.5
HEAD_START_SECONDS = 0.4
"""Of each way over the next."""

_COOKIE = b"\x21\x12\xa4\x42"
_ANSWER_HEAD_BYTES = 20


@dataclass(frozen=True, slots=True)
class RelayPath:
    """One URL of a relay (RFC 7065), and what it means on the wire."""

    url: str
    transport: RelayTransport
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> RelayPath:
        """Raises ValueError for a URL that names no way there is."""
        scheme, _, rest = url.partition(":")
        parts = urlsplit(f"//{rest}")
        by = parse_qs(parts.query).get("transport", ["udp"])[0]
        ways: dict[tuple[str, str], RelayTransport] = {
            ("turn", "udp"): "udp",
            ("turn", "tcp"): "tcp",
            ("turns", "tcp"): "tls",
        }
        transport = ways.get((scheme, by))
        if transport is None or not parts.hostname:
            raise ValueError("not a way to a relay")
        return cls(url, transport, parts.hostname, parts.port or (5349 if transport == "tls" else 3478))


async def find_relay_path(urls: Sequence[str], tls: ssl.SSLContext) -> RelayPath:
    """The first of the URLs, in their order, that answers in time. Raises MediaFailed when none does.

    Each is asked a moment after the one before it: where the first answers, the others are left alone.
    """
    paths = [path for url in urls if (path := _path_of(url)) is not None]
    async with asyncio.TaskGroup() as tasks:
        asked = [
            (path, tasks.create_task(_answers(path, tls, number * HEAD_START_SECONDS)))
            for number, path in enumerate(paths)
        ]
        try:
            for path, answered in asked:
                if await answered:
                    return path
        finally:
            for _, answered in asked:
                answered.cancel()
    tried = ", ".join(path.transport for path in paths)
    raise MediaFailed(f"the relay cannot be reached from here (tried: {tried or 'nothing'})")


def _path_of(url: str) -> RelayPath | None:
    try:
        return RelayPath.of(url)
    except ValueError:
        return None


async def _answers(path: RelayPath, tls: ssl.SSLContext, after_seconds: float) -> bool:
    await asyncio.sleep(after_seconds)
    try:
        if path.transport == "udp":
            return await _answers_by_udp(path)
        async with asyncio.timeout(CONNECT_SECONDS):
            return await _answers_on_a_stream(path, tls if path.transport == "tls" else None)
    except (OSError, TimeoutError, asyncio.IncompleteReadError, UnicodeError):
        return False


class _Asked(asyncio.DatagramProtocol):
    def __init__(self, transaction_id: bytes) -> None:
        self._transaction_id = transaction_id
        self.reachable: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: object) -> None:
        if _is_answer(data, self._transaction_id) and not self.reachable.done():
            self.reachable.set_result(True)

    def error_received(self, exc: Exception) -> None:
        if not self.reachable.done():
            self.reachable.set_result(False)


async def _answers_by_udp(path: RelayPath) -> bool:
    request, transaction_id = _binding_request()
    transport, asked = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _Asked(transaction_id), remote_addr=(path.host, path.port)
    )
    try:
        for _ in range(UDP_TRIES):
            transport.sendto(request)
            with suppress(TimeoutError):
                async with asyncio.timeout(UDP_TRY_SECONDS):
                    return await asyncio.shield(asked.reachable)
        return False
    finally:
        transport.close()


async def _answers_on_a_stream(path: RelayPath, tls: ssl.SSLContext | None) -> bool:
    request, transaction_id = _binding_request()
    reader, writer = await asyncio.open_connection(path.host, path.port, ssl=tls)
    try:
        writer.write(request)
        return _is_answer(await reader.readexactly(_ANSWER_HEAD_BYTES), transaction_id)
    finally:
        # Whoever asked may end before a TLS connection has been taken leave of; nothing is lost with it.
        writer.transport.abort()


def _binding_request() -> tuple[bytes, bytes]:
    transaction_id = secrets.token_bytes(12)
    return b"\x00\x01\x00\x00" + _COOKIE + transaction_id, transaction_id


def _is_answer(data: bytes, transaction_id: bytes) -> bool:
    return data[:2] == b"\x01\x01" and data[4:20] == _COOKIE + transaction_id
