"""Search filters in their string form (RFC 4515), built from values nobody vouches for."""

from __future__ import annotations

from collections.abc import Iterable

IN_CHAIN = "1.2.840.113556.1.4.1941"
"""LDAP_MATCHING_RULE_IN_CHAIN of Active Directory: follows a chain of links to its end."""

_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.@")


def equals(attribute: str, value: str | bytes, rule: str = "") -> str:
    r"""`(attribute=value)`, or `(attribute:rule:=value)`; `attribute` and `rule` come from us or the
    settings.

    Every byte of the value that is no plain letter, digit or one of `-_.@` is written as `\hh`, so that no
    value can end the assertion, whatever a parser holds special. Text without a form in UTF-8 (lone
    surrogates) matches nothing: it is written as what no directory stores.
    """
    raw = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    written = "".join(chr(byte) if byte in _PLAIN else f"\\{byte:02x}" for byte in raw)
    return f"({attribute}:{rule}:={written})" if rule else f"({attribute}={written})"


def any_of(filters: Iterable[str]) -> str:
    """One of them holds, of which there is at least one."""
    return f"(|{''.join(filters)})"


def all_of(*filters: str) -> str:
    """All of them hold."""
    return f"(&{''.join(filters)})"
