"""Streams without sockets: a clock, and a plane and a control that remember what they are told."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from relay.streams.streams import Streams
from relay.vocabulary import Address, FiveTuple, Plane, Transport

SERVER = ("192.0.2.1", 3478)


class Socket:
    def setsockopt(self, *_: int) -> None: ...


class Connection(asyncio.Transport):
    """What the event loop gives to a stream: a connection whose client reads nothing."""

    def __init__(self, client: tuple[str, int] | None) -> None:
        super().__init__({"peername": client, "sockname": SERVER, "socket": Socket()})
        self.written: list[bytes] = []
        self.waiting = 0
        self.aborted = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.high = high

    def write(self, data: Any) -> None:
        assert not self.aborted
        self.written.append(bytes(data))
        self.waiting += len(data)

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        self.aborted = True


class House:
    """Streams with a clock, and a plane and a control that remember what they are told."""

    def __init__(self, max_streams: int = 100_000) -> None:
        self.now = 1000.0
        self.injected: list[tuple[FiveTuple, bytes]] = []
        self.paused: set[FiveTuple] = set()
        self.told_closed: list[FiveTuple] = []
        self.streams = Streams(cast("Plane", self), self.told_closed.append, max_streams, lambda: self.now)
        self._ports = iter(range(20_000, 10_000_000))

    # Of a plane, streams use these three.

    def inject(self, five_tuple: FiveTuple, message: bytes) -> None:
        self.injected.append((five_tuple, message))

    def pause(self, five_tuple: FiveTuple) -> None:
        self.paused.add(five_tuple)

    def resume(self, five_tuple: FiveTuple) -> None:
        self.paused.discard(five_tuple)

    def client(self, ip: str = "203.0.113.5", transport: Transport = Transport.TCP) -> Client:
        return Client(self, (ip, next(self._ports)), transport)

    def passes(self, seconds: float) -> None:
        self.now += seconds
        self.streams.close_strangers()

    def tables(self) -> int:
        """How much it remembers."""
        return sum(len(held) for held in vars(self.streams).values() if isinstance(held, dict))


class Client:
    def __init__(self, house: House, address: tuple[str, int], transport: Transport) -> None:
        self.connection = Connection(address)
        self.stream = house.streams.protocol(transport)
        self.stream.connection_made(self.connection)
        self.five_tuple = FiveTuple(transport, Address(*address), Address(*SERVER))

    def ended(self) -> bool:
        return self.connection.aborted
