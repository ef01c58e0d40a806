"""The servers of one directory: which of them is asked, and what happens when it does not answer.

The first healthy one in the order of the settings is asked. A failure of the network makes a server
unhealthy: it is passed over until a look at it, by a thread of its own, finds it well. So nobody waits twice
for a server that hangs, and where none is healthy the answer is given at once. What a server says, however
bad, is an answer: no other server is asked for a better one.

Only the service account's own password is sent to the next server, too, when it is refused. It is sent by one
thread at a time, then not for LOOK_AGAIN_LATE_SECONDS, and to one server in all: asked again and again, a
directory would lock the account.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

import structlog

from auth.directory import DirectoryUnavailable
from auth.ldap_link import (
    BUSY,
    UNAVAILABLE,
    AnswerError,
    BindResult,
    LdapLink,
    LdapServer,
    LinkError,
)

log = structlog.get_logger(__name__)

Found = TypeVar("Found")

LOOK_AGAIN_SECONDS = 15.0
"""After which an unhealthy server is looked at again while another one answers."""
LOOK_AGAIN_SOON_SECONDS = 1.0
"""The same while none does."""
LOOK_AGAIN_LATE_SECONDS = 300.0
"""The same of one that refuses the service account."""
MAX_IDLE_LINKS = 8
"""Of one server, kept for the next search."""
MAX_IDLE_SECONDS = 60.0
"""Firewalls forget connections without a word: what was idle for longer is not used again."""


@dataclass(slots=True)
class _Server:
    where: LdapServer
    failed_at: float | None = None
    """None while it is healthy."""
    refused_at: float | None = None
    """When it refused the service account, where that is why it is unhealthy."""
    idle: list[tuple[LdapLink, float]] = field(default_factory=list)
    """Each with when it was last used."""
    entering: threading.Lock = field(default_factory=threading.Lock)
    """Held while the service account's password is on its way."""

    def look_after(self, *, none_is_well: bool) -> float:
        """How long after its failure it is looked at again."""
        if self.refused_at is not None:
            return LOOK_AGAIN_LATE_SECONDS
        return LOOK_AGAIN_SOON_SECONDS if none_is_well else LOOK_AGAIN_SECONDS


class Attempt:
    """Work that talks to servers, as long as somebody waits for it. Abandoned, the link it waits for is cut,
    so that its thread is free."""

    def __init__(self) -> None:
        self.abandoned = False
        self.bind_unanswered = False
        """Whether somebody's password is, or was, on its way without an answer."""
        self._link: LdapLink | None = None

    def uses(self, link: LdapLink) -> None:
        """From now on this link is waited for. Raises LinkError where nobody waits any longer."""
        self._link = link
        if self.abandoned:
            raise LinkError("abandoned")

    def done(self) -> None:
        """The link is waited for no more."""
        self._link = None

    def abandon(self) -> None:
        """Nobody waits for it any longer. Called from any thread, also after the end."""
        self.abandoned = True
        link = self._link
        if link is not None:
            link.cut()


