"""Search filters of directories in their string form (RFC 4515), checked before a server has to."""

from __future__ import annotations

import re

MAX_DEPTH = 8

_ATTRIBUTE = r"(?:[A-Za-z][A-Za-z0-9-]*|[0-9]+(?:\.[0-9]+)+)(?:;[A-Za-z0-9-]+)*"
_RULE = r"(?:[A-Za-z][A-Za-z0-9-]*|[0-9]+(?:\.[0-9]+)+)"
# A space at an end of a value is not told apart from one beside it: it is written \20.
_PIECE = r"(?:[^\x00-\x1f\x7f()*\\]|\\[0-9A-Fa-f]{2})"
_VALUE = rf"(?! ){_PIECE}*(?<! )"
_ITEM = re.compile(
    rf"{_ATTRIBUTE}(?:[~<>]={_VALUE}|(?::dn)?(?::{_RULE})?:={_VALUE}"
    rf"|=(?! )\*?(?:{_PIECE}+\*)*{_PIECE}*(?<! ))"
    rf"|(?::dn)?:{_RULE}:={_VALUE}"
)


def search_filter(text: str) -> str:
    """The filter, or the empty text. Raises ValueError, which says at which character it is wrong."""
    if text and (end := _end(text, 0, 1)) < len(text):
        raise _mistake(end, "the filter has ended before")
    return text


def _end(text: str, at: int, depth: int) -> int:
    """Where the filter that begins here ends."""
    if depth > MAX_DEPTH:
        raise _mistake(at, f"filters are nested more than {MAX_DEPTH} deep")
    if text[at : at + 1] != "(":
        raise _mistake(at, "a filter in parentheses is expected")
    at += 1
    operator = text[at : at + 1]
    if operator in ("&", "|", "!"):
        at, count = at + 1, 0
        while count == 0 or text[at : at + 1] != ")":
            if operator == "!" and count:
                raise _mistake(at, "! negates one filter")
            at, count = _end(text, at, depth + 1), count + 1
        return at + 1
    item = _ITEM.match(text, at)
    if item is None or text[item.end() : item.end() + 1] != ")":
        raise _mistake(at, "attribute=value is expected, closed by a parenthesis")
    return item.end() + 1


def _mistake(at: int, what: str) -> ValueError:
    return ValueError(f"must be a search filter such as (objectClass=person); at character {at + 1}: {what}")
