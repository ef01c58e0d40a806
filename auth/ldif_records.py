"""LDIF content records (RFC 2849): bytes in, records out, or the one error with the line to look at.

Stricter than the RFC where leniency hides mistakes: no change records, no values by URL, no value that ends
in a space unless it is base64. More lenient in one point: text may be written as UTF-8 and need not be
base64.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass, field

from auth.control_characters import has_control_characters

MAX_FILE_BYTES = 32 * 1024 * 1024
MAX_LINE_BYTES = 64 * 1024

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_ATTRIBUTE = re.compile(rb"(?:[A-Za-z][A-Za-z0-9-]*|[0-9]+(?:\.[0-9]+)+)(?:;[A-Za-z0-9-]+)*")
_MAX_ATTRIBUTE_BYTES = 256


class LdifError(Exception):
    """What is wrong with the file, and where. The message never repeats a value."""

    def __init__(self, line_number: int, message: str) -> None:
        super().__init__(f"line {line_number}: {message}" if line_number else message)
        self.line_number = line_number
        """From 1; 0 when it is the file as a whole."""
        self.message = message


@dataclass(frozen=True, slots=True)
class LdifValue:
    """One value of an attribute. Prints without the value, which may be a password."""

    line_number: int
    name: str
    """As written, options included: `cn`, `userCertificate;binary`."""
    value: bytes = field(repr=False)

    def text(self) -> str:
        """The value as text. Raises LdifError for bytes that are not, or that hold control characters."""
        try:
            text = self.value.decode("utf-8")
        except UnicodeDecodeError:
            raise LdifError(self.line_number, f"{self.name} is not UTF-8 text") from None
        if has_control_characters(text):
            raise LdifError(self.line_number, f"{self.name} holds control characters")
        return text


@dataclass(frozen=True, slots=True)
class LdifRecord:
    """One entry: where it begins, its name and everything it says."""

    line_number: int
    dn: str
    values: tuple[LdifValue, ...]


def parse_ldif(data: bytes) -> list[LdifRecord]:
    """Every record in the file's order. Raises LdifError and nothing else."""
    if len(data) > MAX_FILE_BYTES:
        raise LdifError(0, f"the file has more than {MAX_FILE_BYTES} bytes")
    records: list[LdifRecord] = []
    lines: list[LdifValue] = []
    version_allowed = True
    for number, line in _logical_lines(data.removeprefix(_BYTE_ORDER_MARK)):
        if not line:
            if lines:
                records.append(_record(lines))
                lines = []
            continue
        value = _value(number, line)
        if version_allowed and value.name.lower() == "version":
            if value.value != b"1":
                raise LdifError(number, "only version 1 is known")
        else:
            lines.append(value)
        version_allowed = False
    if lines:
        records.append(_record(lines))
    return records


def _logical_lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Unfolded lines with the number of their first physical line, without comments; empty ones separate
    records."""
    number, parts, size = 0, list[bytes](), 0
    for physical, raw in enumerate(data.split(b"\n"), start=1):
        line = raw.removesuffix(b"\r")
        if b"\r" in line or b"\x00" in line:
            raise LdifError(physical, "a carriage return or NUL within the line")
        if line.startswith(b" "):
            if not parts or not parts[0]:
                raise LdifError(physical, "a line that begins with a space continues none")
            line = line[1:]
        else:
            if parts and not parts[0].startswith(b"#"):
                yield number, b"".join(parts)
            number, parts, size = physical, [], 0
        parts.append(line)
        size += len(line)
        if size > MAX_LINE_BYTES:
            raise LdifError(number, f"the line has more than {MAX_LINE_BYTES} bytes")
    if parts and not parts[0].startswith(b"#"):
        yield number, b"".join(parts)


def _value(number: int, line: bytes) -> LdifValue:
    name, colon, rest = line.partition(b":")
    if not colon:
        raise LdifError(number, "no colon after an attribute's name")
    if len(name) > _MAX_ATTRIBUTE_BYTES or not _ATTRIBUTE.fullmatch(name):
        raise LdifError(number, "what stands before the colon is not an attribute's name")
    text_name = name.decode("ascii")
    if rest.startswith(b"<"):
        raise LdifError(number, "values by URL are not read")
    if rest.startswith(b":"):
        try:
            return LdifValue(number, text_name, b64decode(rest[1:].strip(b" "), validate=True))
        except binascii.Error:
            raise LdifError(number, f"{text_name} is not base64") from None
    value = rest.lstrip(b" ")
    if value.startswith((b":", b"<")):
        raise LdifError(number, f"{text_name} begins with a character that only base64 may begin with")
    if value.endswith(b" "):
        raise LdifError(number, f"{text_name} ends in a space: remove it, or write the value as base64")
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        raise LdifError(number, f"{text_name} is not UTF-8 text") from None
    return LdifValue(number, text_name, value)


def _record(lines: list[LdifValue]) -> LdifRecord:
    first, *values = lines
    if first.name.lower() != "dn":
        raise LdifError(first.line_number, "an entry begins with its dn")
    if not values:
        raise LdifError(first.line_number, "an entry needs attributes")
    for value in values:
        name = value.name.lower()
        if name in {"changetype", "control"}:
            raise LdifError(value.line_number, "change records are not read, only entries")
        if name == "dn":
            raise LdifError(value.line_number, "a second dn: entries are separated by an empty line")
    return LdifRecord(first.line_number, first.text(), tuple(values))