class LdapServers:
    """All methods but `close` block and are called from threads; any number at once."""

    def __init__(
        self,
        servers: Sequence[LdapServer],
        context: ssl.SSLContext,
        service: tuple[str, bytes],
        timeout_seconds: int,
    ) -> None:
        """`service` is the name and password of the account that reads."""
        self._servers = [_Server(where) for where in servers]
        self._context = context
        self._service = service
        self._timeout_seconds = timeout_seconds
        self._lock = threading.Lock()
        self._looker = ThreadPoolExecutor(1, thread_name_prefix="ldap-look")
        self._looking: Attempt | None = None
        self._closed = False

    def search(self, attempt: Attempt, work: Callable[[LdapLink], Found]) -> Found:
        """What `work` finds over a link of the service account. Raises DirectoryUnavailable."""
        for server in self._healthy():
            try:
                return self._searched(server, attempt, work)
            except LinkError as error:
                self._failed(server, attempt, error)
        raise DirectoryUnavailable("no server of the directory answers")

    def bind_as(self, attempt: Attempt, dn: str, password: bytes) -> BindResult:
        """What a server says to this password. It is sent once and to one server: where that one does not
        answer, nobody knows whether it counted a failure. Raises DirectoryUnavailable."""
        for server in self._healthy():
            link = LdapLink(server.where, self._context, self._timeout_seconds)
            try:
                attempt.uses(link)
                link.open()
                attempt.bind_unanswered = True
                result = link.bind(dn, password)
                attempt.bind_unanswered = False
                return result
            except LinkError as error:
                self._failed(server, attempt, error)
                if attempt.bind_unanswered:
                    raise DirectoryUnavailable(f"{server.where} did not answer a bind") from None
            finally:
                attempt.done()
                link.close()
        raise DirectoryUnavailable("no server of the directory answers")

    def states(self) -> dict[str, bool]:
        """Which servers are healthy, by address."""
        return {str(server.where): server.failed_at is None for server in self._servers}

    def close(self) -> None:
        """End every idle link and the thread that looks at unhealthy servers."""
        self._closed = True
        if (looking := self._looking) is not None:
            looking.abandon()
        self._looker.shutdown(cancel_futures=True)
        for server in self._servers:
            _drop_idle(server)

    # --- one server -----------------------------------------------------------------------------------------

    def _searched(self, server: _Server, attempt: Attempt, work: Callable[[LdapLink], Found]) -> Found:
        while True:
            link, is_new = self._link(server)
            try:
                attempt.uses(link)
                if is_new:
                    self._enter(server, attempt, link)
                found = work(link)
            except LinkError as error:
                link.close()
                # Servers close links that were idle for long: that says nothing about the server.
                if is_new or error.timed_out or attempt.abandoned:
                    raise
            except AnswerError as error:
                link.close()
                raise DirectoryUnavailable(f"{server.where} answered a search with {error}") from None
            except BaseException:
                link.close()
                raise
            else:
                attempt.done()  # before anybody else uses the link
                self._keep(server, link)
                return found
            finally:
                attempt.done()

    def _link(self, server: _Server) -> tuple[LdapLink, bool]:
        """An idle link, or a new one that is not open yet, and which of the two."""
        try:
            while True:
                link, used_at = server.idle.pop()
                if time.monotonic() - used_at < MAX_IDLE_SECONDS:
                    return link, False
                link.close()
        except IndexError:
            return LdapLink(server.where, self._context, self._timeout_seconds), True

    def _enter(self, server: _Server, attempt: Attempt, link: LdapLink, *, looks: bool = False) -> None:
        """Connect as the service account; unless it is a look, not to a server that has failed meanwhile."""
        link.open()
        with server.entering:
            if server.failed_at is not None and not looks:
                raise LinkError("it has just failed")
            try:
                result = link.bind(*self._service)
                if result.code in (BUSY, UNAVAILABLE):
                    raise LinkError(f"it says result {result.code}")
                if not result.accepted:
                    server.refused_at = time.monotonic()
                    raise LinkError(f"the service account is refused (result {result.code})")
            except LinkError as error:
                self._failed(server, attempt, error)
                raise

    def _keep(self, server: _Server, link: LdapLink) -> None:
        if self._closed or server.failed_at is not None or len(server.idle) >= MAX_IDLE_LINKS:
            link.close()
        else:
            server.idle.append((link, time.monotonic()))

    # --- health ---------------------------------------------------------------------------------------------

    def _healthy(self) -> list[_Server]:
        self._look_again()
        return [server for server in self._servers if server.failed_at is None]

    def _failed(self, server: _Server, attempt: Attempt, error: LinkError) -> None:
        """Raises DirectoryUnavailable where it was us who cut the link."""
        if attempt.abandoned and not error.timed_out:
            raise DirectoryUnavailable("nobody waits for it any longer")
        with self._lock:
            was_healthy, server.failed_at = server.failed_at is None, time.monotonic()
        _drop_idle(server)
        if was_healthy:
            log.error("directory.server_failed", server=str(server.where), why=str(error))

    def _look_again(self) -> None:
        """Begin a look at unhealthy servers that are due one, unless one is under way."""
        now = time.monotonic()
        with self._lock:
            none_is_well = all(server.failed_at is not None for server in self._servers)
            due = [
                server
                for server in self._servers
                if server.failed_at is not None
                and now - server.failed_at >= server.look_after(none_is_well=none_is_well)
            ]
            if not due or self._looking is not None or self._closed:
                return
            self._looking = looking = Attempt()
        try:
            self._looker.submit(self._look, looking, due)
        except RuntimeError:  # closed between the two lines
            self._looking = None

    def _look(self, looking: Attempt, servers: Sequence[_Server]) -> None:
        try:
            is_refused = False
            # The one that was not asked for longest is first: it may know a new password already.
            for server in sorted(servers, key=lambda server: server.refused_at or 0.0):
                if is_refused and server.refused_at is not None:
                    server.failed_at = time.monotonic()
                    continue
                link = LdapLink(server.where, self._context, self._timeout_seconds)
                server.refused_at = None
                try:
                    looking.uses(link)
                    self._enter(server, looking, link, looks=True)
                except (LinkError, DirectoryUnavailable):
                    link.close()
                    server.failed_at = time.monotonic()
                    is_refused |= server.refused_at is not None
                else:
                    looking.done()
                    server.failed_at = None
                    self._keep(server, link)
                    log.warning("directory.server_well", server=str(server.where))
        finally:
            self._looking = None


def _drop_idle(server: _Server) -> None:
    with suppress(IndexError):
        while True:
            server.idle.pop()[0].close()
