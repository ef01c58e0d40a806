"""One connection to an LDAP server, over TLS and nothing else. The only file that knows ldap3.

ldap3 verifies nothing by default, picks its own TLS settings, waits anew for every byte and keeps whatever
comes; all of that is replaced here. Everything blocks, at most for the timeout of each step, and belongs in a
thread; `cut` alone may be called from another one.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from ldap3 import ALL_ATTRIBUTES, BASE, DEREF_NEVER, NONE, SIMPLE, SUBTREE, SYNC, Connection, Server, Tls
from ldap3.core.exceptions import LDAPExceptionError

SUCCESS = 0
SIZE_LIMIT_EXCEEDED = 4
CONSTRAINT_VIOLATION = 19
INVALID_CREDENTIALS = 49
INSUFFICIENT_ACCESS_RIGHTS = 50
BUSY = 51
UNAVAILABLE = 52
UNWILLING_TO_PERFORM = 53

MAX_PAGE_BYTES = 8 * 2**20
MAX_ANSWER_BYTES = 64 * 2**20
"""Of one search, all its pages together."""

_PAGED_RESULTS = "1.2.840.113556.1.4.319"
_Scope = Literal["BASE", "SUBTREE"]

_FAILURES = (LDAPExceptionError, OSError, ssl.SSLError)


class LinkError(Exception):
    """The server gave no usable answer over the network; another one may. Names nobody, holds no secret."""

    def __init__(
        self, message: str, *, timed_out: bool = False, certificate_fault: int | None = None
    ) -> None:
        """`certificate_fault` is OpenSSL's number of why the server's certificate is not accepted."""
        super().__init__(message)
        self.timed_out = timed_out
        self.certificate_fault = certificate_fault


class AnswerError(Exception):
    """The server answered a search with a result other than success (RFC 4511 appendix A), or with too much.
    Another server would say the same."""

    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message)
        self.code = code


class _TooMuchError(Exception):
    """An answer is larger than MAX_PAGE_BYTES or MAX_ANSWER_BYTES."""


@dataclass(frozen=True, slots=True)
class LdapServer:
    """Where a server is, and how TLS begins: with the connection (LDAPS) or by StartTLS."""

    host: str
    port: int
    start_tls: bool

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @staticmethod
    def at(url: str) -> LdapServer:
        """The server of a URL as the settings have it."""
        parts = urlsplit(url)
        return LdapServer(parts.hostname or "", parts.port or 0, start_tls=parts.scheme == "ldap")


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
    context.sslsocket_class = _TlsSocket
    return context


class _TlsSocket(ssl.SSLSocket):
    """Closed with the first read that fails: one of a connection that is reset while TLS is put around it
    belongs to nobody who could close it."""

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        try:
            return super().recv(buflen, flags)
        except OSError:
            self.close()
            raise


class _VerifiedTls(Tls):
    """Our context in place of the library's."""

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(validate=ssl.CERT_REQUIRED)
        self._context = context
        self.failure = ""
        """Why TLS did not begin; empty where that took too long."""
        self.certificate_fault: int | None = None
        """OpenSSL's number of why the server's certificate is not accepted."""

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
            self.certificate_fault = error.verify_code
            self.failure = f"its certificate is not accepted: {error.verify_message}"
            raise
        except TimeoutError:
            raise
        except OSError as error:
            why = error.reason if isinstance(error, ssl.SSLError) else error.strerror
            self.failure = f"TLS does not begin: {why}"
            raise


