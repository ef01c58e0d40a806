"""Password: checked against the directory behind the throttle, the same way at every door."""

from __future__ import annotations

from auth.directory import CredentialOutcome, DirectoryEntry, DirectoryUnavailable
from auth.principal import Insider
from broker.core.clock import Now
from broker.core.commands import RequestId
from broker.core.errors import DIRECTORY_UNAVAILABLE, EDGE_BUSY, SIGN_IN_REFUSED, SIGN_IN_THROTTLED
from broker.core.events import PasswordRefused
from broker.policy.administration import RECOVERY_GROUP
from broker.shell.gateway.edge import Edge, fresh_id
from broker.shell.gateway.http import RefusedError
from broker.shell.source import source_prefix


async def checked_password(edge: Edge, login: str, password: str, source: str) -> DirectoryEntry:
    """The person whose password it is. Raises RefusedError; every refusal looks the same and is counted."""
    now = edge.clock()
    prefix = source_prefix(source)
    _throttled(edge, login, source, now)
    try:
        check = await edge.directory.check(login, password)
    except DirectoryUnavailable:
        edge.throttle.give_back(login, source, now.monotonic_seconds)
        edge.refused("auth.refused", DIRECTORY_UNAVAILABLE.code, prefix)
        raise RefusedError(DIRECTORY_UNAVAILABLE) from None
    if check.entry is None or check.outcome is not CredentialOutcome.ACCEPTED:
        edge.refused("auth.refused", check.outcome.value, prefix)
        await _kept(edge, login, source, now)
        raise RefusedError(SIGN_IN_REFUSED)
    edge.throttle.give_back(login, source, now.monotonic_seconds)
    return check.entry


async def recovery_password(edge: Edge, name: str, password: str, source: str) -> Insider:
    """The same of an account of the settings, throttled apart from a login of that name."""
    now = edge.clock()
    throttled = f"recovery account {name}"
    _throttled(edge, throttled, source, now)
    try:
        insider = await edge.recovery.check(name, password, RECOVERY_GROUP)
    except DirectoryUnavailable:
        edge.throttle.give_back(throttled, source, now.monotonic_seconds)
        raise RefusedError(EDGE_BUSY) from None
    if insider is None:
        edge.refused("auth.refused", "recovery", source_prefix(source))
        await _kept(edge, throttled, source, now)
        raise RefusedError(SIGN_IN_REFUSED)
    edge.throttle.give_back(throttled, source, now.monotonic_seconds)
    return insider


def _throttled(edge: Edge, login: str, source: str, now: Now) -> None:
    if not edge.throttle.attempt(login, source, now.monotonic_seconds).allowed:
        edge.refused("auth.refused", SIGN_IN_THROTTLED.code, source_prefix(source))
        raise RefusedError(SIGN_IN_THROTTLED)


async def _kept(edge: Edge, login: str, source: str, now: Now) -> None:
    """Returns once the wrong password outlives this process, or cannot: whoever hears of it has used it up.
    Raises TimeoutError, as for a right one, where the store is too far behind."""
    request_id = RequestId(f"r-{fresh_id()}")
    await edge.ask(request_id, PasswordRefused(request_id, edge.throttle.failure(login, source, now.wall_ms)))
