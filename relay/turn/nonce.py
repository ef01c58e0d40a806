"""Nonces nobody has to remember (RFC 8489 section 9.2): an HMAC binds them to an address and a time."""

from __future__ import annotations

import base64
import hmac
from binascii import Error

from relay.vocabulary import FiveTuple

COOKIE = b"obMatJos2gAAA"
"""The nonce cookie with the first of its 24 feature bits set: a choice of password algorithms is offered, and
who hides that takes the nonce's validity with it. Anonymous usernames, the second bit, are not offered."""
LIFETIME_SECONDS = 3600

_TIME_BYTES, _MAC_BYTES = 4, 11


class Nonces:
    """Makes and judges nonces. `now` in monotonic seconds; a new key makes all earlier ones stale."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        self._key = key

    def fresh(self, five_tuple: FiveTuple, now: float) -> bytes:
        made_at = int(now).to_bytes(_TIME_BYTES, "big")
        return COOKIE + base64.b64encode(made_at + self._mac(five_tuple, made_at))

    def is_valid(self, nonce: bytes, five_tuple: FiveTuple, now: float) -> bool:
        if not nonce.startswith(COOKIE):
            return False
        try:
            value = base64.b64decode(nonce[len(COOKIE) :], validate=True)
        except Error:
            return False
        made_at = value[:_TIME_BYTES]
        if not hmac.compare_digest(value[_TIME_BYTES:], self._mac(five_tuple, made_at)):
            return False
        return int(now) - int.from_bytes(made_at, "big") < LIFETIME_SECONDS

    def _mac(self, five_tuple: FiveTuple, made_at: bytes) -> bytes:
        transport, client, server = five_tuple
        bound = f"{transport.value}|{client.ip}|{client.port}|{server.ip}|{server.port}".encode()
        return hmac.digest(self._key, made_at + bound, "sha256")[:_MAC_BYTES]
