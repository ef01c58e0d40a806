"""Second factor: the codes that apps make, by login, and lines that enrol nobody."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from auth import second_factor
from auth.second_factor import (
    SecondFactorError,
    SecondFactors,
    account_line,
    code_at,
    enrolment_uri,
    new_secret,
    parse_account,
)

RFC_6238_KEY = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
"""Of appendix B, for SHA-1: the ASCII text 12345678901234567890."""
OTHERS_KEY = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
NOW = 1_800_000_000


def factors(*accounts: tuple[str, str]) -> SecondFactors:
    return SecondFactors(SecretStr(account_line(*account)) for account in accounts)


CAROL = factors(("Carol", RFC_6238_KEY), ("olga", OTHERS_KEY))


@pytest.mark.parametrize(
    ("unix_seconds", "code"),
    [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (20000000000, "353130")],
)
def test_the_codes_are_the_last_six_digits_of_the_vectors_of_rfc_6238(unix_seconds: int, code: str) -> None:
    assert code_at(RFC_6238_KEY, unix_seconds) == code
    assert CAROL.step_of("carol", code, unix_seconds) == unix_seconds // 30


@pytest.mark.parametrize(("steps", "good"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_clocks_may_be_one_step_apart_either_way(steps: int, good: bool) -> None:
    code = code_at(RFC_6238_KEY, NOW + 30 * steps)
    assert CAROL.step_of("carol", code, NOW) == (NOW // 30 + steps if good else None)


@pytest.mark.parametrize("login", ["carol", "CAROL", " Carol ", "\uff23arol"])
def test_a_login_is_compared_as_directories_do(login: str) -> None:
    assert CAROL.enrolled(login)
    assert CAROL.step_of(login, code_at(RFC_6238_KEY, NOW), NOW) == NOW // 30


@pytest.mark.parametrize("login", ["", "caro", "carol:", "olga", "x" * 10_000, "\ud800"])
def test_a_code_is_good_for_its_own_login_alone(login: str) -> None:
    assert CAROL.step_of(login, code_at(RFC_6238_KEY, NOW), NOW) is None


def test_nobody_has_the_codes_that_an_unknown_login_is_compared_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(second_factor, "new_secret", lambda: OTHERS_KEY)
    assert factors().step_of("carol", code_at(OTHERS_KEY, NOW), NOW) is None


def test_an_app_may_show_a_code_in_groups() -> None:
    code = code_at(RFC_6238_KEY, NOW)
    assert CAROL.step_of("carol", f"{code[:3]} {code[3:]}", NOW) == NOW // 30


@pytest.mark.parametrize(
    "spoil",
    [
        lambda code: "",
        lambda code: code[:5],
        lambda code: code + "0",
        lambda code: code + "\n",
        lambda code: "-" + code[1:],
        lambda code: "".join(chr(ord(digit) + 0xFEE0) for digit in code),
        lambda code: "\ud800" * 6,
    ],
)
def test_what_is_not_six_digits_is_no_code(spoil: object) -> None:
    assert callable(spoil)
    assert CAROL.step_of("carol", spoil(code_at(RFC_6238_KEY, NOW)), NOW) is None


def test_a_clock_before_1970_has_no_codes() -> None:
    assert CAROL.step_of("carol", "755224", -1_000) is None


@pytest.mark.parametrize(
    "line",
    [
        "",
        ":",
        "carol",
        "carol:",
        f":{RFC_6238_KEY}",
        f" :{RFC_6238_KEY}",
        f"ca\x1b[2Jrol:{RFC_6238_KEY}",
        f"{'x' * 257}:{RFC_6238_KEY}",
        "carol:JBSWY3DPEHPK3PXP",
        f"carol:{'A' * 21}",
        "carol:0123456789abcdef0123456789abcdef",
        f"carol:{'A' * 136}",
        f"carol:{RFC_6238_KEY}=",
        f"carol:{RFC_6238_KEY} ",
    ],
)
def test_a_line_that_enrols_nobody_is_refused_without_being_repeated(line: str) -> None:
    with pytest.raises(SecondFactorError) as refused:
        parse_account(line)
    assert RFC_6238_KEY not in str(refused.value)
    with pytest.raises(SecondFactorError):
        SecondFactors([SecretStr(line)])


def test_nobody_is_enrolled_twice() -> None:
    with pytest.raises(SecondFactorError):
        factors(("carol", RFC_6238_KEY), ("CAROL", OTHERS_KEY))


def test_what_is_made_for_a_new_app_has_160_bits_and_makes_the_same_codes() -> None:
    secret = new_secret()
    _, codes = parse_account(account_line("carol", secret))
    assert len(codes.byte_secret()) == 20
    assert codes.at(NOW) == code_at(secret, NOW)
    assert enrolment_uri("ca rol@x", secret) == (
        f"otpauth://totp/Turngate:ca%20rol%40x?secret={secret}&issuer=Turngate"
    )
