"""Notice: what people read before they are let in, and have to acknowledge."""

from __future__ import annotations

import hashlib

from broker.core.errors import NOTICE_NOT_ACKNOWLEDGED
from broker.shell.gateway.http import RefusedError


def acknowledged(text: str, by_them: bool) -> str | None:
    """The SHA-256 of the notice's UTF-8, in hex, so that the record can tell which text it was; None where
    there is no notice. Raises RefusedError where there is one that they did not acknowledge."""
    if not text:
        return None
    if not by_them:
        raise RefusedError(NOTICE_NOT_ACKNOWLEDGED)
    return hashlib.sha256(text.encode()).hexdigest()
