"""Transport addresses as STUN writes them (RFC 8489 sections 14.1 and 14.2)."""

from __future__ import annotations

from ipaddress import AddressValueError, IPv6Address

from relay.stun.malformed import MalformedError
from relay.vocabulary import Address

MAGIC_COOKIE = b"\x21\x12\xa4\x42"
FAMILY_IPV4 = 0x01
FAMILY_IPV6 = 0x02

_COOKIE_INT = int.from_bytes(MAGIC_COOKIE, "big")


def packed_ip(ip: str) -> bytes:
    """The 4 or 16 bytes of a numeric address; an IPv6 scope is left out. Raises ValueError."""
    if ":" not in ip:
        return bytes(map(int, ip.split(".")))
    try:
        return IPv6Address(ip.partition("%")[0]).packed
    except AddressValueError as error:
        raise ValueError(str(error)) from None


def pack_xor_address(address: Address, transaction_id: bytes) -> bytes:
    packed = packed_ip(address.ip)
    if len(packed) == 4:
        family, mask = FAMILY_IPV4, _COOKIE_INT
    else:
        family, mask = FAMILY_IPV6, int.from_bytes(MAGIC_COOKIE + transaction_id, "big")
    xored = (int.from_bytes(packed, "big") ^ mask).to_bytes(len(packed), "big")
    port = address.port ^ (_COOKIE_INT >> 16)
    return bytes((0, family)) + port.to_bytes(2, "big") + xored


def unpack_xor_address(value: bytes, transaction_id: bytes) -> Address:
    if len(value) not in (8, 20):
        raise MalformedError("an address attribute has 8 or 20 bytes")
    family = value[1]
    port = int.from_bytes(value[2:4], "big") ^ (_COOKIE_INT >> 16)
    if family == FAMILY_IPV4 and len(value) == 8:
        number = int.from_bytes(value[4:], "big") ^ _COOKIE_INT
        return Address(".".join(map(str, number.to_bytes(4, "big"))), port)
    if family == FAMILY_IPV6 and len(value) == 20:
        number = int.from_bytes(value[4:], "big") ^ int.from_bytes(MAGIC_COOKIE + transaction_id, "big")
        # Never the dotted form of a mapped IPv4 address: it must not be mistaken for the address inside.
        return Address(str(IPv6Address(number)), port)
    raise MalformedError("the address family does not fit the attribute's length")
