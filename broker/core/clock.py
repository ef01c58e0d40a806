"""Time and ids, as the shell hands them to the core."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

COMPACT_ABOVE = 1024

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
    """What falls due when. A deadline whose noun is gone is ignored when it comes; cancelling one early keeps
    the heap as small as what is really awaited."""

    _heap: list[Deadline] = field(default_factory=list)
    _cancelled: set[tuple[str, str]] = field(default_factory=set)

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, now: Now, in_seconds: float, noun: str, key: str) -> None:
        heapq.heappush(self._heap, Deadline(now.monotonic_seconds + in_seconds, noun, key))

    def cancel(self, noun: str, key: str) -> None:
        """The noun of this key, which is never used again, is gone."""
        self._cancelled.add((noun, key))
        if len(self._cancelled) > COMPACT_ABOVE and 2 * len(self._cancelled) > len(self._heap):
            self._heap = [due for due in self._heap if (due.noun, due.key) not in self._cancelled]
            heapq.heapify(self._heap)
            self._cancelled.clear()

    def next_at(self) -> float | None:
        """Monotonic seconds of the earliest deadline."""
        return self._heap[0].at_monotonic_seconds if self._heap else None

    def next_due(self, now: Now) -> Deadline | None:
        """Take out the earliest deadline that is due. One at a time: each is an event of its own."""
        while self._heap and self._heap[0].at_monotonic_seconds <= now.monotonic_seconds:
            deadline = heapq.heappop(self._heap)
            if (deadline.noun, deadline.key) not in self._cancelled:
                return deadline
            self._cancelled.discard((deadline.noun, deadline.key))
        return None