class LdapLink:
    """An open connection. Raises LinkError from wherever the server or the network fails; the link is of no
    use then, and is to be closed."""

    def __init__(self, server: LdapServer, context: ssl.SSLContext, timeout_seconds: int) -> None:
        """Does not connect yet."""
        self._server = server
        self._timeout_seconds = timeout_seconds
        self._deadline = 0.0
        self._page_bytes_left = self._answer_bytes_left = 0
        self._is_cut = False
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
        self._connection.strategy.receiving = self._receive

    def open(self) -> None:
        """Connect and begin TLS; nothing else is ever sent before."""
        try:
            with self._step():
                self._connection.open(read_server_info=False)
                if self._server.start_tls:
                    self._connection.start_tls(read_server_info=False)
        except LinkError:
            self.close()
            if self._tls.failure:
                raise LinkError(self._tls.failure, certificate_fault=self._tls.certificate_fault) from None
            raise

    def certificate(self) -> bytes:
        """What the server of an open link has shown, in DER."""
        shown: bytes | None = self._connection.socket.getpeercert(binary_form=True)
        return shown or b""

    def bind(self, dn: str, password: bytes) -> BindResult:
        """A simple bind (RFC 4513 section 5.1). An empty password would be an anonymous bind, which
        succeeds: it is refused here as a defect of ours."""
        if not password or not dn:
            raise ValueError("a bind has a name and a password")
        with self._step():
            # The library would connect anew, and not begin TLS.
            opened = self._connection.socket
            if self._connection.closed or not isinstance(opened, ssl.SSLSocket) or opened.version() is None:
                raise LinkError("it has closed the connection")
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
        limit: int | None = None,
        wanted: Callable[[LdapRecord], bool] = lambda _: True,
        page: int = 500,
    ) -> list[LdapRecord]:
        """The entries below `base` that match and are wanted: all of them, or the first `limit`. Raises
        AnswerError."""
        found: list[LdapRecord] = []
        size = page if limit is None else min(page, limit)
        for records in self._pages(base, filter_text, attributes, size):
            found += filter(wanted, records)
            if limit is not None and len(found) >= limit:
                return found[:limit]
        return found

    def _pages(
        self, base: str, filter_text: str, attributes: Sequence[str], page: int
    ) -> Iterator[list[LdapRecord]]:
        cookie: bytes | None = None
        while True:
            with self._step(goes_on=cookie is not None):
                code, records = self._ask(
                    base, filter_text, SUBTREE, attributes, paged_size=page, paged_cookie=cookie
                )
                control = (self._connection.result.get("controls") or {}).get(_PAGED_RESULTS)
                cookie = control["value"]["cookie"] if control else None
            if code in (BUSY, UNAVAILABLE):
                raise LinkError(f"it says result {code}")
            if code != SUCCESS:
                raise AnswerError(f"result {code}", code=code)
            yield records
            if not cookie:
                return

    def root(self) -> LdapRecord:
        """What the server says about itself (RFC 4512 section 5.1)."""
        with self._step():
            code, records = self._ask("", "(objectClass=*)", BASE, (ALL_ATTRIBUTES, "+"))
        if code != SUCCESS or not records:
            raise AnswerError(f"result {code}", code=code)
        return records[0]

    def _ask(
        self, base: str, filter_text: str, scope: _Scope, attributes: Sequence[str], **paging: Any
    ) -> tuple[int, list[LdapRecord]]:
        """The result, and the entries; references to other servers are not followed."""
        connection = self._connection
        try:
            connection.search(base, filter_text, scope, DEREF_NEVER, attributes=list(attributes), **paging)
        except _TooMuchError:
            raise AnswerError("more bytes than are read", code=SIZE_LIMIT_EXCEEDED) from None
        found = connection.response or ()
        records = [_record(entry) for entry in found if entry["type"] == "searchResEntry"]
        return int(connection.result["result"]), records

    def close(self) -> None:
        """Say goodbye and close; never fails, and waits for nobody."""
        opened = self._connection.socket
        if opened is None:
            return
        with suppress(Exception):
            opened.settimeout(0)
            self._connection.unbind()
        # A connection that did not come as far as TLS is not closed by the library.
        with suppress(OSError):
            opened.close()

    def cut(self) -> None:
        """Let whatever waits for this server fail at once, and all that follows."""
        self._is_cut = True
        opened = self._connection.socket
        if opened is not None:
            # That of SSLSocket takes the TLS off first: what another thread sends then would be in the clear.
            with suppress(OSError):
                socket.socket.shutdown(opened, socket.SHUT_RDWR)

    @contextmanager
    def _step(self, *, goes_on: bool = False) -> Iterator[None]:
        """One exchange with the server, in bounded time; with `goes_on` the next part of an answer whose size
        is bounded as a whole. What the library raises, and what it stumbles over in a malformed answer,
        becomes LinkError."""
        if self._is_cut:
            raise LinkError("nobody waits for it any longer")
        self._deadline = time.monotonic() + self._timeout_seconds
        if self._connection.socket is not None:
            self._connection.socket.settimeout(self._timeout_seconds)
        self._page_bytes_left = MAX_PAGE_BYTES
        if not goes_on:
            self._answer_bytes_left = MAX_ANSWER_BYTES
        try:
            yield
        except (LinkError, AnswerError):
            raise
        except _FAILURES as failure:
            timed_out = isinstance(failure, TimeoutError)
            why = "it took too long" if timed_out else _reason(failure)
            raise LinkError(why, timed_out=timed_out) from None
        except Exception:  # the library decodes what it gets without looking
            raise LinkError("a malformed answer") from None

    def _receive(self) -> list[bytes]:
        """One message, or none where the server has closed the connection. Stands in for the library's, which
        has no bounds."""
        head = self._read(2)
        if len(head) == 2 and head[1] & 0x80:
            head += self._read(head[1] & 0x7F)
        length = head[1] if len(head) == 2 else int.from_bytes(head[2:], "big")
        if len(head) < 2 or (head[1] & 0x80 and len(head) < 2 + (head[1] & 0x7F)):
            return []
        body = self._read(length)
        return [head + body] if len(body) == length else []

    def _read(self, count: int) -> bytes:
        """So many bytes, or fewer where the connection ends."""
        self._page_bytes_left -= count
        self._answer_bytes_left -= count
        if self._page_bytes_left < 0 or self._answer_bytes_left < 0:
            raise _TooMuchError
        data = bytearray()
        while len(data) < count:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._connection.socket.settimeout(left)
            more = self._connection.socket.recv(min(count - len(data), 2**16))
            if not more:
                break
            data += more
        return bytes(data)


def _reason(failure: Exception) -> str:
    """The library wraps what went wrong in texts of its own: the end of it says what."""
    return str(failure).strip("()',").rpartition("'(")[2][:200] or type(failure).__name__


def _record(entry: Mapping[str, Any]) -> LdapRecord:
    values: dict[str, list[bytes]] = {}
    for name, raw in entry["raw_attributes"].items():
        if raw:
            values.setdefault(name.partition(";")[0].lower(), []).extend(raw)
    return LdapRecord(entry["dn"], values)
