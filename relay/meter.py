"""What was really forwarded for each session, in each direction between its parties."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from relay.vocabulary import DropReason, Leg, RouteCounters


@dataclass(frozen=True, slots=True)
class DirectionCounters:
    """Payload packets and bytes from one party to another; what was dropped on the way, by reason."""

    packets: int = 0
    bytes: int = 0
    drops: Mapping[DropReason, int] = field(default_factory=dict)
    last_seen: float | None = None
    """Monotonic seconds of the last forwarded packet."""

    def plus(self, more: DirectionCounters | RouteCounters) -> DirectionCounters:
        drops = dict(self.drops)
        for reason, count in more.drops.items():
            drops[reason] = drops.get(reason, 0) + count
        seen = max((at for at in (self.last_seen, more.last_seen) if at is not None), default=None)
        return DirectionCounters(self.packets + more.packets, self.bytes + more.bytes, drops, seen)


@dataclass(frozen=True, slots=True)
class SessionCounters:
    """Monotonic while the session lives."""

    directions: Mapping[tuple[str, str], DirectionCounters] = field(default_factory=dict)
    """By (sender, receiver)."""

    def direction(self, sender: str, receiver: str) -> DirectionCounters:
        return self.directions.get((sender, receiver), DirectionCounters())

    def total(self) -> DirectionCounters:
        total = DirectionCounters()
        for direction in self.directions.values():
            total = total.plus(direction)
        return total


class SessionMeter:
    """Adds the counters of rows that are gone to those of rows that live."""

    def __init__(self) -> None:
        self._direction: dict[Leg, tuple[str, str]] = {}
        self._gone: dict[tuple[str, str], DirectionCounters] = {}

    def row_installed(self, source: Leg, sender: str, receiver: str) -> None:
        self._direction[source] = (sender, receiver)

    def row_removed(self, source: Leg, last: RouteCounters | None) -> None:
        direction = self._direction.pop(source, None)
        if direction is not None and last is not None:
            self._gone[direction] = self._gone.get(direction, DirectionCounters()).plus(last)

    def rows_removed(self, gone: Mapping[Leg, RouteCounters]) -> None:
        """As `row_removed` for every row of this session; `gone` may tell of others too."""
        for source in tuple(self._direction):
            self.row_removed(source, gone.get(source))

    def totals(self, live: Mapping[Leg, RouteCounters]) -> SessionCounters:
        totals = dict(self._gone)
        for source, counters in live.items():
            direction = self._direction.get(source)
            if direction is not None:
                totals[direction] = totals.get(direction, DirectionCounters()).plus(counters)
        return SessionCounters(totals)
