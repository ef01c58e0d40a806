"""The rows of a plane together with what they count, by session."""

from __future__ import annotations

from relay.meter import DirectionCounters, SessionCounters, SessionMeter
from relay.turn.routing import sender_limiter
from relay.vocabulary import Leg, Limiter, Plane, Route

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

    def install(self, route: Route, sender: str, receiver: str) -> None:
        """The row's packets are counted as from `sender` to `receiver`."""
        self._plane.install(route)
        meter = self._meters.setdefault(route.session_id, SessionMeter())
        meter.row_installed(route.source, sender, receiver)

    def remove(self, session_id: str, source: Leg) -> None:
        counters = self._plane.remove(source)
        self._meters[session_id].row_removed(source, counters)
        if counters is not None:
            self._gone = self._gone.plus(counters)

    def limit_sender(self, session_id: str, party: str, limiter: Limiter | None) -> None:
        """Ends with the session."""
        self._plane.set_limit(sender_limiter(session_id, party), limiter)
        if limiter is not None:
            self._limited.setdefault(session_id, set()).add(party)

    def remove_session(self, session_id: str) -> SessionCounters:
        """Its last counters, which `last_counters` gives once more."""
        rows = self._plane.remove_session(session_id)
        for party in self._limited.pop(session_id, ()):
            self._plane.set_limit(sender_limiter(session_id, party), None)
        meter = self._meters.pop(session_id, None)
        if meter is None:
            return SessionCounters()
        for source, counters in rows.items():
            meter.row_removed(source, counters)
            self._gone = self._gone.plus(counters)
        last = self._last[session_id] = meter.totals({})
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
        """All that was ever forwarded, live sessions included."""
        return self._gone.plus(self._plane.totals())
