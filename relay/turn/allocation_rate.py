"""How fast one session may allocate."""

from __future__ import annotations

BURST = 64
"""At once. A browser makes an allocation per network interface and relay URL, a dozen for both parties of a
call, and as many again at each ICE restart."""
PER_SECOND = 4
"""From then on, longer than any client would go on by itself. With this rate a session needs more than half
an hour to have had every pair of its ports, so that none is used again while a channel to it could live."""


class AllocationRate:
    """A token bucket per session. `now` in monotonic seconds; remembers only who allocated lately."""

    def __init__(self) -> None:
        self._full_at: dict[str, float] = {}

    def take(self, session_id: str, now: float) -> bool:
        """Whether one more allocation is within the rate; if so it counts."""
        full_at = max(self._full_at.get(session_id, now), now)
        if full_at - now > (BURST - 1) / PER_SECOND:
            return False
        self._full_at[session_id] = full_at + 1 / PER_SECOND
        return True

    def forget_rested(self, now: float) -> None:
        """Drop the sessions whose bucket is full again."""
        self._full_at = {one: full_at for one, full_at in self._full_at.items() if full_at > now}
