"""Opaque sign-in tokens: what the cookie or the Authorization header carries.

A token says nothing: it is randomness in base64url. Only its digest is stored, so that who reads the database
cannot sign in with what they find there.
"""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64encode

MIN_RANDOM_BYTES = 16
MAX_RANDOM_BYTES = 64
_TOKEN = re.compile(r"[A-Za-z0-9_-]{22,86}")


class TokenError(ValueError):
    """The text cannot be a token of ours. The message does not repeat it."""


def new_token(random_bytes: bytes) -> str:
    """Token text without padding, for 16 to 64 bytes (128 to 512 bits) of cryptographic randomness; 32 are
    usual."""
    if not MIN_RANDOM_BYTES <= len(random_bytes) <= MAX_RANDOM_BYTES:
        raise ValueError(f"a token takes {MIN_RANDOM_BYTES} to {MAX_RANDOM_BYTES} random bytes")
    return urlsafe_b64encode(random_bytes).rstrip(b"=").decode("ascii")


def token_digest(token: str) -> str:
    """SHA-256 of the token text, 64 lower-case hexadecimal digits; the form in which a token is stored and
    looked up.

    Looking up by digest leaks no usable timing: whoever chooses the token cannot choose its digest. Raises
    TokenError.
    """
    if not _TOKEN.fullmatch(token):
        raise TokenError("not a token")
    return hashlib.sha256(token.encode("ascii")).hexdigest()
