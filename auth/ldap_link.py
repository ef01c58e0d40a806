"""One connection to an LDAP server, over TLS and nothing else. The only file that knows ldap3.

ldap3 verifies nothing by default and picks its own TLS settings; both are replaced here. Everything blocks,
at most for the timeout of each step, and belongs in a thread; `cut` alone may be called from another one.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ldap3 import ALL_ATTRIBUTES, BASE, DEREF_NEVER, NONE, SIMPLE, SUBTREE, SYNC, Connection, Server, Tls
from ldap3.core.exceptions import LDAPExceptionError

SUCCESS = 0
CONSTRAINT_VIOLATION = 19
INVALID_CREDENTIALS = 49
INSUFFICIENT_ACCESS_RIGHTS = 50
BUSY = 51
UNAVAILABLE = 52
UNWILLING_TO_PERFORM = 53

_PAGED_RESULTS = "1.2.840.113556.1.4.319"
_FAILURES = (LDAPExceptionError, OSError, ssl.SSLError)


class LinkError(Exception):
    """The server gave no usable answer over the network; another one may. Names nobody, holds no secret."""

    def __init__(self, message: str, *, timed_out: bool = False) -> None:
        super().__init__(message)
        self.timed_out = timed_out


class AnswerError(Exception):
    """The server answered a search with a result that is none. `code` as in RFC 4511 appendix A."""

    def __init__(self, code: int) -> None:
        super().__init__(f"result {code}")
        self.code = code


@dataclass(frozen=True, slots=True)
class LdapServer:
    """Where a server is, and how TLS begins: with the connection (LDAPS) or by StartTLS."""

    host: str
    port: int
    start_tls: bool

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class LdapRecord:
    """An entry as the server returned it."""

    dn: str = field(repr=False)
    values: Mapping[str, Sequence[bytes]] = field(repr=False)
    """By lower-case attribute name, without options."""

    def all(self, name: str) -> Sequence[bytes]:
        """Every value of an attribute."""
        return self.values.get(name.lower(), ())

    def first(self, name: str) -> bytes | None:
        """Its first value."""
        return next(iter(self.all(name)), None)

    def text(self, name: str) -> str | None:
        """Its first value, where that is text in UTF-8."""
        value = self.first(name)
        try:
            return value.decode("utf-8") if value is not None else None
        except UnicodeDecodeError:
            return None


@dataclass(frozen=True, slots=True)
class BindResult:
    """What the server said to a password."""

    code: int
    diagnostic: str = field(repr=False)

    @property
    def accepted(self) -> bool:
        return self.code == SUCCESS


def verifying_context(ca_file: Path | None) -> ssl.SSLContext:
    """TLS 1.2 and later; the server's chain ends in one of these CAs (those of the system for None) and its
    certificate names the host that was asked for. Raises OSError, ssl.SSLError."""
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


class _VerifiedTls(Tls):
    """Our context in place of the library's."""

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(validate=ssl.CERT_REQUIRED)
        self._context = context
        self.refused = ""
        """Why the server's certificate is not accepted."""

    def wrap_socket(self, connection: Any, do_handshake: bool = False) -> None:
        wrapped = self._context.wrap_socket(
            connection.socket, server_hostname=connection.server.host, do_handshake_on_connect=False
        )
        # Or the first request waits until the end of the handshake is acknowledged, which takes 40 ms.
        wrapped.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.socket = wrapped  # before the handshake, so that `cut` reaches it
        try:
            wrapped.do_handshake()
        except ssl.SSLCertVerificationError as error:
            self.refused = error.verify_message
            raise


