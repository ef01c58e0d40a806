"""The attributes this server reads or writes, one line each: number, name, how it is packed and unpacked.

Packers and unpackers get the transaction id because IPv6 addresses are masked with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from struct import Struct
from typing import Any, Final, Generic, TypeVar

from relay.stun.address import pack_address, pack_xor_address, unpack_address, unpack_xor_address
from relay.stun.malformed import MalformedError
from relay.vocabulary import Address

T = TypeVar("T")
Algorithm = tuple[int, bytes]
"""A password algorithm as it is written: its number and its parameters."""
_ALGORITHM_HEAD = Struct(">HH")


@dataclass(frozen=True, slots=True)
class Attribute(Generic[T]):
    """One registered attribute; `unpack` raises MalformedError."""

    number: int
    name: str
    pack: Callable[[T, bytes], bytes]
    unpack: Callable[[bytes, bytes], T]


KNOWN: Final[dict[int, Attribute[Any]]] = {}


def _register(
    number: int, name: str, pack: Callable[[T, bytes], bytes], unpack: Callable[[bytes, bytes], T]
) -> Attribute[T]:
    attribute = Attribute(number, name, pack, unpack)
    KNOWN[number] = attribute
    return attribute


def _exactly(value: bytes, length: int) -> bytes:
    if len(value) != length:
        raise MalformedError(f"an attribute of {length} bytes has {len(value)}")
    return value


def _pack_bytes(value: bytes, _: bytes) -> bytes:
    return value


def _unpack_bytes(value: bytes, _: bytes) -> bytes:
    return value


def _bytes_up_to(limit: int) -> Callable[[bytes, bytes], bytes]:
    def unpack(value: bytes, _: bytes) -> bytes:
        if len(value) > limit:
            raise MalformedError(f"an attribute of at most {limit} bytes has {len(value)}")
        return value

    return unpack


def _bytes_of(length: int) -> Callable[[bytes, bytes], bytes]:
    def unpack(value: bytes, _: bytes) -> bytes:
        return _exactly(value, length)

    return unpack


def _pack_u32(value: int, _: bytes) -> bytes:
    return value.to_bytes(4, "big")


def _unpack_u32(value: bytes, _: bytes) -> int:
    return int.from_bytes(_exactly(value, 4), "big")


def _pack_u8_of_4(value: int, _: bytes) -> bytes:
    return bytes((value, 0, 0, 0))


def _unpack_u8_of_4(value: bytes, _: bytes) -> int:
    return _exactly(value, 4)[0]


def _pack_channel(value: int, _: bytes) -> bytes:
    return value.to_bytes(2, "big") + b"\0\0"


def _unpack_channel(value: bytes, _: bytes) -> int:
    return int.from_bytes(_exactly(value, 4)[:2], "big")


def _pack_flag(value: bool, _: bytes) -> bytes:
    return b""


def _unpack_flag(value: bytes, _: bytes) -> bool:
    _exactly(value, 0)
    return True


def _pack_even_port(reserve_next: bool, _: bytes) -> bytes:
    return b"\x80" if reserve_next else b"\x00"


def _unpack_even_port(value: bytes, _: bytes) -> bool:
    return bool(_exactly(value, 1)[0] & 0x80)


def _pack_error_code(code: int, _: bytes) -> bytes:
    # The reason phrase stays empty: it would only make answers to strangers longer.
    return bytes((0, 0, code // 100, code % 100))


def _unpack_error_code(value: bytes, _: bytes) -> int:
    if len(value) < 4 or not 3 <= value[2] & 7 <= 6 or value[3] > 99:
        raise MalformedError("not an error code")
    return (value[2] & 7) * 100 + value[3]


def _pack_numbers(values: tuple[int, ...], _: bytes) -> bytes:
    return b"".join(number.to_bytes(2, "big") for number in values)


def _unpack_numbers(value: bytes, _: bytes) -> tuple[int, ...]:
    if len(value) % 2:
        raise MalformedError("a list of attribute numbers has an odd length")
    return tuple(int.from_bytes(value[at : at + 2], "big") for at in range(0, len(value), 2))


def _pack_address_error(value: tuple[int, int], tid: bytes) -> bytes:
    family, code = value
    return bytes((family, 0)) + _pack_error_code(code, tid)[2:]


def _unpack_address_error(value: bytes, tid: bytes) -> tuple[int, int]:
    return (value[0] if value else 0), _unpack_error_code(value, tid)


def _unpack_sha256(value: bytes, _: bytes) -> bytes:
    if not 16 <= len(value) <= 32 or len(value) % 4:
        raise MalformedError("a truncated integrity has 16 to 32 bytes, a multiple of 4")
    return value


def _pack_algorithm(value: Algorithm, _: bytes) -> bytes:
    number, parameters = value
    return _ALGORITHM_HEAD.pack(number, len(parameters)) + parameters + bytes(-len(parameters) % 4)


def _unpack_algorithm(value: bytes, tid: bytes) -> Algorithm:
    algorithms = _unpack_algorithms(value, tid)
    if len(algorithms) != 1:
        raise MalformedError("not exactly one password algorithm")
    return algorithms[0]


def _pack_algorithms(values: tuple[Algorithm, ...], tid: bytes) -> bytes:
    return b"".join(_pack_algorithm(value, tid) for value in values)


def _unpack_algorithms(value: bytes, _: bytes) -> tuple[Algorithm, ...]:
    found = []
    at = 0
    while at < len(value):
        length = int.from_bytes(value[at + 2 : at + 4], "big")
        parameters = value[at + 4 : at + 4 + length]
        if at + 4 > len(value) or len(parameters) != length:
            raise MalformedError("a password algorithm is cut off")
        found.append((int.from_bytes(value[at : at + 2], "big"), parameters))
        at += 4 + (length + 3 & ~3)
    return tuple(found)


def _pack_plain_address(value: Address, _: bytes) -> bytes:
    return pack_address(value)


def _unpack_plain_address(value: bytes, _: bytes) -> Address:
    return unpack_address(value)


# Comprehension required: 0x0000-0x7FFF.
USERNAME: Final = _register(0x0006, "USERNAME", _pack_bytes, _bytes_up_to(513))
MESSAGE_INTEGRITY: Final = _register(0x0008, "MESSAGE-INTEGRITY", _pack_bytes, _bytes_of(20))
ERROR_CODE: Final = _register(0x0009, "ERROR-CODE", _pack_error_code, _unpack_error_code)
UNKNOWN_ATTRIBUTES: Final = _register(0x000A, "UNKNOWN-ATTRIBUTES", _pack_numbers, _unpack_numbers)
CHANNEL_NUMBER: Final = _register(0x000C, "CHANNEL-NUMBER", _pack_channel, _unpack_channel)
LIFETIME: Final = _register(0x000D, "LIFETIME", _pack_u32, _unpack_u32)
XOR_PEER_ADDRESS: Final = _register(0x0012, "XOR-PEER-ADDRESS", pack_xor_address, unpack_xor_address)
DATA: Final = _register(0x0013, "DATA", _pack_bytes, _unpack_bytes)
REALM: Final = _register(0x0014, "REALM", _pack_bytes, _bytes_up_to(763))
NONCE: Final = _register(0x0015, "NONCE", _pack_bytes, _bytes_up_to(763))
XOR_RELAYED_ADDRESS: Final = _register(0x0016, "XOR-RELAYED-ADDRESS", pack_xor_address, unpack_xor_address)
REQUESTED_ADDRESS_FAMILY: Final = _register(
    0x0017, "REQUESTED-ADDRESS-FAMILY", _pack_u8_of_4, _unpack_u8_of_4
)
EVEN_PORT: Final = _register(0x0018, "EVEN-PORT", _pack_even_port, _unpack_even_port)
REQUESTED_TRANSPORT: Final = _register(0x0019, "REQUESTED-TRANSPORT", _pack_u8_of_4, _unpack_u8_of_4)
DONT_FRAGMENT: Final = _register(0x001A, "DONT-FRAGMENT", _pack_flag, _unpack_flag)
MESSAGE_INTEGRITY_SHA256: Final = _register(0x001C, "MESSAGE-INTEGRITY-SHA256", _pack_bytes, _unpack_sha256)
PASSWORD_ALGORITHM: Final = _register(0x001D, "PASSWORD-ALGORITHM", _pack_algorithm, _unpack_algorithm)
XOR_MAPPED_ADDRESS: Final = _register(0x0020, "XOR-MAPPED-ADDRESS", pack_xor_address, unpack_xor_address)
RESERVATION_TOKEN: Final = _register(0x0022, "RESERVATION-TOKEN", _pack_bytes, _bytes_of(8))
# Comprehension optional: 0x8000-0xFFFF.
ADDITIONAL_ADDRESS_FAMILY: Final = _register(
    0x8000, "ADDITIONAL-ADDRESS-FAMILY", _pack_u8_of_4, _unpack_u8_of_4
)
ADDRESS_ERROR_CODE: Final = _register(
    0x8001, "ADDRESS-ERROR-CODE", _pack_address_error, _unpack_address_error
)
PASSWORD_ALGORITHMS: Final = _register(0x8002, "PASSWORD-ALGORITHMS", _pack_algorithms, _unpack_algorithms)
SOFTWARE: Final = _register(0x8022, "SOFTWARE", _pack_bytes, _bytes_up_to(763))
ALTERNATE_SERVER: Final = _register(0x8023, "ALTERNATE-SERVER", _pack_plain_address, _unpack_plain_address)
FINGERPRINT: Final = _register(0x8028, "FINGERPRINT", _pack_u32, _unpack_u32)
MOBILITY_TICKET: Final = _register(0x8030, "MOBILITY-TICKET", _pack_bytes, _unpack_bytes)
