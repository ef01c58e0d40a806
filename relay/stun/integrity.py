"""Integrity of both kinds, FINGERPRINT (RFC 8489 sections 14.5 to 14.7) and the long-term key (9.2.2)."""

from __future__ import annotations

import hashlib
import hmac
import zlib
from enum import IntEnum

FINGERPRINT_XOR = 0x5354554E
SHA1_LENGTH = 20
SHA256_LENGTH = 32


class PasswordAlgorithm(IntEnum):
    """How a long-term key is made from a password (RFC 8489 section 18.5)."""

    MD5 = 1
    SHA_256 = 2


def long_term_key(
    username: bytes,
    realm: bytes,
    password: bytes,
    algorithm: PasswordAlgorithm = PasswordAlgorithm.MD5,
) -> bytes:
    """The key of the long-term credential mechanism: 16 bytes with MD5, 32 with SHA-256.

    The caller has prepared the strings (OpaqueString).
    """
    text = b":".join((username, realm, password))
    if algorithm is PasswordAlgorithm.SHA_256:
        return hashlib.sha256(text).digest()
    return hashlib.md5(text, usedforsecurity=False).digest()


def message_integrity(covered: bytes, key: bytes) -> bytes:
    """The 20-byte value over the message up to, not including, the attribute.

    The header's length field counts the attribute itself whatever it says now.
    """
    return hmac.digest(key, _ending_with(covered, SHA1_LENGTH), "sha1")


def message_integrity_sha256(covered: bytes, key: bytes) -> bytes:
    """The 32-byte value of MESSAGE-INTEGRITY-SHA256, otherwise as `message_integrity`."""
    return hmac.digest(key, _ending_with(covered, SHA256_LENGTH), "sha256")


def _ending_with(covered: bytes, value_length: int) -> bytes:
    length = len(covered) - 20 + 4 + value_length
    return covered[:2] + length.to_bytes(2, "big") + covered[4:]


def fingerprint(covered: bytes) -> int:
    """The value over the message up to, not including, the attribute.

    The length field must already count it.
    """
    return zlib.crc32(covered) ^ FINGERPRINT_XOR
