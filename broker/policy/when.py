"""When: whether a window of time is open at a moment, and when that changes next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from config.policy.when import DAYS, When

DAYS_AHEAD = 8
"""A window of days comes round in a week; whatever is the same for longer is looked at again then."""


@dataclass(frozen=True, slots=True)
class Span:
    """From `since` until before `until` (Unix seconds) the window is open, or it is closed."""

    open: bool
    since_unix_seconds: int
    until_unix_seconds: int

    def holds(self, at_unix_seconds: int) -> bool:
        return self.since_unix_seconds <= at_unix_seconds < self.until_unix_seconds


def span_at(when: When, at_unix_seconds: int) -> Span:
    """The span that holds at this moment, at most `DAYS_AHEAD` long. No calendar goes on for ever: at a
    moment that it does not have, every window is closed."""
    try:
        return _span(when, at_unix_seconds)
    except (OverflowError, ValueError, OSError):
        return Span(False, at_unix_seconds, at_unix_seconds + 1)


def _span(when: When, at_unix_seconds: int) -> Span:
    today = datetime.fromtimestamp(at_unix_seconds, ZoneInfo(when.tz)).date()
    since, until = at_unix_seconds, _instant(when.tz, today + timedelta(days=DAYS_AHEAD), 0)
    is_open = False
    days = DAYS if when.days is None else when.days
    for first, last in _windows(when.tz, days, when.minutes, today):
        if first <= at_unix_seconds < last:
            is_open, since, until = True, first, last
        elif is_open and first <= until:
            until = max(until, last)  # the next day's window begins where this one ends
        elif first > at_unix_seconds:
            return Span(is_open, since, until if is_open else first)
    return Span(is_open, since, until)


@lru_cache(maxsize=256)
def _windows(
    tz: str, days: tuple[str, ...], minutes: tuple[int, int], today: date
) -> tuple[tuple[int, int], ...]:
    """Windows in Unix seconds, from yesterday's, which may reach into today, in order. An hour that the
    clocks leave out makes the window shorter; one that comes twice makes it longer."""
    found = []
    for ahead in range(-1, DAYS_AHEAD):
        day = today + timedelta(days=ahead)
        if DAYS[day.weekday()] in days:
            first, last = _instant(tz, day, minutes[0]), _instant(tz, day, minutes[1], fold=1)
            if first < last:
                found.append((first, last))
    return tuple(found)


def _instant(tz: str, day: date, minute: int, fold: int = 0) -> int:
    """The moment at which clocks there show this minute; where they leave it out, the moment at which they
    are put forward; where they show it twice, the first time, or with `fold` the second."""
    day += timedelta(days=minute // 1440)
    minute %= 1440
    zone = ZoneInfo(tz)
    local = datetime(day.year, day.month, day.day, minute // 60, minute % 60, tzinfo=zone, fold=fold)
    moment = local.astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None):
        return int(moment.timestamp())
    before, after = local.replace(fold=1).astimezone(UTC), local.replace(fold=0).astimezone(UTC)
    put_forward = local.replace(fold=1).utcoffset()
    while before < after and before.astimezone(zone).utcoffset() != put_forward:
        before += timedelta(minutes=1)
    return int(before.timestamp())
