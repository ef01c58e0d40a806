"""Clock: whether this machine's time is right; expiries, hours of rules, certificates and the record's times
follow it."""

from __future__ import annotations

from dataclasses import dataclass

from broker.shell.doctor.finding import Finding, ill, look, well

MAX_UNNOTICED_SECONDS = 5.0
"""A directory tells its time in whole seconds, and takes a moment to."""
MAX_SECONDS = 300.0
"""Active Directory itself bears no larger difference."""
_CHANGE = "Start a time service (chrony, systemd-timesyncd) and let it reach a source of time."


@dataclass(frozen=True, slots=True)
class KernelClock:
    """What the system says of its own clock."""

    synchronised: bool
    max_error_seconds: float


def judge_kernel(clock: KernelClock | None) -> Finding:
    """None where the system does not tell."""
    if clock is None:
        return look("clock", "The system does not say whether its clock is synchronised.", _CHANGE)
    if not clock.synchronised:
        return look("clock", "Nothing keeps this machine's clock right.", _CHANGE)
    most = f"{clock.max_error_seconds:.3f}"
    return well("clock", f"It is synchronised; the system takes it for right within {most} s.")


def judge_against_directory(check: str, ahead_seconds: float) -> Finding:
    """How far this machine is ahead of a server of the directory (negative: behind it)."""
    off = abs(ahead_seconds)
    which = "ahead of" if ahead_seconds > 0 else "behind"
    if off <= MAX_UNNOTICED_SECONDS:
        return well(check, "This machine and the server agree on the time.")
    found = f"This machine's clock is {off:.0f} s {which} the server's."
    change = f"Find out which of the two is wrong. {_CHANGE}"
    return ill(check, found, change) if off > MAX_SECONDS else look(check, found, change)
