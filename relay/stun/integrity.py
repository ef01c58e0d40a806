"""MESSAGE-INTEGRITY, FINGERPRINT and the long-term key (RFC 8489 sections 14.5, 14.7 and 9.2.2)."""

from __future__ import annotations

import hashlib
import hmac
import zlib

FINGERPRINT_XOR = 0x5354554E
MESSAGE_INTEGRITY_LENGTH = 24
"""The attribute with its header."""


def long_term_key(username: bytes, realm: bytes, password: bytes) -> bytes:
    """The 16-byte key of the long-term credential mechanism.

    The caller has prepared the strings (OpaqueString).
    """
    return hashlib.md5(b":".join((username, realm, password)), usedforsecurity=False).digest()


def message_integrity(covered: bytes, key: bytes) -> bytes:
    """The 20-byte value over the message up to, not including, the attribute.

    The header's length field counts the attribute itself whatever it says now.
    """
    length = len(covered) - 20 + MESSAGE_INTEGRITY_LENGTH
    return hmac.digest(key, covered[:2] + length.to_bytes(2, "big") + covered[4:], "sha1")


def fingerprint(covered: bytes) -> int:
    """The value over the message up to, not including, the attribute.

    The length field must already count it.
    """
    return zlib.crc32(covered) ^ FINGERPRINT_XOR
