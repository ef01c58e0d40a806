"""Limits: how long and at what rate something may go on, the strictest of all that allowed it."""

from __future__ import annotations

from collections.abc import Sequence

from broker.core.house import House
from broker.policy.decision import Decision


def allowed_until(house: House, decisions: Sequence[Decision], opened_at_unix_seconds: int) -> int:
    """Unix seconds at which it must end: the strictest of the settings and of every rule that allows it,
    whose minutes count from its opening."""
    ends = [opened_at_unix_seconds + house.rules.max_call_seconds]
    for decision in decisions:
        if decision.limits.minutes is not None:
            ends.append(opened_at_unix_seconds + decision.limits.minutes * 60)
        if decision.limits.until_unix_seconds is not None:
            ends.append(decision.limits.until_unix_seconds)
    return min(ends)


def allowed_rate(decisions: Sequence[Decision], before: int | None = None) -> int | None:
    """Bits per second of what each party may send, no more than `before`; None for no limit."""
    rates = [before, *(decision.limits.bits_per_second for decision in decisions)]
    return min((rate for rate in rates if rate is not None), default=None)
