"""The little of BER and of LDAP messages (RFC 4511) that a stub server needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

SEQUENCE, SET, INTEGER, OCTETS, ENUMERATED = 0x30, 0x31, 0x02, 0x04, 0x0A
BIND, UNBIND, SEARCH, EXTENDED = 0x60, 0x42, 0x63, 0x77
BIND_RESPONSE, ENTRY, SEARCH_DONE, REFERENCE, EXTENDED_RESPONSE = 0x61, 0x64, 0x65, 0x73, 0x78
BIT_AND = b"1.2.840.113556.1.4.803"

Attributes = Mapping[str, Sequence[bytes]]


def element(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    if len(body) < 0x80:
        return bytes([tag, len(body)]) + body
    length = len(body).to_bytes(4, "big")
    return bytes([tag, 0x84]) + length + body


def integer(value: int, tag: int = INTEGER) -> bytes:
    return element(tag, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def elements(body: bytes) -> Iterator[tuple[int, bytes]]:
    """The tags and contents that follow one another in `body`."""
    at = 0
    while at < len(body):
        tag, length, at = body[at], body[at + 1], at + 2
        if length & 0x80:
            size = length & 0x7F
            length, at = int.from_bytes(body[at : at + size], "big"), at + size
        yield tag, body[at : at + length]
        at += length


def result(tag: int, code: int, diagnostic: str = "", referral: str = "") -> bytes:
    """The content of an answer: result code, matched DN, diagnostic message, and where else to ask."""
    elsewhere = element(0xA3, element(OCTETS, referral.encode())) if referral else b""
    parts = (integer(code, ENUMERATED), element(OCTETS), element(OCTETS, diagnostic.encode()), elsewhere)
    return element(tag, *parts)


def search_entry(dn: str, attributes: Attributes, wanted: Sequence[str]) -> bytes:
    names = {name.lower() for name in wanted}
    shown = [
        element(
            SEQUENCE,
            element(OCTETS, name.encode()),
            element(SET, *(element(OCTETS, value) for value in values)),
        )
        for name, values in attributes.items()
        if not names or "*" in names or name.lower() in names
    ]
    return element(ENTRY, element(OCTETS, dn.encode()), element(SEQUENCE, *shown))


def matches(filter_tag: int, body: bytes, attributes: Attributes) -> bool:
    """Whether a filter holds: and, or, not, equality, presence and the bit test; others never do."""
    parts = list(elements(body)) if filter_tag & 0x20 else []
    match filter_tag:
        case 0xA0:
            return all(matches(tag, part, attributes) for tag, part in parts)
        case 0xA1:
            return any(matches(tag, part, attributes) for tag, part in parts)
        case 0xA2:
            return not matches(*parts[0], attributes)
        case 0xA3:
            values = [value.lower() for value in _values(attributes, parts[0][1])]
            return parts[1][1].lower() in values
        case 0x87:
            return bool(_values(attributes, body))
        case 0xA9:
            named = dict(parts)
            bits = int(named[0x83])
            held = _values(attributes, named[0x82])
            return named.get(0x81) == BIT_AND and any(int(value) & bits == bits for value in held)
        case _:
            return False


def _values(attributes: Attributes, name: bytes) -> Sequence[bytes]:
    wanted = name.decode().lower()
    return next((values for key, values in attributes.items() if key.lower() == wanted), ())
