"""Password: checked behind the throttle, the same way at every door."""

from __future__ import annotations

from dataclasses import dataclass

from auth.directory import CredentialCheck, CredentialOutcome, DirectoryEntry, DirectoryUnavailable
from broker.core.clock import Now
from broker.core.commands import RequestId
from broker.core.errors import DIRECTORY_UNAVAILABLE, SIGN_IN_REFUSED, SIGN_IN_THROTTLED
from broker.core.events import PasswordRefused
from broker.shell.gateway.edge import Edge, fresh_id
from broker.shell.gateway.http import RefusedError
from broker.shell.source import source_prefix


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to sign in: charged as a wrong one until `no_guess` says that it was none."""

    edge: Edge
    account: str
    source: str
    begun: Now

    @classmethod
    def begin(cls, edge: Edge, account: str, source: str) -> Attempt:
        """Raises RefusedError where too many were wrong already."""
        now = edge.clock()
        if not edge.throttle.attempt(account, source, now.monotonic_seconds).allowed:
            edge.refused("auth.refused", SIGN_IN_THROTTLED.code, source_prefix(source))
            raise RefusedError(SIGN_IN_THROTTLED)
        return cls(edge, account, source, now)

    def no_guess(self) -> None:
        """What was given was right, or nobody could tell."""
        self.edge.throttle.give_back(self.account, self.source, self.begun.monotonic_seconds)

    async def wrong(self, code: str) -> RefusedError:
        """What to raise where something was wrong; `code` says what, to us alone: every refusal looks the
        same. Raises TimeoutError as `_kept` does."""
        self.edge.refused("auth.refused", code, source_prefix(self.source))
        await self._kept()
        return RefusedError(SIGN_IN_REFUSED)

    async def ask_directory(self, login: str, password: str) -> CredentialCheck:
        """What the directory says of this login and password. Raises RefusedError where it does not answer; a
        password that it may have counted as a wrong one has been used up, and whoever hears of it may have
        guessed."""
        try:
            return await self.edge.directory.check(login, password)
        except DirectoryUnavailable as unavailable:
            self.edge.refused("auth.refused", DIRECTORY_UNAVAILABLE.code, source_prefix(self.source))
            if unavailable.may_have_counted:
                await self._kept()
            else:
                self.no_guess()
            raise RefusedError(DIRECTORY_UNAVAILABLE) from None

    async def _kept(self) -> None:
        """Returns once the failure outlives this process, or cannot: whoever hears of it has used it up.
        Raises TimeoutError, as for a right password, where the store is too far behind."""
        request_id = RequestId(f"r-{fresh_id()}")
        failure = self.edge.throttle.failure(self.account, self.source, self.begun.wall_ms)
        await self.edge.ask(request_id, PasswordRefused(request_id, failure))


def vouched_for(check: CredentialCheck) -> DirectoryEntry | None:
    """The person whose password it is, if they may use it."""
    return check.entry if check.outcome is CredentialOutcome.ACCEPTED else None
