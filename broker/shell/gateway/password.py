"""Password: checked against the directory behind the throttle, the same way at every door."""

from __future__ import annotations

from auth.directory import CredentialOutcome, DirectoryEntry, DirectoryUnavailable
from auth.principal import Insider
from broker.core.errors import DIRECTORY_UNAVAILABLE, EDGE_BUSY, SIGN_IN_REFUSED, SIGN_IN_THROTTLED
from broker.policy.administration import RECOVERY_GROUP
from broker.shell.gateway.edge import Edge
from broker.shell.gateway.http import RefusedError
from broker.shell.source import source_prefix


async def checked_password(edge: Edge, login: str, password: str, source: str) -> DirectoryEntry:
    """The person whose password it is. Raises RefusedError; every refusal looks the same and is counted."""
    now = edge.clock().monotonic_seconds
    prefix = source_prefix(source)
    _throttled(edge, login, source, now)
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


async def recovery_password(edge: Edge, name: str, password: str, source: str) -> Insider:
    """The same of an account of the settings, throttled apart from a login of that name."""
    now = edge.clock().monotonic_seconds
    throttled = f"recovery account {name}"
    _throttled(edge, throttled, source, now)
    try:
        insider = await edge.recovery.check(name, password, RECOVERY_GROUP)
    except DirectoryUnavailable:
        edge.throttle.give_back(throttled, source, now)
        raise RefusedError(EDGE_BUSY) from None
    if insider is None:
        edge.refused("auth.refused", "recovery", source_prefix(source))
        raise RefusedError(SIGN_IN_REFUSED)
    edge.throttle.give_back(throttled, source, now)
    return insider


def _throttled(edge: Edge, login: str, source: str, now: float) -> None:
    if not edge.throttle.attempt(login, source, now).allowed:
        edge.refused("auth.refused", SIGN_IN_THROTTLED.code, source_prefix(source))
        raise RefusedError(SIGN_IN_THROTTLED)
