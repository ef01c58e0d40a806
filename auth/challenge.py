"""Challenge: a number that whoever has a key is asked to sign, once and soon.

A challenge says by itself what it is for, until when it is good, and that it is ours: nothing is kept of
those that nobody has used, so that asking for many fills nothing up.
"""

from __future__ import annotations

import hashlib
import hmac
import struct

LIFETIME_SECONDS = 120
NONCE_BYTES = 16
_ENDS_AT = struct.Struct(">Q")
_MAC_BYTES = 32
CHALLENGE_BYTES = _ENDS_AT.size + NONCE_BYTES + _MAC_BYTES


class Challenges:
    """`secret` is of this run alone, and so is the clock: seconds that only go on."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._used: dict[bytes, int] = {}

    def issue(self, purpose: str, nonce: bytes, now_seconds: float) -> bytes:
        """One for this purpose; `nonce` are NONCE_BYTES of randomness."""
        stated = _ENDS_AT.pack(int(now_seconds) + LIFETIME_SECONDS) + nonce
        return stated + self._mac(purpose, stated)

    def holds(self, challenge: bytes, purpose: str, now_seconds: float) -> bool:
        """Whether it was issued for this purpose and may still be used."""
        stated, mac = challenge[:-_MAC_BYTES], challenge[-_MAC_BYTES:]
        if len(challenge) != CHALLENGE_BYTES or not hmac.compare_digest(self._mac(purpose, stated), mac):
            return False
        return now_seconds < _ends_at(challenge) and challenge not in self._used

    def use_up(self, challenge: bytes, now_seconds: float) -> None:
        """It holds no more. To be called for one that held and was rightly signed: so strangers fill nothing
        up here either."""
        self._used = {used: ends_at for used, ends_at in self._used.items() if now_seconds < ends_at}
        self._used[challenge] = _ends_at(challenge)

    def _mac(self, purpose: str, stated: bytes) -> bytes:
        return hmac.digest(self._secret, stated + purpose.encode(), hashlib.sha256)


def _ends_at(challenge: bytes) -> int:
    return int(_ENDS_AT.unpack_from(challenge)[0])
