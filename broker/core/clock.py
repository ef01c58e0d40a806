"""Time and ids, as the shell hands them to the core."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

Ids = Callable[[], str]
"""A fresh, unguessable id of URL-safe characters at each call."""


@dataclass(frozen=True, slots=True)
class Now:
    """One reading of both clocks."""

    wall_ms: int
    """Milliseconds since 1970, UTC: what records and expiries speak."""
    monotonic_seconds: float
    """For durations and deadlines; never goes back."""

    @property
    def wall_seconds(self) -> int:
        """Whole seconds since 1970, UTC."""
        return self.wall_ms // 1000


@dataclass(frozen=True, slots=True, order=True)
class Deadline:
    """Something that falls due; whether it still matters is asked when it does."""

    at_monotonic_seconds: float
    noun: str
    key: str


@dataclass(slots=True)
class Deadlines:
    """What falls due when. Nothing is ever cancelled: a deadline whose noun is gone is simply ignored."""

    _heap: list[Deadline] = field(default_factory=list)

    def add(self, now: Now, in_seconds: float, noun: str, key: str) -> None:
        heapq.heappush(self._heap, Deadline(now.monotonic_seconds + in_seconds, noun, key))

    def next_at(self) -> float | None:
        """Monotonic seconds of the earliest deadline."""
        return self._heap[0].at_monotonic_seconds if self._heap else None

    def due(self, now: Now) -> Iterator[Deadline]:
        while self._heap and self._heap[0].at_monotonic_seconds <= now.monotonic_seconds:
            yield heapq.heappop(self._heap)
