"""The throttle's two promises, whatever happens in whatever order: bounded memory and bounded guessing."""

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from auth.throttle import SignInThrottle

WINDOW = 80.0

steps = st.lists(
    st.tuples(
        st.sampled_from(["ada", "grace", "alan", "edsger", "barbara", "ken"]),
        st.integers(0, 9),
        st.sampled_from([0.0, 0.0, 0.25, 3.0, 9.5, 30.0, 79.75, 80.0]),
        st.booleans(),
    ),
    max_size=120,
)


@given(steps, st.integers(1, 4), st.integers(1, 6), st.integers(1, 6))
def test_a_login_never_fails_more_often_in_any_window_than_permitted(
    steps: list[tuple[str, int, float, bool]], limit: int, max_logins: int, max_sources: int
) -> None:
    throttle = SignInThrottle(
        max_failures_per_login=limit,
        max_failures_per_source=limit * 3,
        failure_window_seconds=WINDOW,
        max_logins=max_logins,
        max_sources=max_sources,
    )
    failures: dict[str, list[float]] = defaultdict(list)
    now = 1000.0
    for login, network, pause, wrong in steps:
        now += pause
        source = f"10.0.{network}.1"
        if not throttle.attempt(login, source, now).allowed:
            continue
        if wrong:
            failures[login].append(now)
            failures[source].append(now)
        else:
            throttle.give_back(login, source, now)
        assert len(throttle.logins) <= max_logins
        assert len(throttle.sources) <= max_sources
    for key, times in failures.items():
        most = limit * 3 if key.startswith("10.") else limit
        for start in times:
            assert sum(1 for time in times if start <= time < start + WINDOW) <= most


@given(steps)
def test_a_refused_attempt_is_let_through_at_the_time_the_verdict_names(
    steps: list[tuple[str, int, float, bool]],
) -> None:
    throttle = SignInThrottle(
        max_failures_per_login=2, max_failures_per_source=3, failure_window_seconds=WINDOW
    )
    now = 0.0
    for login, network, pause, _ in steps:
        now += pause
        throttle.attempt(login, f"10.0.{network}.1", now)
    verdict = throttle.attempt("ada", "10.0.0.1", now)
    if not verdict.allowed:
        assert throttle.attempt("ada", "10.0.0.1", now + verdict.retry_after_seconds).allowed
