"""What rows have for stream clients, until whoever holds the connections takes it."""

from __future__ import annotations

import asyncio
from collections import deque

from relay.vocabulary import Egress, FiveTuple

MAX_WAITING = 8192
MAX_WAITING_BYTES = 16 << 20


class StreamTarget:
    """Where a row's packets go when its receiver is a stream client."""

    __slots__ = ("five_tuple", "removed")

    def __init__(self, five_tuple: FiveTuple) -> None:
        self.five_tuple = five_tuple
        self.removed = False
        """The row is gone: what still waits of it is not sent."""


class EgressQueue:
    """Bounded in messages and bytes; what does not fit is refused and counted, oldest stay."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[StreamTarget, bytes]] = deque()
        self._waiting_bytes = 0
        self._arrived = asyncio.Event()
        self.paused: set[FiveTuple] = set()
        """Clients that do not keep up."""
        self.refused = 0
        """Messages that found the queue full."""

    def put(self, message: bytes | memoryview, target: StreamTarget) -> None:
        """Raises BlockingIOError when it is full or the client paused, as a socket does."""
        if target.five_tuple in self.paused:
            raise BlockingIOError
        if len(self._waiting) >= MAX_WAITING or self._waiting_bytes + len(message) > MAX_WAITING_BYTES:
            self.refused += 1
            raise BlockingIOError
        self._waiting.append((target, bytes(message)))
        self._waiting_bytes += len(message)
        self._arrived.set()

    async def take(self) -> list[Egress]:
        """Everything there is, oldest first; waits for something."""
        while True:
            while not self._waiting:
                self._arrived.clear()
                await self._arrived.wait()
            batch = [Egress(to.five_tuple, message) for to, message in self._waiting if not to.removed]
            self._waiting.clear()
            self._waiting_bytes = 0
            if batch:
                return batch
