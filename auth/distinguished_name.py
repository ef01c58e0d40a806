"""Distinguished names in their string form (RFC 4514), for comparing them and nothing else."""

from __future__ import annotations

import re

from auth.case_ignore import case_ignore_key

DistinguishedNameKey = tuple[tuple[tuple[str, str], ...], ...]
"""From the leaf to the root; within a level sorted (attribute type, value) pairs. Equal for names that name
the same entry, however they are spelled."""

_ATTRIBUTE_TYPE = re.compile(r" *(?P<type>[A-Za-z][A-Za-z0-9-]*|[0-9]+(?:\.[0-9]+)+) *= *")
_VALUE = re.compile(r"(?:[^\\,+\"<>;\x00]|\\[0-9A-Fa-f]{2}|\\[ \"#+,;<=>\\])*")
_ESCAPED = re.compile(r"(?:\\[0-9A-Fa-f]{2})+|\\.")


class DistinguishedNameError(ValueError):
    """The only error of `distinguished_name_key`. The message does not repeat the name."""


def distinguished_name_key(name: str) -> DistinguishedNameKey:
    """What the name compares by: case and the number of spaces do not count. Values in quotes or as `#` with
    BER are refused. Raises DistinguishedNameError."""
    levels: list[tuple[tuple[str, str], ...]] = []
    level: list[tuple[str, str]] = []
    at = 0
    while True:
        attribute = _ATTRIBUTE_TYPE.match(name, at)
        if attribute is None:
            raise DistinguishedNameError("a distinguished name is a list of type=value, separated by commas")
        value = _VALUE.match(name, attribute.end())
        if value is None or value[0].startswith("#"):
            raise DistinguishedNameError("values as # with BER are not read")
        level.append((attribute["type"].lower(), _value_key(value[0])))
        at = value.end()
        separator = name[at : at + 1]
        if separator not in {"", ",", "+"}:
            raise DistinguishedNameError("a special character in a value needs a backslash before it")
        if separator != "+":
            levels.append(tuple(sorted(level)))
            level = []
        if not separator:
            return tuple(levels)
        at += 1


def _value_key(value: str) -> str:
    try:
        key = case_ignore_key(_ESCAPED.sub(_unescape, value))
    except UnicodeDecodeError:
        raise DistinguishedNameError("a value is not UTF-8") from None
    if not key:
        raise DistinguishedNameError("a value is empty")
    return key


def _unescape(escaped: re.Match[str]) -> str:
    text = escaped[0]
    if len(text) == 2:
        return text[1]
    return bytes.fromhex(text.replace("\\", "")).decode("utf-8")
