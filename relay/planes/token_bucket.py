"""A token bucket; time is an argument."""

from __future__ import annotations


class TokenBucket:
    """Holds at most `burst` tokens, of which the last `reserve` go only to those who may use it."""

    __slots__ = ("_burst", "_filled_at", "_per_second", "_reserve", "_tokens")

    def __init__(self, per_second: float, burst: float, reserve: float = 0) -> None:
        self._per_second = per_second
        self._burst = burst
        self._reserve = reserve
        self._tokens = burst
        self._filled_at: float | None = None

    def set_rate(self, per_second: float, burst: float) -> None:
        """From now on; what is there stays, up to the new burst."""
        self._per_second = per_second
        self._burst = burst
        self._tokens = min(self._tokens, burst)

    def left(self, now: float) -> float:
        """What could be spent now (monotonic seconds), the reserve included."""
        if self._filled_at is not None:
            self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._per_second)
        self._filled_at = now
        return self._tokens

    def has(self, amount: float, now: float, *, use_reserve: bool) -> bool:
        """Whether `amount` could be spent now."""
        return self.left(now) - (0 if use_reserve else self._reserve) >= amount

    def spend(self, amount: float) -> None:
        self._tokens -= amount

    def take(self, amount: float, now: float, *, use_reserve: bool = True) -> bool:
        if not self.has(amount, now, use_reserve=use_reserve):
            return False
        self._tokens -= amount
        return True
