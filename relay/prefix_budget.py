"""A budget per source network that takes the same memory whatever strangers send."""

from __future__ import annotations

from array import array
from ipaddress import IPv6Address

SLOTS = 1 << 16
"""So many that of a hundred networks that flood hardly one shares its slot with a given other."""


def network_of(ip: str) -> str:
    """The /24 or /48 that answers for an address, as text for records."""
    if ":" not in ip:
        return f"{ip.rpartition('.')[0]}.0/24"
    packed = IPv6Address(ip.partition("%")[0]).packed
    return f"{IPv6Address(packed[:6] + bytes(10))}/48"


class PrefixBudget:
    """Token buckets over a fixed table, indexed by a hash of the source network.

    Networks that fall into the same slot share it. Python keys the hash of text anew in every process, so
    nobody outside can choose whose slot to fill.
    """

    __slots__ = ("_burst", "_filled_at", "_per_second", "_tokens")

    def __init__(self, per_second: float, burst: float) -> None:
        self._per_second = per_second
        self._burst = burst
        self._tokens = array("d", [burst]) * SLOTS
        self._filled_at = array("d", [0.0]) * SLOTS

    def set_rate(self, per_second: float, burst: float) -> None:
        self._per_second = per_second
        self._burst = burst

    def take(self, ip: str, now: float) -> bool:
        """Spend one; False when this network has nothing left. `now` in monotonic seconds."""
        return self.spend(ip, now) > 0

    def spend(self, ip: str, now: float) -> float:
        """Spend one, and say which share of the burst was there; 0 when it was not enough."""
        network = ip.rpartition(".")[0] if ":" not in ip else IPv6Address(ip.partition("%")[0]).packed[:6]
        slot = hash(network) % SLOTS
        tokens = self._tokens[slot] + (now - self._filled_at[slot]) * self._per_second
        tokens = min(tokens, self._burst)
        self._filled_at[slot] = now
        if tokens < 1:
            self._tokens[slot] = tokens
            return 0.0
        self._tokens[slot] = tokens - 1
        return tokens / self._burst
