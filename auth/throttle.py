"""Sign-in throttle: how often a login and a source may be wrong before they have to wait.

An attempt is charged as a failure when it is let through and given back when it turns out not to be one.
Charging only afterwards would let a burst of simultaneous attempts through before the first of them has
failed.

Failures are counted in slices of an eighth of the window and forgotten a slice late rather than early, so
that no interval as long as the window ever holds more failures than permitted.

Both tables are of fixed size. The table of logins is separate from the table of sources: a flood from many
sources does not touch what is remembered of a login. When a table is full, what has expired goes first, then
the entries with the fewest failures, the longest untouched among equals: a locked login goes last. What an
evicted entry counted lives on as a floor under every entry made later, hence eviction can make the throttle
stricter but never laxer.

What was let through and turned out wrong is kept by whoever uses the throttle, a `SignInFailure` each, and
told to the throttle of the next run: a restart frees nobody. How many there are is bounded by the throttle
itself: within the time that one counts, it lets through no more than both tables of logins and sources hold.
"""

from __future__ import annotations

import hashlib
import heapq
import math
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from auth.case_ignore import case_ignore_key
from auth.personal import Personal

SLICES_PER_WINDOW = 8
MAX_LOGIN_CHARACTERS = 256
_IPV4_PREFIX_BYTES = 3  # /24
_IPV6_PREFIX_BYTES = 6  # /48: what one customer is commonly given


@dataclass(frozen=True, slots=True)
class Verdict:
    allowed: bool
    retry_after_seconds: int
    """0 when allowed, else at least 1: when the next attempt can be let through, for Retry-After."""


@dataclass(frozen=True, slots=True)
class SignInFailure:
    """One wrong password, for the next run: the keys of the two tables in hex, never the login itself. Times
    are of the clock on the wall, in Unix milliseconds; that of the throttle does not outlive the host."""

    login_key: str
    source_key: Personal
    at_ms: int
    counts_until_ms: int


class SignInThrottle:
    """Pure state; `now` is monotonic seconds and never runs backwards between calls."""

    def __init__(
        self,
        *,
        max_failures_per_login: int,
        max_failures_per_source: int,
        failure_window_seconds: float,
        max_logins: int = 16_384,
        max_sources: int = 16_384,
    ) -> None:
        self._counts_for_ms = math.ceil(failure_window_seconds * 1000 * (1 + 1 / SLICES_PER_WINDOW))
        self.logins = FailureTable(max_failures_per_login, failure_window_seconds, max_logins)
        self.sources = FailureTable(max_failures_per_source, failure_window_seconds, max_sources)

    def attempt(self, login: str, source: str, now: float) -> Verdict:
        """Ask before the password is looked at. An allowed attempt is charged to the login and to the source;
        a refused one costs neither, so that hammering a locked login does not prolong the lock."""
        wait_seconds = max(table.wait_seconds(key, now) for table, key in self._counters(login, source))
        if wait_seconds > 0:
            return Verdict(allowed=False, retry_after_seconds=wait_seconds)
        for table, key in self._counters(login, source):
            table.charge(key, now)
        return Verdict(allowed=True, retry_after_seconds=0)

    def give_back(self, login: str, source: str, attempted_at: float) -> None:
        """The attempt allowed at `attempted_at` was no failure: the password was right, or nobody could tell.
        Earlier failures stay: signing in to an account of one's own does not buy more guesses at others."""
        for table, key in self._counters(login, source):
            table.give_back(key, attempted_at)

    def failure(self, login: str, source: str, at_ms: int) -> SignInFailure:
        """The attempt allowed at that time was one. To be kept before anybody is told so."""
        key, prefix = _login_key(login).hex(), Personal(source_prefix(source).hex())
        return SignInFailure(key, prefix, at_ms, at_ms + self._counts_for_ms)

    def restore(self, failures: Iterable[SignInFailure], now_ms: int, now: float) -> None:
        """Before the first attempt: charge what earlier runs kept. One from the future, as a clock that was
        set back leaves it, counts from now."""
        aged = [(max(0, now_ms - failure.at_ms) / 1000, failure) for failure in failures]
        for age_seconds, failure in sorted(aged, key=lambda pair: pair[0], reverse=True):
            self.logins.charge(bytes.fromhex(failure.login_key), now - age_seconds)
            self.sources.charge(bytes.fromhex(failure.source_key.reveal()), now - age_seconds)

    def _counters(self, login: str, source: str) -> tuple[tuple[FailureTable, bytes], ...]:
        return (self.logins, _login_key(login)), (self.sources, source_prefix(source))


