"""An error answer, as the handlers of requests raise it."""

from __future__ import annotations

from collections.abc import Sequence

from relay.stun.message import Field


class RefusalError(Exception):
    """Answer with this error code (RFC 8489 section 14.8, RFC 8656 section 19)."""

    def __init__(self, code: int, *, fields: Sequence[Field] = (), key: bytes | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.fields = tuple(fields)
        self.key = key
        """Set when the requester proved to know it; the answer then carries integrity."""
