"""A STUN message (RFC 8489 section 5): header, attributes in order, where its integrity stands."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from typing import Any, TypeVar

from relay.stun.address import MAGIC_COOKIE
from relay.stun.attributes import FINGERPRINT, KNOWN, MESSAGE_INTEGRITY, MESSAGE_INTEGRITY_SHA256, Attribute
from relay.stun.integrity import SHA256_LENGTH, fingerprint, message_integrity, message_integrity_sha256
from relay.stun.malformed import MalformedError

T = TypeVar("T")
Field = tuple[Attribute[Any], Any]

HEADER_LENGTH = 20
_HEADER = Struct(">HH4s12s")
"""Type, length, magic cookie, transaction id."""
_ATTRIBUTE_HEAD = Struct(">HH")
"""Type and length of the value."""


class MessageClass(IntEnum):
    """The two class bits."""

    REQUEST = 0
    INDICATION = 1
    SUCCESS = 2
    ERROR = 3


class Method(IntEnum):
    """The methods this server knows (a message may carry any other number)."""

    BINDING = 0x001
    ALLOCATE = 0x003
    REFRESH = 0x004
    SEND = 0x006
    DATA = 0x007
    CREATE_PERMISSION = 0x008
    CHANNEL_BIND = 0x009


@dataclass(frozen=True, slots=True)
class Message:
    """A parsed message. Attribute values stay packed until asked for.

    Neither the integrity attributes are among `attributes` nor what comes after the first of them: nobody
    vouches for that (RFC 8489 sections 14.5 and 14.6).
    """

    method: int
    message_class: MessageClass
    transaction_id: bytes
    attributes: tuple[tuple[int, bytes], ...]
    raw: bytes
    integrity_at: int | None
    """Offset of MESSAGE-INTEGRITY, if there is one."""
    sha256_at: int | None
    """Offset of MESSAGE-INTEGRITY-SHA256, if there is one."""
    has_fingerprint: bool

    @property
    def has_integrity(self) -> bool:
        return self.integrity_at is not None or self.sha256_at is not None

    def first(self, attribute: Attribute[T]) -> T | None:
        """The first one's value.

        Of an attribute that may stand once, later ones are ignored. Raises MalformedError.
        """
        number = attribute.number
        for kind, value in self.attributes:
            if kind == number:
                return attribute.unpack(value, self.transaction_id)
        return None

    def every(self, attribute: Attribute[T]) -> list[T]:
        """All values in order, for attributes that may stand more than once. Raises MalformedError."""
        number = attribute.number
        return [
            attribute.unpack(value, self.transaction_id) for kind, value in self.attributes if kind == number
        ]

    def unknown(self) -> tuple[int, ...]:
        """Numbers of attributes that must be understood and are not."""
        return tuple(
            dict.fromkeys(kind for kind, _ in self.attributes if kind < 0x8000 and kind not in KNOWN)
        )

    def verifies(self, key: bytes) -> bool:
        """Whether there is integrity that was made with this key; of two kinds SHA-256 counts.

        A truncated value never does: RFC 8489 section 14.6 leaves that to usages, and TURN does not allow it.
        """
        raw, at = self.raw, self.sha256_at
        if at is not None:
            value = raw[at + 4 : at + 4 + int.from_bytes(raw[at + 2 : at + 4], "big")]
            expected = message_integrity_sha256(raw[:at], key)
            return len(value) == SHA256_LENGTH and hmac.compare_digest(value, expected)
        at = self.integrity_at
        if at is not None:
            return hmac.compare_digest(raw[at + 4 : at + 24], message_integrity(raw[:at], key))
        return False


def parse(datagram: bytes) -> Message:
    """Exactly one message. Raises MalformedError, and nothing else.

    A FINGERPRINT that is present must be last and right.
    """
    if len(datagram) < HEADER_LENGTH or datagram[0] > 3 or datagram[4:8] != MAGIC_COOKIE:
        raise MalformedError("not a STUN header")
    if len(datagram) % 4 or int.from_bytes(datagram[2:4], "big") != len(datagram) - HEADER_LENGTH:
        raise MalformedError("the length field does not fit")
    attributes: list[tuple[int, bytes]] = []
    integrity_at: int | None = None
    sha256_at: int | None = None
    has_fingerprint = False
    at = HEADER_LENGTH
    while at < len(datagram):
        kind, length = _ATTRIBUTE_HEAD.unpack_from(datagram, at)
        value = datagram[at + 4 : at + 4 + length]
        if len(value) != length:
            raise MalformedError("an attribute is cut off")
        following = at + 4 + (length + 3 & ~3)
        if kind == FINGERPRINT.number:
            _check_fingerprint(datagram, at, value, following)
            has_fingerprint = True
        elif sha256_at is None:
            if kind == MESSAGE_INTEGRITY_SHA256.number:
                MESSAGE_INTEGRITY_SHA256.unpack(value, b"")
                sha256_at = at
            elif integrity_at is None:
                if kind == MESSAGE_INTEGRITY.number:
                    MESSAGE_INTEGRITY.unpack(value, b"")
                    integrity_at = at
                else:
                    attributes.append((kind, value))
        at = following
    method, message_class = _method_and_class(int.from_bytes(datagram[:2], "big"))
    return Message(
        method,
        message_class,
        datagram[8:20],
        tuple(attributes),
        datagram,
        integrity_at,
        sha256_at,
        has_fingerprint,
    )


def build(
    method: int,
    message_class: MessageClass,
    transaction_id: bytes,
    fields: Iterable[Field] = (),
    *,
    key: bytes | None = None,
    sha256: bool = False,
    with_fingerprint: bool = False,
) -> bytes:
    """These attributes in this order, then integrity of one kind if there is a key, then FINGERPRINT."""
    parts = [_HEADER.pack(_message_type(method, message_class), 0, MAGIC_COOKIE, transaction_id)]
    for attribute, value in fields:
        parts.append(packed_attribute(attribute.number, attribute.pack(value, transaction_id)))
    message = b"".join(parts)
    if key is not None and sha256:
        value = message_integrity_sha256(message, key)
        message += packed_attribute(MESSAGE_INTEGRITY_SHA256.number, value)
    elif key is not None:
        message += packed_attribute(MESSAGE_INTEGRITY.number, message_integrity(message, key))
    if with_fingerprint:
        message = _with_length(message, 8)
        message += packed_attribute(
            FINGERPRINT.number, FINGERPRINT.pack(fingerprint(message), transaction_id)
        )
    return _with_length(message, 0)


def packed_attribute(number: int, value: bytes) -> bytes:
    """Header, value and zeroed padding to a multiple of 4."""
    length = len(value)
    packed = _ATTRIBUTE_HEAD.pack(number, length) + value
    return packed if length % 4 == 0 else packed + bytes(-length % 4)


def _check_fingerprint(datagram: bytes, at: int, value: bytes, following: int) -> None:
    if following != len(datagram) or FINGERPRINT.unpack(value, b"") != fingerprint(datagram[:at]):
        raise MalformedError("the fingerprint is wrong or not last")


def _with_length(message: bytes, more: int) -> bytes:
    return message[:2] + (len(message) - HEADER_LENGTH + more).to_bytes(2, "big") + message[4:]


def _message_type(method: int, message_class: MessageClass) -> int:
    bits = method & 0x00F | (method & 0x070) << 1 | (method & 0xF80) << 2
    return bits | (message_class & 1) << 4 | (message_class & 2) << 7


def _method_and_class(bits: int) -> tuple[int, MessageClass]:
    method = bits & 0x000F | (bits & 0x00E0) >> 1 | (bits & 0x3E00) >> 2
    return method, MessageClass((bits & 0x0010) >> 4 | (bits & 0x0100) >> 7)
