"""What rows have for stream clients, until whoever holds the connections takes it."""

from __future__ import annotations

import asyncio
from collections import deque

from relay.vocabulary import Egress, FiveTuple

MAX_WAITING = 8192
MAX_WAITING_BYTES = 16 << 20
MAX_WAITING_BYTES_OF_CLIENT = 128 << 10
BYTES_OF_MESSAGE = 256
"""What a message counts for at least: a client who is sent many small ones must leave room for others."""


class StreamTarget:
    """Where a row's packets go when its receiver is a stream client."""

    __slots__ = ("five_tuple", "removed")

    def __init__(self, five_tuple: FiveTuple) -> None:
        self.five_tuple = five_tuple
        self.removed = False
        """The row is gone: what still waits of it is not sent."""


class EgressQueue:
    """Bounded in messages and bytes, in all and of each client; what does not fit is refused, oldest stay."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[StreamTarget, bytes]] = deque()
        self._waiting_bytes = 0
        self._bytes_of: dict[FiveTuple, int] = {}
        self._arrived = asyncio.Event()
        self.paused: set[FiveTuple] = set()
        """Clients that do not keep up."""
        self.refused = 0
        """Messages that found no room."""

    def put(self, message: bytes | memoryview, target: StreamTarget) -> None:
        """Raises BlockingIOError when there is no room or the client is paused, as a socket does."""
        if target.five_tuple in self.paused:
            raise BlockingIOError
        cost = max(len(message), BYTES_OF_MESSAGE)
        waiting = self._waiting_bytes + cost
        of_client = self._bytes_of.get(target.five_tuple, 0) + cost
        if (
            len(self._waiting) >= MAX_WAITING
            or waiting > MAX_WAITING_BYTES
            or of_client > MAX_WAITING_BYTES_OF_CLIENT
        ):
            self.refused += 1
            raise BlockingIOError
        self._waiting.append((target, bytes(message)))
        self._waiting_bytes = waiting
        self._bytes_of[target.five_tuple] = of_client
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
            self._bytes_of.clear()
            if batch:
                return batch
