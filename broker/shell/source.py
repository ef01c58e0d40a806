"""Source: the network a request comes from, and a token bucket for each such network in a table of fixed
size."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network


def source_prefix(address: str) -> str:
    """The /24 or /48 an address belongs to, IPv4 in IPv6 form reduced first; "unknown" for what is no
    address."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return str(ip_network((parsed, 24 if parsed.version == 4 else 48), strict=False))


@dataclass(slots=True)
class TokenBucket:
    """`rate_per_second` sustained, `burst` at once."""

    rate_per_second: float
    burst: float
    _tokens: float = -1.0
    _at: float = 0.0

    def take(self, now_monotonic_seconds: float) -> bool:
        """Whether one more is within the rate."""
        if self._tokens < 0:
            self._tokens = self.burst
        else:
            elapsed = now_monotonic_seconds - self._at
            self._tokens = min(self.burst, self._tokens + elapsed * self.rate_per_second)
        self._at = now_monotonic_seconds
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class SourceLimiter:
    """A bucket for each source prefix. The table holds `max_rows`; the one unused longest makes room."""

    def __init__(self, rate_per_second: float, burst: float, max_rows: int) -> None:
        self._rate = rate_per_second
        self._burst = burst
        self._max_rows = max_rows
        self._rows: OrderedDict[str, TokenBucket] = OrderedDict()

    def take(self, prefix: str, now_monotonic_seconds: float) -> bool:
        """Whether one more request from this prefix is within its rate."""
        bucket = self._rows.pop(prefix, None) or TokenBucket(self._rate, self._burst)
        self._rows[prefix] = bucket
        if len(self._rows) > self._max_rows:
            self._rows.popitem(last=False)
        return bucket.take(now_monotonic_seconds)
