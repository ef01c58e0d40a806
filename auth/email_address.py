"""E-mail address: of which person outside, and by its domain of which organisation.

Policy compares the domain, so only what DNS itself can tell apart is taken: ASCII, names in other scripts as
A-labels (`xn--...`).
"""

from __future__ import annotations

import re

from config.policy.peer import domain_name

MAX_CHARACTERS = 254
"""RFC 5321 section 4.5.3.1.3, without the angle brackets."""
MAX_LOCAL_CHARACTERS = 64
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LOCAL = re.compile(rf"{_ATOM}(\.{_ATOM})*")


class EmailAddressError(ValueError):
    """The only error of `email_address`. The message does not repeat the text."""


def email_address(text: str) -> str:
    """`dot-atom@domain` (RFC 5322 section 3.4.1, no quotes, no comments, no literals), the domain in lower
    case."""
    local, _, domain = text.rpartition("@")
    plain = len(text) <= MAX_CHARACTERS and text.isascii() and not text.endswith(".")
    if not plain or len(local) > MAX_LOCAL_CHARACTERS or not _LOCAL.fullmatch(local):
        raise EmailAddressError("not an e-mail address")
    try:
        return f"{local}@{domain_name(domain)}"
    except ValueError:
        raise EmailAddressError("not an e-mail address") from None