class LdapLink:
    """An open connection. Raises LinkError from wherever the server or the network fails; the link is of no
    use then, and is to be closed."""

    def __init__(self, server: LdapServer, context: ssl.SSLContext, timeout_seconds: int) -> None:
        """Does not connect yet."""
        self._server = server
        self._tls = _VerifiedTls(context)
        self._connection = Connection(
            Server(
                server.host,
                server.port,
                use_ssl=not server.start_tls,
                tls=self._tls,
                get_info=NONE,
                connect_timeout=timeout_seconds,
            ),
            client_strategy=SYNC,
            auto_referrals=False,
            check_names=False,
            receive_timeout=timeout_seconds,
            read_only=True,
            raise_exceptions=False,
        )

    def open(self) -> None:
        """Connect and begin TLS; nothing else is ever sent before."""
        try:
            with _told():
                self._connection.open(read_server_info=False)
                if self._server.start_tls:
                    self._connection.start_tls(read_server_info=False)
        except LinkError:
            self.close()
            if self._tls.refused:
                raise LinkError(f"its certificate is not accepted: {self._tls.refused}") from None
            raise

    def bind(self, dn: str, password: bytes) -> BindResult:
        """A simple bind (RFC 4513 section 5.1). An empty password would be an anonymous bind, which
        succeeds: it is refused here as a defect of ours."""
        if not password or not dn:
            raise ValueError("a bind has a name and a password")
        with _told():
            self._connection.user, self._connection.password = dn, password
            self._connection.authentication = SIMPLE
            self._connection.bind(read_server_info=False)
            result = self._connection.result
            return BindResult(int(result["result"]), str(result["message"]))

    def search(
        self,
        base: str,
        filter_text: str,
        attributes: Sequence[str],
        *,
        limit: int = 0,
        page: int = 500,
    ) -> list[LdapRecord]:
        """The entries below `base` that match, all of them or at most `limit`. Raises AnswerError for a
        result other than success, except that a limit was reached."""
        found: list[LdapRecord] = []
        for records in self._pages(base, filter_text, attributes, page):
            found += records
            if limit and len(found) >= limit:
                return found[:limit]
        return found

    def _pages(
        self, base: str, filter_text: str, attributes: Sequence[str], page: int
    ) -> Iterator[list[LdapRecord]]:
        cookie: bytes | None = None
        while True:
            with _told():
                self._connection.search(
                    base,
                    filter_text,
                    SUBTREE,
                    DEREF_NEVER,
                    attributes=list(attributes),
                    paged_size=page,
                    paged_cookie=cookie,
                )
                code, records = self._answer()
                result = self._connection.result
                control = (result.get("controls") or {}).get(_PAGED_RESULTS)
                cookie = control["value"]["cookie"] if control else None
            if code in (BUSY, UNAVAILABLE):
                raise LinkError(f"it says result {code}")
            if code != SUCCESS:
                raise AnswerError(code)
            yield records
            if not cookie:
                return

    def root(self) -> LdapRecord:
        """What the server says about itself (RFC 4512 section 5.1)."""
        with _told():
            self._connection.search(
                "", "(objectClass=*)", BASE, DEREF_NEVER, attributes=[ALL_ATTRIBUTES, "+"]
            )
            code, records = self._answer()
        if code != SUCCESS or not records:
            raise AnswerError(code)
        return records[0]

    def _answer(self) -> tuple[int, list[LdapRecord]]:
        """The last search's result, and its entries; references to other servers are not followed."""
        found = self._connection.response or ()
        records = [_record(entry) for entry in found if entry["type"] == "searchResEntry"]
        return int(self._connection.result["result"]), records

    def close(self) -> None:
        """Say goodbye and close; never fails."""
        with suppress(Exception):
            self._connection.unbind()

    def cut(self) -> None:
        """Let whatever waits for this server fail at once."""
        opened = self._connection.socket
        if opened is not None:
            with suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)


@contextmanager
def _told() -> Iterator[None]:
    """What the library raises, and what it stumbles over in a malformed answer, becomes LinkError."""
    try:
        yield
    except _FAILURES as failure:
        timed_out = isinstance(failure, TimeoutError)
        raise LinkError("it took too long" if timed_out else _reason(failure), timed_out=timed_out) from None
    except Exception:  # the library decodes what it gets without looking
        raise LinkError("a malformed answer") from None


def _reason(failure: Exception) -> str:
    """The library wraps what went wrong in texts of its own: the end of it says what."""
    return str(failure).strip("()',").rpartition("'(")[2][:200] or type(failure).__name__


def _record(entry: Mapping[str, Any]) -> LdapRecord:
    values: dict[str, list[bytes]] = {}
    for name, raw in entry["raw_attributes"].items():
        if raw:
            values.setdefault(name.partition(";")[0].lower(), []).extend(raw)
    return LdapRecord(entry["dn"], values)
