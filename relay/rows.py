"""The rows of a plane together with what they count, by session."""

from __future__ import annotations

import gc
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from relay.meter import DirectionCounters, SessionCounters, SessionMeter
from relay.turn.routing import sender_limiter
from relay.vocabulary import Leg, Limiter, Plane, Route, RouteCounters

MAX_LAST_COUNTERS = 1024
"""Of sessions that ended by themselves and that nobody has asked about; the oldest go first."""


class Rows:
    """What control changes in the plane goes through here, so that no counter is lost with its row."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._meters: dict[str, SessionMeter] = {}
        self._limited: dict[str, set[str]] = {}
        """By session, the parties whose sending is limited."""
        self._last: dict[str, SessionCounters] = {}
        self._gone = DirectionCounters()
        """What rows that are gone have forwarded."""
        self._silenced: set[str] = set()
        """Until they are removed, control may still want rows for them, and gets none."""

    def install(self, route: Route, sender: str, receiver: str) -> None:
        """The row's packets are counted as from `sender` to `receiver`."""
        if route.session_id in self._silenced:
            return
        self._plane.install(route)
        meter = self._meters.setdefault(route.session_id, SessionMeter())
        meter.row_installed(route.source, sender, receiver)

    def remove(self, session_id: str, source: Leg) -> None:
        counters = self._plane.remove(source)
        if counters is not None:
            self._meters[session_id].row_removed(source, counters)
            self._gone = self._gone.plus(counters)

    def limit_sender(self, session_id: str, party: str, limiter: Limiter | None) -> None:
        """Ends with the session."""
        self._plane.set_limit(sender_limiter(session_id, party), limiter)
        if limiter is not None:
            self._limited.setdefault(session_id, set()).add(party)

    def silence(self, session_ids: Collection[str], *, everything: bool = False) -> None:
        """Nothing of these sessions is forwarded once this returns, also of those that have no row yet.

        Each has to be ended by `remove_session`, which then gives its last counters. With `everything`, any
        other row there may be goes as well.
        """
        self._silenced.update(session_ids)
        all_of_them = everything or self._meters.keys() <= self._silenced
        with _no_collection():
            gone = self._plane.remove_all() if all_of_them else self._plane.remove_sessions(session_ids)
            self._count(gone, self._meters if all_of_them else self._meters.keys() & session_ids)

    def remove_session(self, session_id: str) -> SessionCounters:
        """Its last counters, which `last_counters` gives once more."""
        self._silenced.discard(session_id)
        rows = self._plane.remove_session(session_id)
        for party in self._limited.pop(session_id, ()):
            self._plane.set_limit(sender_limiter(session_id, party), None)
        if session_id not in self._meters:
            return SessionCounters()
        self._count(rows, (session_id,))
        last = self._last[session_id] = self._meters.pop(session_id).totals({})
        if len(self._last) > MAX_LAST_COUNTERS:
            del self._last[next(iter(self._last))]
        return last

    def last_counters(self, session_id: str) -> SessionCounters:
        """Of a session that is over, to whoever asks first; empty ones for one that is not there."""
        return self._last.pop(session_id, SessionCounters())

    def counters(self, session_id: str) -> SessionCounters | None:
        """None when nothing was ever forwarded or the session is not there."""
        meter = self._meters.get(session_id)
        return meter.totals(self._plane.counters(session_id)) if meter is not None else None

    def total(self) -> DirectionCounters:
        """All that was ever forwarded, live sessions included; `last_seen` is None."""
        return replace(self._gone.plus(self._plane.totals()), last_seen=None)

    def _count(self, gone: Mapping[Leg, RouteCounters], session_ids: Iterable[str]) -> None:
        """The rows of these sessions are gone, all of them."""
        for session_id in session_ids:
            self._meters[session_id].rows_removed(gone)
        for counters in gone.values():
            self._gone = self._gone.plus(counters)


@contextmanager
def _no_collection() -> Iterator[None]:
    """What thousands of rows leave would have it look at every session there is, several times over."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