class FailureTable:
    """Failures per key, at most `max_entries` keys."""

    def __init__(self, max_failures: int, window_seconds: float, max_entries: int) -> None:
        if max_failures < 1 or max_entries < 1 or not 0 < window_seconds < math.inf:
            raise ValueError("limits of a throttle are positive")
        self._max_failures = max_failures
        self._slice_seconds = window_seconds / SLICES_PER_WINDOW
        self._max_entries = max_entries
        self._entries: dict[bytes, dict[int, int]] = {}
        self._floor: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def wait_seconds(self, key: bytes, now: float) -> int:
        """0 if the key may fail once more, else the whole seconds until it may, at least 1."""
        slices = self._live(self._counts(key, now), now)
        remaining = sum(slices.values())
        wait_seconds = 0
        for index in sorted(slices):
            if remaining < self._max_failures:
                break
            remaining -= slices[index]
            forgotten_at = (index + SLICES_PER_WINDOW + 1) * self._slice_seconds
            wait_seconds = max(1, math.ceil(forgotten_at - now))
        return wait_seconds

    def charge(self, key: bytes, now: float) -> None:
        if key not in self._entries and len(self._entries) >= self._max_entries:
            self._make_room(now)
        counts = self._live(self._counts(key, now), now)
        index = self._slice(now)
        counts[index] = counts.get(index, 0) + 1
        self._entries.pop(key, None)  # the dictionary's order is that of the last charge
        self._entries[key] = counts

    def give_back(self, key: bytes, charged_at: float) -> None:
        counts, index = self._entries.get(key), self._slice(charged_at)
        if counts is not None and counts.get(index, 0) > 0:
            counts[index] -= 1

    def _slice(self, now: float) -> int:
        return math.floor(now / self._slice_seconds)

    def _live(self, counts: dict[int, int], now: float) -> dict[int, int]:
        oldest = self._slice(now) - SLICES_PER_WINDOW
        return {index: count for index, count in counts.items() if index >= oldest and count > 0}

    def _counts(self, key: bytes, now: float) -> dict[int, int]:
        """A key that is not in the table may be one that was evicted: it starts from the floor."""
        counts = self._entries.get(key)
        if counts is not None:
            return counts
        floor = self._live(self._floor, now)
        return {max(floor): max(floor.values())} if floor else {}

    def _make_room(self, now: float) -> None:
        """Drop what has expired and then, if need be, an eighth of the table at once: that spreads the cost
        of looking at every entry over as many new keys."""
        self._entries = {key: live for key, old in self._entries.items() if (live := self._live(old, now))}
        room = max(1, self._max_entries // 8)
        surplus = len(self._entries) - (self._max_entries - room)
        # nsmallest keeps the order of equals: the longest untouched first.
        victims = heapq.nsmallest(surplus, self._entries, key=lambda key: sum(self._entries[key].values()))
        for key in victims:
            counts = self._entries.pop(key)
            newest = max(counts)
            self._floor[newest] = max(self._floor.get(newest, 0), sum(counts.values()))
        self._floor = self._live(self._floor, now)


def source_prefix(source: str) -> bytes:
    """The /24 of an IPv4 address, also of one mapped into IPv6, or the /48 of an IPv6 address: who holds a
    block must not have a counter per address. All that is no address shares one key."""
    try:
        address = ip_address(source)
    except ValueError:
        return b""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is None:
            return address.packed[:_IPV6_PREFIX_BYTES]
        address = address.ipv4_mapped
    return address.packed[:_IPV4_PREFIX_BYTES]


def _login_key(login: str) -> bytes:
    """The spellings that the directory takes for one login share a counter. No personal text stays in the
    table."""
    folded = case_ignore_key(login[:MAX_LOGIN_CHARACTERS])
    return hashlib.sha256(folded.encode("utf-8", "surrogatepass")).digest()
