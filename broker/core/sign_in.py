"""Sign-in: what an insider's token stands for, and until when.

Two ends are measured by the clock that nobody sets: at an age that no use prolongs, and after so long without
a connection that was made with the token.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from broker.core.clock import Now
from broker.core.stored import StoredSignIn

CHECKS_PER_IDLE_TIME = 4
"""While it is used: how often that is noted, so that a kill costs no more than that part of the idle time."""


@dataclass(slots=True)
class SignIn:
    kept: StoredSignIn
    """As the store has it, or is about to."""
    ends_at_monotonic_seconds: float
    used_at_monotonic_seconds: float

    @classmethod
    def of(cls, kept: StoredSignIn, longest_seconds: int, now: Now) -> SignIn:
        """One just begun or of an earlier run. A clock that was set back meanwhile makes it last no longer
        than any sign-in does from now on."""
        left = min(kept.expires_at_unix_seconds - now.wall_seconds, longest_seconds)
        unused = max(0, now.wall_seconds - kept.used_at_unix_seconds)
        return cls(kept, now.monotonic_seconds + left, now.monotonic_seconds - unused)

    def use(self, now: Now, program: str | None = None) -> StoredSignIn:
        """It is in use now, by this program where it has said its name; gives what to store."""
        self.used_at_monotonic_seconds = now.monotonic_seconds
        program = self.kept.program if program is None else program
        self.kept = replace(self.kept, used_at_unix_seconds=now.wall_seconds, program=program)
        return self.kept

    def over(self, now: Now, idle_seconds: int) -> Literal["expired", "idle"] | None:
        """Why it is over, once it is."""
        if now.monotonic_seconds >= self.ends_at_monotonic_seconds:
            return "expired"
        if now.monotonic_seconds >= self.used_at_monotonic_seconds + idle_seconds:
            return "idle"
        return None

    def seconds_left(self, now: Now, idle_seconds: int) -> float:
        """Until it is over, if nobody uses it any more."""
        ends = min(self.ends_at_monotonic_seconds, self.used_at_monotonic_seconds + idle_seconds)
        return ends - now.monotonic_seconds
