"""Transport addresses as STUN writes them (RFC 8489 sections 14.1 and 14.2)."""

from __future__ import annotations

from ipaddress import AddressValueError, IPv6Address

from relay.stun.malformed import MalformedError
from relay.vocabulary import Address

MAGIC_COOKIE = b"\x21\x12\xa4\x42"
FAMILY_IPV4 = 0x01
FAMILY_IPV6 = 0x02


def packed_ip(ip: str) -> bytes:
    """The 4 or 16 bytes of a numeric address; an IPv6 scope is left out. Raises ValueError."""
    if ":" not in ip:
        return bytes(map(int, ip.split(".")))
    try:
        return IPv6Address(ip.partition("%")[0]).packed
    except AddressValueError as error:
        raise ValueError(str(error)) from None


def pack_address(address: Address) -> bytes:
    """As ALTERNATE-SERVER writes it, unmasked."""
    packed = packed_ip(address.ip)
    family = FAMILY_IPV4 if len(packed) == 4 else FAMILY_IPV6
    return bytes((0, family)) + address.port.to_bytes(2, "big") + packed


def unpack_address(value: bytes) -> Address:
    if len(value) not in (8, 20):
        raise MalformedError("an address attribute has 8 or 20 bytes")
    if value[1] != (FAMILY_IPV4 if len(value) == 8 else FAMILY_IPV6):
        raise MalformedError("the address family does not fit the attribute's length")
    port = int.from_bytes(value[2:4], "big")
    if len(value) == 8:
        return Address(".".join(map(str, value[4:])), port)
    # Never the dotted form of a mapped IPv4 address: it must not be mistaken for the address inside.
    return Address(str(IPv6Address(value[4:])), port)


def pack_xor_address(address: Address, transaction_id: bytes) -> bytes:
    return _masked(pack_address(address), transaction_id)


def unpack_xor_address(value: bytes, transaction_id: bytes) -> Address:
    return unpack_address(_masked(value, transaction_id))


def _masked(value: bytes, transaction_id: bytes) -> bytes:
    """Port and address under the mask, which put on twice is off again."""
    plain = value[2:]
    mask = (MAGIC_COOKIE[:2] + MAGIC_COOKIE + transaction_id)[: len(plain)]
    masked = int.from_bytes(plain, "big") ^ int.from_bytes(mask, "big")
    return value[:2] + masked.to_bytes(len(plain), "big")
