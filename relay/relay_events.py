"""What the relay tells its owner about, in bounded space."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from relay.meter import SessionCounters
from relay.prefix_budget import network_of
from relay.turn.events import AllocationGone, AllocationMade, Refused
from relay.turn.refusal import RefusalReason

MAX_EVENTS = 8192
MAX_REFUSAL_ROWS = 1024
REFUSAL_PERIOD_SECONDS = 60.0
OTHER_NETWORKS = "other"


@dataclass(frozen=True, slots=True)
class StrangersRefused:
    """How often requests from one network were refused for this reason since the last report."""

    network: str
    """A /24 or /48; OTHER_NETWORKS for all that found no room in the table."""
    reason: RefusalReason
    count: int


@dataclass(frozen=True, slots=True)
class RequesterRefused:
    """Somebody with a good credential was refused: told the first time, then summed up once a minute."""

    refused: Refused
    count: int


@dataclass(frozen=True, slots=True)
class EventsLost:
    """The reader was too slow: so many of the oldest events were dropped just before the ones that follow."""

    count: int


@dataclass(frozen=True, slots=True)
class SessionOver:
    """Nothing of it passes any more; what it has forwarded in all."""

    session_id: str
    counters: SessionCounters


RelayEvent = SessionOver | AllocationMade | AllocationGone | StrangersRefused | RequesterRefused | EventsLost


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
    """Sums refusals up: of strangers by network and reason, of requesters by who they are and reason.

    Either table has at most MAX_REFUSAL_ROWS rows. What finds none of its own is counted with its network,
    and a network that finds none with all the others.
    """

    def __init__(self) -> None:
        self._strangers: dict[tuple[str, RefusalReason], int] = {}
        self._requesters: dict[Refused, int] = {}
        self._reported_at = 0.0

    def count(self, refused: Refused) -> RequesterRefused | None:
        """What is to be told of it at once, if anything."""
        if refused.session_id is not None:
            before = self._requesters.get(refused, 0)
            if before or len(self._requesters) < MAX_REFUSAL_ROWS:
                self._requesters[refused] = before + 1
                return None if before else RequesterRefused(refused, 1)
        key = (network_of(refused.five_tuple.client.ip), refused.reason)
        if key not in self._strangers and len(self._strangers) >= MAX_REFUSAL_ROWS:
            key = (OTHER_NETWORKS, refused.reason)
        self._strangers[key] = self._strangers.get(key, 0) + 1
        return None

    def due(self, now: float) -> list[RelayEvent]:
        """The reports of the last minute, once a minute. `now` in monotonic seconds."""
        if now - self._reported_at < REFUSAL_PERIOD_SECONDS:
            return []
        self._reported_at = now
        reports: list[RelayEvent] = [
            StrangersRefused(network, reason, count) for (network, reason), count in self._strangers.items()
        ]
        reports += [
            RequesterRefused(refused, count - 1) for refused, count in self._requesters.items() if count > 1
        ]
        self._strangers.clear()
        self._requesters.clear()
        return reports
