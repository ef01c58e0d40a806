"""What the relay tells its owner about, in bounded space."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from relay.prefix_budget import network_of
from relay.turn.events import AllocationGone, AllocationMade, Refused

MAX_EVENTS = 8192
MAX_REFUSAL_ROWS = 1024
REFUSAL_PERIOD_SECONDS = 60.0
OTHER_NETWORKS = "other"


@dataclass(frozen=True, slots=True)
class RelayRefused:
    """How often requests from one network were answered with this error since the last report."""

    network: str
    """A /24 or /48; OTHER_NETWORKS for all that found no room in the table."""
    code: int
    count: int


@dataclass(frozen=True, slots=True)
class EventsLost:
    """The reader was too slow: so many of the oldest events were dropped just before the ones that follow."""

    count: int


RelayEvent = AllocationMade | AllocationGone | RelayRefused | EventsLost


class EventQueue:
    """Holds at most MAX_EVENTS; when full, the oldest goes and is counted in an EventsLost."""

    def __init__(self) -> None:
        self._events: deque[RelayEvent] = deque()
        self._lost = 0
        self._arrived = asyncio.Event()

    def put(self, event: RelayEvent) -> None:
        if len(self._events) >= MAX_EVENTS:
            self._events.popleft()
            self._lost += 1
        self._events.append(event)
        self._arrived.set()

    async def take(self) -> list[RelayEvent]:
        """Everything there is, oldest first; waits until there is something."""
        while not self._events:
            self._arrived.clear()
            await self._arrived.wait()
        batch = [EventsLost(self._lost), *self._events] if self._lost else list(self._events)
        self._events.clear()
        self._lost = 0
        return batch


class RefusalTable:
    """Counts refusals per network and code; a flood from many networks shares one row per code."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, int], int] = {}
        self._reported_at = 0.0

    def count(self, refused: Refused) -> None:
        key = (network_of(refused.ip), refused.code)
        if key not in self._counts and len(self._counts) >= MAX_REFUSAL_ROWS:
            key = (OTHER_NETWORKS, refused.code)
        self._counts[key] = self._counts.get(key, 0) + 1

    def due(self, now: float) -> list[RelayRefused]:
        """The reports of the last minute, once a minute. `now` in monotonic seconds."""
        if now - self._reported_at < REFUSAL_PERIOD_SECONDS:
            return []
        self._reported_at = now
        reports = [RelayRefused(network, code, count) for (network, code), count in self._counts.items()]
        self._counts.clear()
        return reports
