"""Signed invitation tokens: the secret part of an invitation link.

On the wire: base64url without padding over

    version (1 byte, 0x01) | expiry (8, big endian, Unix seconds) | issue (4, big endian) | nonce (16) |
    invitation id (1-64) | MAC (32)

where MAC is HMAC-SHA256 over a domain label and everything before it. The token proves that the edge issued
this invitation and until when it holds; an invitation that is issued again has a token with the next issue.
Whether it was revoked, which issue is the last and how often it was redeemed is stored, hence the broker's.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

NONCE_BYTES = 16
MIN_KEY_BYTES = 32
MAX_KEYS = 8
MAX_EXPIRES_AT_SECONDS = 253_402_300_799  # the end of year 9999, the last moment that RFC 3339 can write

_DOMAIN = b"turngate invitation token\x00"  # the same key used elsewhere never yields a MAC that is good here
_VERSION = b"\x01"
MAX_ISSUE = 2**32 - 1
_EXPIRY_AT = len(_VERSION)
_ISSUE_AT = _EXPIRY_AT + 8
_NONCE_AT = _ISSUE_AT + 4
_ID_AT = _NONCE_AT + NONCE_BYTES
_MAC_BYTES = 32
_INVITATION_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_TEXT = re.compile(r"[A-Za-z0-9_-]{83,167}")


class InvitationTokenFault(StrEnum):
    """What is wrong with a token. Outsiders are shown one text for all of them."""

    MALFORMED = "malformed"
    FORGED = "forged"
    EXPIRED = "expired"


class InvitationTokenError(Exception):
    """The only error of `verify`. Neither the token nor any part of it is in the message."""

    def __init__(self, reason: InvitationTokenFault) -> None:
        super().__init__(f"invitation token is {reason.value}")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class InvitationClaim:
    """What a genuine, unexpired token says."""

    invitation_id: str
    issue: int
    """1 for the first token of the invitation."""
    expires_at_seconds: int
    """Unix time; the token is good before it and no longer at it."""


class InvitationSigner:
    """Signs with the first key and accepts every key, so that keys rotate: put the new one in front, and take
    the old one out when the last invitation signed with it has expired."""

    __slots__ = ("_keys",)

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not 1 <= len(keys) <= MAX_KEYS:
            raise ValueError(f"between 1 and {MAX_KEYS} invitation keys are needed")
        if any(len(key) < MIN_KEY_BYTES for key in keys):
            raise ValueError(f"an invitation key has at least {MIN_KEY_BYTES} bytes")
        self._keys = tuple(keys)

    def sign(self, invitation_id: str, issue: int, expires_at_seconds: int, nonce: bytes) -> str:
        """The token text. `nonce` is 16 bytes of fresh randomness: no two tokens are alike, even for one
        invitation."""
        if not _INVITATION_ID.fullmatch(invitation_id):
            raise ValueError("an invitation id is 1 to 64 letters, digits, dots, dashes and underscores")
        if not 1 <= issue <= MAX_ISSUE:
            raise ValueError(f"an issue is between 1 and {MAX_ISSUE}")
        if not 0 <= expires_at_seconds <= MAX_EXPIRES_AT_SECONDS:
            raise ValueError("the expiry is not between 1970 and 9999")
        if len(nonce) != NONCE_BYTES:
            raise ValueError(f"a nonce has {NONCE_BYTES} bytes")
        head = _VERSION + expires_at_seconds.to_bytes(8, "big") + issue.to_bytes(4, "big")
        body = head + nonce + invitation_id.encode("ascii")
        return _encode(body + _mac(self._keys[0], body))

    def verify(self, text: str, now_seconds: float) -> InvitationClaim:
        """What the token claims. Raises InvitationTokenError and nothing else, whatever the text."""
        signed = _decode(text)
        body, mac = signed[:-_MAC_BYTES], signed[-_MAC_BYTES:]
        expires_at_seconds = int.from_bytes(body[_EXPIRY_AT:_ISSUE_AT], "big")
        issue = int.from_bytes(body[_ISSUE_AT:_NONCE_AT], "big")
        invitation_id = body[_ID_AT:].decode("latin-1")
        if (
            not body.startswith(_VERSION)
            or expires_at_seconds > MAX_EXPIRES_AT_SECONDS
            or issue < 1
            or not _INVITATION_ID.fullmatch(invitation_id)
        ):
            raise InvitationTokenError(InvitationTokenFault.MALFORMED)
        # Every key is tried, so that the time does not tell which one signed.
        genuine = [hmac.compare_digest(_mac(key, body), mac) for key in self._keys]
        if not any(genuine):
            raise InvitationTokenError(InvitationTokenFault.FORGED)
        # Written so that a time which is not a number expires everything.
        if not now_seconds < expires_at_seconds:
            raise InvitationTokenError(InvitationTokenFault.EXPIRED)
        return InvitationClaim(invitation_id, issue, expires_at_seconds)


def _mac(key: bytes, body: bytes) -> bytes:
    return hmac.digest(key, _DOMAIN + body, hashlib.sha256)


def _encode(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _decode(text: str) -> bytes:
    """Only the one spelling that `_encode` gives: base64 otherwise has several texts for the same bytes."""
    if not _TEXT.fullmatch(text):
        raise InvitationTokenError(InvitationTokenFault.MALFORMED)
    try:
        raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        raise InvitationTokenError(InvitationTokenFault.MALFORMED) from None
    if _encode(raw) != text:
        raise InvitationTokenError(InvitationTokenFault.MALFORMED)
    return raw
