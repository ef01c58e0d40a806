"""The sign-in throttle."""

import pytest

from auth.throttle import FailureTable, SignInFailure, SignInThrottle, Verdict, source_prefix

WINDOW = 80.0
SLICE = WINDOW / 8
GO = Verdict(allowed=True, retry_after_seconds=0)


def _throttle(per_login: int = 3, per_source: int = 100, max_logins: int = 16) -> SignInThrottle:
    return SignInThrottle(
        max_failures_per_login=per_login,
        max_failures_per_source=per_source,
        failure_window_seconds=WINDOW,
        max_logins=max_logins,
        max_sources=max_logins,
    )


def _fail(throttle: SignInThrottle, login: str, times: int, now: float = 0.0) -> None:
    for number in range(times):
        assert throttle.attempt(login, f"10.0.{number}.1", now).allowed


def test_a_login_is_refused_once_it_has_failed_as_often_as_permitted() -> None:
    throttle = _throttle(per_login=3)
    _fail(throttle, "ada", 3)
    assert not throttle.attempt("ada", "192.0.2.1", 1.0).allowed
    assert throttle.attempt("grace", "192.0.2.1", 1.0) == GO


def test_the_verdict_says_when_to_come_back_and_then_the_attempt_is_allowed() -> None:
    throttle = _throttle(per_login=1)
    assert throttle.attempt("ada", "192.0.2.1", 5.0) == GO
    refused = throttle.attempt("ada", "192.0.2.1", 5.0)
    assert refused == Verdict(allowed=False, retry_after_seconds=85)
    assert not throttle.attempt("ada", "192.0.2.1", 5.0 + 84).allowed
    assert throttle.attempt("ada", "192.0.2.1", 5.0 + 85) == GO


def test_refused_attempts_do_not_prolong_the_wait() -> None:
    throttle = _throttle(per_login=1)
    assert throttle.attempt("ada", "192.0.2.1", 0.0).allowed
    for second in range(89):
        assert not throttle.attempt("ada", "192.0.2.1", float(second)).allowed
    assert throttle.attempt("ada", "192.0.2.1", 90.0).allowed


def test_simultaneous_attempts_cannot_outrun_the_limit() -> None:
    throttle = _throttle(per_login=3)
    verdicts = [throttle.attempt("ada", "192.0.2.1", 0.0).allowed for _ in range(10)]
    assert verdicts.count(True) == 3


def test_an_attempt_given_back_costs_nothing() -> None:
    throttle = _throttle(per_login=2, per_source=2)
    for _ in range(50):
        assert throttle.attempt("ada", "192.0.2.1", 3.0) == GO
        throttle.give_back("ada", "192.0.2.1", 3.0)


def test_the_right_password_does_not_forgive_earlier_failures() -> None:
    throttle = _throttle(per_login=2, per_source=2)
    assert throttle.attempt("ada", "192.0.2.1", 0.0).allowed
    assert throttle.attempt("own-account", "192.0.2.1", 0.0).allowed
    throttle.give_back("own-account", "192.0.2.1", 0.0)
    assert throttle.attempt("grace", "192.0.2.1", 0.0).allowed
    assert not throttle.attempt("alan", "192.0.2.1", 0.0).allowed


def test_one_source_trying_many_logins_is_refused() -> None:
    throttle = _throttle(per_source=5)
    verdicts = [throttle.attempt(f"user{number}", "192.0.2.1", 0.0).allowed for number in range(9)]
    assert verdicts == [True] * 5 + [False] * 4


def test_an_attempt_refused_to_its_source_does_not_count_against_the_login() -> None:
    throttle = _throttle(per_login=1, per_source=1)
    assert throttle.attempt("grace", "192.0.2.1", 0.0).allowed
    assert not throttle.attempt("ada", "192.0.2.1", 0.0).allowed
    assert throttle.attempt("ada", "198.51.100.1", 0.0).allowed


@pytest.mark.parametrize("spelling", ["ADA", " ada ", "\uff41da", "Ada"])
def test_spellings_that_the_directory_takes_for_one_login_share_a_counter(spelling: str) -> None:
    throttle = _throttle(per_login=1)
    assert throttle.attempt("ada", "192.0.2.1", 0.0).allowed
    assert not throttle.attempt(spelling, "198.51.100.1", 0.0).allowed


@pytest.mark.parametrize("login", ["", "\x00", "\ud800", "a" * 1_000_000])
def test_a_login_nobody_can_have_is_throttled_like_any_other(login: str) -> None:
    throttle = _throttle(per_login=1)
    assert throttle.attempt(login, "192.0.2.1", 0.0).allowed
    assert not throttle.attempt(login, "198.51.100.1", 0.0).allowed


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.254", True),
        ("192.0.2.1", "192.0.3.1", False),
        ("192.0.2.1", "::ffff:192.0.2.9", True),
        ("2001:db8:1::1", "2001:db8:1:ffff::1", True),
        ("2001:db8:1::1", "2001:db8:2::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("unix:", "192.0.2.1.4", True),
        ("unix:", "0.0.0.0", False),
    ],
)
def test_sources_share_a_counter_by_prefix(one: str, other: str, same: bool) -> None:
    assert (source_prefix(one) == source_prefix(other)) is same


