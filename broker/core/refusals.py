"""Refusals of strangers, counted per source prefix and minute in a table of fixed size, so that nobody
without a session can fill the disk (law 9)."""

from __future__ import annotations

from dataclasses import dataclass, field

from auth.personal import Personal
from broker.audit.record import Draft
from broker.core.recording import draft

FLUSH_SECONDS = 60
OVERFLOW = Personal("everyone else")
"""The prefix under which refusals are counted once the table is full."""


@dataclass(slots=True)
class Refusals:
    """At most `max_rows` rows a minute; what does not fit is counted together."""

    max_rows: int
    _rows: dict[tuple[str, str, Personal], int] = field(default_factory=dict)

    def count(self, kind: str, code: str, prefix: Personal, count: int = 1) -> bool:
        """Count refusals; True when it is the first since the last flush."""
        first = not self._rows
        key = (kind, code, prefix)
        if key not in self._rows and len(self._rows) >= self.max_rows:
            key = (kind, code, OVERFLOW)
        self._rows[key] = self._rows.get(key, 0) + count
        return first

    def counts(self) -> dict[str, int]:
        """How many of each kind since the last flush."""
        counts: dict[str, int] = {}
        for (kind, _, _), count in self._rows.items():
            counts[kind] = counts.get(kind, 0) + count
        return counts

    def flush(self) -> tuple[Draft, ...]:
        """One draft for each row, and an empty table."""
        rows, self._rows = self._rows, {}
        return tuple(
            draft(kind, personal={"source.prefix": prefix}, code=code, count=count)
            for (kind, code, prefix), count in rows.items()
        )
