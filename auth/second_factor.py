"""Second factor: one-time codes by the clock, as every authenticator app makes them (RFC 6238: HMAC-SHA-1,
six digits, steps of 30 s).

That a code is good once is for the caller to see to: it remembers the last step that it took of each account,
and takes none that is not later.
"""

from __future__ import annotations

from collections.abc import Iterable

import pyotp
from pydantic import SecretStr

from auth.case_ignore import case_ignore_key

STEP_SECONDS = 30
WINDOW_STEPS = 1
"""How many steps the clocks of edge and app may be apart, either way."""
DIGITS = 6
MAX_LOGIN_CHARACTERS = 256
MAX_SECRET_CHARACTERS = 128
ISSUER = "Turngate"


class SecondFactorError(ValueError):
    """A line that enrols nobody. The message does not repeat it."""


class SecondFactors:
    """`lines` are LOGIN:SECRET each, as `account_line` makes them. Raises SecondFactorError for one that is
    not, and for a login that has two."""

    def __init__(self, lines: Iterable[SecretStr]) -> None:
        self._codes: dict[str, pyotp.TOTP] = {}
        for line in lines:
            login, codes = parse_account(line.get_secret_value())
            if self._codes.setdefault(case_ignore_key(login), codes) is not codes:
                raise SecondFactorError("a login is enrolled twice")
        self._nobodys = pyotp.TOTP(new_secret())

    def enrolled(self, login: str) -> bool:
        """Whether there are codes of this login, which is compared as directories do."""
        return case_ignore_key(login[:MAX_LOGIN_CHARACTERS]) in self._codes

    def step_of(self, login: str, code: str, now_unix_seconds: int) -> int | None:
        """The step whose code of this login it is; None for a wrong code, and after as long for an unknown
        login. Apps show a code in groups: spaces do not count."""
        given = code.replace(" ", "")
        if not (len(given) == DIGITS and given.isascii() and given.isdecimal()):
            given = ""
        codes = self._codes.get(case_ignore_key(login[:MAX_LOGIN_CHARACTERS]), self._nobodys)
        try:
            step = codes.verify_and_get_timecode(given, for_time=now_unix_seconds, valid_window=WINDOW_STEPS)
        except (pyotp.OTPVerificationError, ValueError):  # the latter of a clock before 1970
            return None
        return None if codes is self._nobodys else step


def parse_account(line: str) -> tuple[str, pyotp.TOTP]:
    """The login, and its codes. Raises SecondFactorError and nothing else."""
    login, _, secret = line.rpartition(":")
    if not (0 < len(login) <= MAX_LOGIN_CHARACTERS and login.isprintable() and case_ignore_key(login)):
        raise SecondFactorError("must be LOGIN:SECRET")
    if not (len(secret) <= MAX_SECRET_CHARACTERS and secret.isascii()):
        raise SecondFactorError("the secret is no base32 text")
    try:
        return login, pyotp.TOTP(secret, digits=DIGITS, interval=STEP_SECONDS)
    except ValueError:  # also for fewer than the 112 bits of NIST SP 800-63B
        raise SecondFactorError("the secret is no base32 text of 14 bytes and more") from None


def new_secret() -> str:
    """160 bits of randomness in base32."""
    return pyotp.random_base32()


def account_line(login: str, secret: str) -> str:
    """What enrols the login."""
    return f"{login}:{secret}"


def enrolment_uri(login: str, secret: str) -> str:
    """What an authenticator app reads, most often from a picture."""
    return pyotp.TOTP(secret).provisioning_uri(name=login, issuer_name=ISSUER)


def code_at(secret: str, unix_seconds: int) -> str:
    """What the app shows at that time."""
    return pyotp.TOTP(secret).at(unix_seconds)
