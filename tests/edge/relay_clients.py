"""aioice's TURN client and ICE agent, as the relay's tests use them; no other file of theirs imports it."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Self

from aioice.ice import Connection, TransportPolicy
from aioice.turn import create_turn_endpoint

from relay.credentials import TurnCredential
from relay.vocabulary import Address

PATIENCE_SECONDS = 10.0


class _Inbox(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.received: asyncio.Queue[tuple[bytes, Address]] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        self.received.put_nowait((data, Address(*addr[:2])))


class TurnClient:
    """One allocation. Binds a channel to each peer it sends to, and creates no permission."""

    def __init__(self, listener: Address, credential: TurnCredential) -> None:
        self._listener = listener
        self._credential = credential

    async def __aenter__(self) -> Self:
        self._transport, self._inbox = await create_turn_endpoint(
            _Inbox,
            server_addr=(self._listener.ip, self._listener.port),
            username=self._credential.username,
            password=self._credential.password,
            transport="udp",
        )
        self.relayed = Address(*self._transport.get_extra_info("sockname"))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._transport.close()
        # It gives up its allocation in a task of its own and offers no way to wait for the end of it.
        inner = self._transport._TurnTransport__inner_protocol.transport  # type: ignore[attr-defined]
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not inner.is_closing():  # noqa: ASYNC110 (there is no event to wait for)
                await asyncio.sleep(0.01)

    def send(self, data: bytes, to: Address) -> None:
        self._transport.sendto(data, (to.ip, to.port))

    async def receive(self) -> tuple[bytes, Address]:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self._inbox.received.get()

    def waiting(self) -> int:
        return self._inbox.received.qsize()


class IceAgent:
    """An ICE agent that has no candidate but its relayed one."""

    def __init__(self, listener: Address, credential: TurnCredential, *, controlling: bool) -> None:
        self._connection = Connection(
            ice_controlling=controlling,
            components=1,
            turn_server=(listener.ip, listener.port),
            turn_username=credential.username,
            turn_password=credential.password,
            transport_policy=TransportPolicy.RELAY,
        )

    @property
    def candidates(self) -> list[Any]:
        return list(self._connection.local_candidates)

    async def gather(self) -> None:
        await self._connection.gather_candidates()

    async def meet(self, other: IceAgent) -> None:
        """Learn the other's candidates and connect."""
        for candidate in other.candidates:
            await self._connection.add_remote_candidate(candidate)
        await self._connection.add_remote_candidate(None)
        self._connection.remote_username = other._connection.local_username
        self._connection.remote_password = other._connection.local_password
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self._connection.connect()

    async def send(self, data: bytes) -> None:
        await self._connection.send(data)

    async def receive(self) -> bytes:
        async with asyncio.timeout(PATIENCE_SECONDS):
            received: bytes = await self._connection.recv()
        return received

    async def close(self) -> None:
        await self._connection.close()
