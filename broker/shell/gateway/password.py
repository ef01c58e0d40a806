"""Password: checked against the directory behind the throttle, the same way at every door."""

from __future__ import annotations

from auth.directory import CredentialOutcome, DirectoryEntry, DirectoryUnavailable
from broker.core.errors import DIRECTORY_UNAVAILABLE, SIGN_IN_REFUSED, SIGN_IN_THROTTLED
from broker.shell.gateway.edge import Edge
from broker.shell.gateway.http import RefusedError
from broker.shell.source import source_prefix


async def checked_password(edge: Edge, login: str, password: str, source: str) -> DirectoryEntry:
    """The person whose password it is. Raises RefusedError; every refusal looks the same and is counted."""
    now = edge.clock().monotonic_seconds
    prefix = source_prefix(source)
    if not edge.throttle.attempt(login, source, now).allowed:
        edge.refused("auth.refused", SIGN_IN_THROTTLED.code, prefix)
        raise RefusedError(SIGN_IN_THROTTLED)
    try:
        check = await edge.directory.check(login, password)
    except DirectoryUnavailable:
        edge.throttle.give_back(login, source, now)
        edge.refused("auth.refused", DIRECTORY_UNAVAILABLE.code, prefix)
        raise RefusedError(DIRECTORY_UNAVAILABLE) from None
    if check.entry is None or check.outcome is not CredentialOutcome.ACCEPTED:
        edge.refused("auth.refused", check.outcome.value, prefix)
        raise RefusedError(SIGN_IN_REFUSED)
    edge.throttle.give_back(login, source, now)
    return check.entry
