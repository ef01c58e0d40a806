"""What STUN messages on the wire tell about addresses, read without the product's own codec."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from ipaddress import IPv4Address

MAGIC_COOKIE = b"\x21\x12\xa4\x42"
_HEADER_LENGTH = 20
_DATA = 0x0013
_XORED = {0x0012: "peer", 0x0016: "relayed", 0x0020: "mapped"}
_PLAIN = {0x0001: "mapped", 0x8023: "alternate", 0x802B: "origin", 0x802C: "other"}
_IPV4_FAMILY = 1


def stun_messages(datagram: bytes) -> Iterator[bytes]:
    """The message in this datagram and those inside of it: behind a channel number, in a DATA attribute."""
    if len(datagram) >= 4 and 0x40 <= datagram[0] <= 0x7F:
        (length,) = struct.unpack_from(">H", datagram, 2)
        yield from stun_messages(datagram[4 : 4 + length])
    elif len(datagram) >= _HEADER_LENGTH and datagram[0] < 4 and datagram[4:8] == MAGIC_COOKIE:
        yield datagram
        for kind, value in _attributes(datagram):
            if kind == _DATA:
                yield from stun_messages(value)


def told_addresses(message: bytes) -> Iterator[tuple[str, str]]:
    """What each address attribute is about ("mapped", "peer", "relayed", ...), and the IPv4 address in it."""
    for kind, value in _attributes(message):
        if kind not in _XORED and kind not in _PLAIN:
            continue
        assert value[1] == _IPV4_FAMILY, "everyone here speaks IPv4"
        address = _xored(value[4:8]) if kind in _XORED else value[4:8]
        yield _XORED.get(kind) or _PLAIN[kind], str(IPv4Address(address))


def spellings(address: str) -> tuple[bytes, ...]:
    """How an IPv4 address could be written into a message: text, its four bytes, and these masked as STUN
    does."""
    packed = IPv4Address(address).packed
    return address.encode(), packed, _xored(packed)


def _xored(packed: bytes) -> bytes:
    return bytes(byte ^ mask for byte, mask in zip(packed, MAGIC_COOKIE, strict=True))


def _attributes(message: bytes) -> Iterator[tuple[int, bytes]]:
    at = _HEADER_LENGTH
    while at + 4 <= len(message):
        kind, length = struct.unpack_from(">HH", message, at)
        yield kind, message[at + 4 : at + 4 + length]
        at += 4 + (length + 3 & ~3)
