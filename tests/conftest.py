"""What every suite shares: how property tests run."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# The same examples on every run: a finding is written down as an example, never left to luck. No deadline: on
# a shared machine the time of one example says nothing.
settings.register_profile(
    "house", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("house")