def test_a_flood_of_sources_evicts_no_login() -> None:
    throttle = _throttle(per_login=2, max_logins=16)
    _fail(throttle, "ada", 2)
    for number in range(400):
        throttle.attempt("ada", f"10.{number // 256}.{number % 256}.1", 1.0)
        throttle.attempt("grace", f"11.{number // 256}.{number % 256}.1", 1.0)
    assert not throttle.attempt("ada", "192.0.2.1", 1.0).allowed


def test_a_flood_of_logins_evicts_the_locked_login_last() -> None:
    table = FailureTable(max_failures=3, window_seconds=WINDOW, max_entries=16)
    for _ in range(3):
        table.charge(b"locked", 0.0)
    for number in range(30):
        table.charge(b"flood%d" % number, 1.0)
    assert len(table) <= 16
    assert table.wait_seconds(b"locked", 1.0) == 89


def test_the_longest_untouched_of_equal_entries_is_evicted_first() -> None:
    table = FailureTable(max_failures=9, window_seconds=WINDOW, max_entries=2)
    table.charge(b"first", 0.0)
    table.charge(b"second", 0.0)
    table.charge(b"second", 0.0)
    table.give_back(b"second", 0.0)
    table.charge(b"third", 0.0)
    assert list(table._entries) == [b"second", b"third"]


def test_what_an_evicted_entry_counted_is_not_forgotten() -> None:
    table = FailureTable(max_failures=2, window_seconds=WINDOW, max_entries=1)
    table.charge(b"ada", 0.0)
    table.charge(b"grace", 0.0)
    table.charge(b"ada", 1.0)
    assert table.wait_seconds(b"ada", 1.0) == 89
    assert table.wait_seconds(b"ada", 90.0) == 0


def test_expired_entries_make_room_before_live_ones_do() -> None:
    table = FailureTable(max_failures=2, window_seconds=WINDOW, max_entries=8)
    for number in range(7):
        table.charge(b"old%d" % number, 0.0)
        table.charge(b"old%d" % number, 0.0)
    table.charge(b"live", 95.0)
    table.charge(b"new", 95.0)
    assert set(table._entries) == {b"live", b"new"}
    assert table.wait_seconds(b"never seen", 95.0) == 0


@pytest.mark.parametrize(
    ("failures", "window", "entries"), [(0, 1.0, 1), (1, 0.0, 1), (1, 1.0, 0), (1, float("inf"), 1)]
)
def test_limits_that_are_not_positive_are_refused(failures: int, window: float, entries: int) -> None:
    with pytest.raises(ValueError, match="positive"):
        FailureTable(failures, window, entries)


# --- across restarts ----------------------------------------------------------------------------------------

NOON_MS = 1_800_000_000_000


def _kept(throttle: SignInThrottle, login: str, times: int, at_ms: int = NOON_MS) -> list[SignInFailure]:
    _fail(throttle, login, times)
    return [throttle.failure(login, f"10.0.{number}.1", at_ms) for number in range(times)]


def test_what_is_kept_of_a_failure_is_the_keys_of_the_tables_and_its_time() -> None:
    throttle = _throttle()
    failure = throttle.failure(" ADA ", "192.0.2.77", NOON_MS)
    assert failure == throttle.failure("ada", "192.0.2.1", NOON_MS)
    assert (len(failure.login_key), failure.source_key.reveal()) == (64, "c00002")
    assert failure.counts_until_ms == NOON_MS + int((WINDOW + SLICE) * 1000)
    assert "ada" not in repr(failure).lower()
    assert "c00002" not in repr(failure)


def test_a_locked_login_is_locked_after_a_restart_for_as_long_as_it_would_have_been() -> None:
    kept = _kept(_throttle(per_login=3), "ada", 3)
    again = _throttle(per_login=3)
    again.restore(kept, NOON_MS + 30_000, 5.0)
    assert not again.attempt("Ada", "192.0.2.1", 5.0).allowed
    assert again.attempt("grace", "192.0.2.1", 5.0) == GO
    assert not again.attempt("ada", "192.0.2.1", 5.0 + 49).allowed, "the window is not over"
    assert again.attempt("ada", "192.0.2.1", 5.0 + 60).allowed


def test_a_source_that_failed_too_often_is_refused_after_a_restart() -> None:
    throttle = _throttle(per_source=2)
    kept = [throttle.failure(f"user{number}", "192.0.2.1", NOON_MS) for number in range(2)]
    again = _throttle(per_source=2)
    again.restore(kept, NOON_MS, 5.0)
    assert not again.attempt("ada", "192.0.2.9", 5.0).allowed
    assert again.attempt("ada", "198.51.100.1", 5.0) == GO


@pytest.mark.parametrize("set_back_seconds", [1, 3600, 10**9])
def test_a_clock_that_was_set_back_frees_nobody(set_back_seconds: int) -> None:
    kept = _kept(_throttle(per_login=3), "ada", 3)
    again = _throttle(per_login=3)
    again.restore(kept, NOON_MS - set_back_seconds * 1000, 5.0)
    assert not again.attempt("ada", "192.0.2.1", 5.0 + 79).allowed
    assert again.attempt("ada", "192.0.2.1", 5.0 + 90).allowed


def test_a_failure_whose_time_is_over_counts_no_more() -> None:
    kept = _kept(_throttle(per_login=3), "ada", 3)
    again = _throttle(per_login=3)
    again.restore(kept, NOON_MS + 90_000, 5.0)
    assert again.attempt("ada", "192.0.2.1", 5.0) == GO
