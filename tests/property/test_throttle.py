"""The throttle's promises, whatever happens in whatever order: bounded memory, guessing and disk, and
no restart that helps whoever guesses."""

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from auth.throttle import SignInFailure, SignInThrottle

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


lives = st.lists(st.tuples(steps, st.floats(0, 200), st.floats(0, 1e6)), min_size=1, max_size=6)
"""Of each run of the edge: what is tried, how long it is down afterwards, and by how much the clock on
the wall is set back meanwhile."""


@given(lives, st.integers(1, 4), st.integers(1, 6))
def test_no_restart_and_no_clock_set_back_buys_a_single_guess(
    lives: list[tuple[list[tuple[str, int, float, bool]], float, float]], limit: int, max_entries: int
) -> None:
    failures: dict[str, list[float]] = defaultdict(list)
    kept: list[SignInFailure] = []
    now, set_back = 1000.0, 0.0
    for number, (life, down_seconds, back_seconds) in enumerate(lives):
        throttle = _throttle(limit, max_entries)
        booted = now - number * 7  # each run counts seconds from another moment
        throttle.restore(kept, _wall_ms(now - set_back), now - booted)
        for login, network, pause, wrong in life:
            now += pause
            source = f"10.0.{network}.1"
            if not throttle.attempt(login, source, now - booted).allowed:
                continue
            if wrong:
                failures[login].append(now)
                kept = [*kept, throttle.failure(login, source, _wall_ms(now - set_back))]
            else:
                throttle.give_back(login, source, now - booted)
        now += down_seconds
        set_back += back_seconds
    for times in failures.values():
        for start in times:
            assert sum(1 for time in times if start <= time < start + WINDOW - 0.002) <= limit


@given(steps, st.integers(1, 4))
def test_a_restarted_throttle_makes_everybody_wait_at_least_as_long(
    steps: list[tuple[str, int, float, bool]], limit: int
) -> None:
    throttle, kept, now = _throttle(limit, 64), [], 1000.0
    for login, network, pause, _ in steps:
        now += pause
        if throttle.attempt(login, f"10.0.{network}.1", now).allowed:
            kept.append(throttle.failure(login, f"10.0.{network}.1", _wall_ms(now)))
        restarted = _throttle(limit, 64)
        restarted.restore(kept, _wall_ms(now), now)
        for table, again in ((throttle.logins, restarted.logins), (throttle.sources, restarted.sources)):
            assert table._entries.keys() <= again._entries.keys()
            for key in table._entries:
                assert again.wait_seconds(key, now) >= table.wait_seconds(key, now)


@given(st.integers(1, 3), st.integers(1, 12))
def test_what_is_kept_for_the_next_run_is_bounded_by_the_tables(limit: int, max_entries: int) -> None:
    throttle = _throttle(limit, max_entries)
    kept = [
        number
        for number in range(20 * limit * max_entries)
        if throttle.attempt(f"login {number}", f"10.{number // 256}.{number % 256}.1", 0.0).allowed
    ]
    assert len(kept) <= limit * max_entries + max(1, max_entries // 8)


def _throttle(limit: int, max_entries: int) -> SignInThrottle:
    return SignInThrottle(
        max_failures_per_login=limit,
        max_failures_per_source=limit * 3,
        failure_window_seconds=WINDOW,
        max_logins=max_entries,
        max_sources=max_entries,
    )


def _wall_ms(seconds: float) -> int:
    return int((2e9 + seconds) * 1000)
