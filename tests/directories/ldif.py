"""Entries as LDIF (RFC 2849), passwords as {SSHA} and names as parts of a DN (RFC 4514)."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Mapping, Sequence

Value = str | bytes
_PLAIN = re.compile(r"[!-9;=-~][ -~]*(?<! )")


def entry(dn: str, attributes: Mapping[str, Value | Sequence[Value]]) -> str:
    """One entry, ended by an empty line. Values that LDIF cannot show plainly are in base64."""
    lines = [_line("dn", dn)]
    for name, values in attributes.items():
        lines += [_line(name, value) for value in ([values] if isinstance(values, str | bytes) else values)]
    return "\n".join(lines) + "\n\n"


def change(dn: str, operation: str, attribute: str, *values: Value) -> str:
    """A modification of one attribute: `operation` is add, delete or replace."""
    lines = [_line("dn", dn), "changetype: modify", f"{operation}: {attribute}"]
    return "\n".join([*lines, *(_line(attribute, value) for value in values), "-"]) + "\n\n"


def hashed(password: str) -> str:
    """Salted SHA-1, which a server checks in microseconds."""
    salt = os.urandom(4)
    digest = hashlib.sha1(password.encode() + salt).digest()
    return "{SSHA}" + base64.b64encode(digest + salt).decode()


def escaped(value: str) -> str:
    """A value inside a DN."""
    return re.sub(r'[,+"\\<>;=#]|^ | $', lambda found: f"\\{ord(found[0]):02X}", value)


def _line(name: str, value: Value) -> str:
    if isinstance(value, str):
        if _PLAIN.fullmatch(value):
            return f"{name}: {value}"
        value = value.encode()
    return f"{name}:: {base64.b64encode(value).decode()}"
