"""One-time codes and the lines that enrol people, against any text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from auth.second_factor import SecondFactorError, SecondFactors, account_line, code_at, parse_account

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
FACTORS = SecondFactors([SecretStr(account_line("carol", SECRET))])
times = st.integers(60, 4_000_000_000)
any_text = st.text(st.characters(exclude_categories=[]), max_size=300)
base32 = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz234567=", max_size=140)


@given(any_text | st.builds(account_line, any_text, base32))
def test_a_line_is_an_account_or_its_one_error(line: str) -> None:
    try:
        login, codes = parse_account(line)
    except SecondFactorError as refused:
        assert str(refused).isprintable()
        return
    assert line == account_line(login, codes.secret)
    assert login.isprintable()
    assert len(codes.byte_secret()) >= 14
    SecondFactors([SecretStr(line)])


@given(any_text, any_text, st.integers(-(2**40), 2**40))
def test_any_login_code_and_time_is_a_step_or_none(login: str, code: str, now: int) -> None:
    step = FACTORS.step_of(login, code, now)
    assert step is None or (FACTORS.enrolled(login) and abs(step - now // 30) <= 1)


@given(times, st.integers(-5, 5))
def test_a_code_is_good_within_one_step_and_tells_its_own(now: int, steps: int) -> None:
    then = max(now + 30 * steps, 0)
    step = FACTORS.step_of("carol", code_at(SECRET, then), now)
    if abs(then // 30 - now // 30) <= 1:
        assert step is not None
        # Two steps of the window may by chance have one code.
        assert code_at(SECRET, step * 30) == code_at(SECRET, then)
    elif step is not None:
        assert code_at(SECRET, step * 30) == code_at(SECRET, then)
