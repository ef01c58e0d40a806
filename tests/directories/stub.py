"""A directory that answers as Active Directory does where no server of ours can, and one that misbehaves.

It speaks as much LDAP (RFC 4511) as that needs: simple bind, search, unbind and StartTLS.
"""

from __future__ import annotations

import hashlib
import socket
import socketserver
import ssl
import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum, auto

from tests.directories import ber
from tests.directories.population import PASSWORD, SERVICE_PASSWORD
from tests.directories.samba import PEOPLE

SERVICE = "CN=turngate,CN=Users,DC=ad,DC=example"
WRONG_PASSWORD = "52e"
_SUCCESS, _OPERATIONS_ERROR, _PROTOCOL_ERROR, _REFERRAL, _INVALID_CREDENTIALS = 0, 1, 2, 10, 49
_START_TLS = b"1.3.6.1.4.1.1466.20037"
_BIND_FIRST = (
    "000004DC: LdapErr: DSID-0C090CE9, comment: In order to perform this operation a successful bind must be "
    "completed on the connection., data 0, v3839"
)
_ROOT_DSE: ber.Attributes = {
    "defaultNamingContext": [b"DC=ad,DC=example"],
    "supportedCapabilities": [b"1.2.840.113556.1.4.800"],
    "supportedLDAPVersion": [b"3"],
}


class Fault(Enum):
    """What a misbehaving server does."""

    HANG = auto()  # accepts, then never says anything, not even TLS
    RESET = auto()  # resets the connection at once
    HALF_AN_ANSWER = auto()  # the first half of every answer, and no more
    DRIP = auto()  # answers one byte a second
    GARBAGE = auto()  # a search is answered with bytes that are no BER
    HUGE_LENGTH = auto()  # a search is answered with the header of a message of 2 GiB
    ENDLESS = auto()  # a search is answered with entries without end
    REFERRAL = auto()  # a search is answered with references and the result referral
    HANG_ON_USER_BIND = auto()  # only the service account's bind is answered
    DISCONNECT_ON_SEARCH = auto()  # a search is answered by closing the connection


@dataclass(frozen=True)
class Account:
    """Who can bind. `refusal` is the AD data code with which the right password is refused: 773, 533, ..."""

    password: str
    attributes: ber.Attributes = field(default_factory=dict)
    refusal: str = ""


class StubDirectory(socketserver.ThreadingTCPServer):
    """Accounts by DN. `fault`, `accounts` and `answers_after_seconds` may be changed while it runs, for the
    requests to come."""

    def __init__(
        self, accounts: Mapping[str, Account], tls: ssl.SSLContext | None, ldaps: bool, address: str
    ) -> None:
        assert tls is not None or not ldaps, "ldaps needs a TLS context"
        self.accounts = {SERVICE: Account(SERVICE_PASSWORD), **accounts}
        self.fault: Fault | None = None
        self.answers_after_seconds = 0.0
        self.bind_results: dict[str, int] = {}
        """By DN: the result of every bind, whatever the password."""
        self.refers_to = "ldap://127.0.0.1:1/DC=elsewhere,DC=example"
        self.binds: list[tuple[str, str]] = []
        self.searches = 0
        self.connections = 0
        self.tls = tls
        self.ldaps = ldaps
        self.closing = threading.Event()
        self.open: set[socket.socket] = set()
        super().__init__((address, 0), _Connection)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        return f"{'ldaps' if self.ldaps else 'ldap'}://{self.server_address[0]!s}:{self.port}"

    def passwords_tried(self, dn: str) -> list[str]:
        """Every password with which a bind as `dn` was asked for, in order."""
        return [password for name, password in self.binds if name.lower() == dn.lower()]

    def disconnect(self) -> None:
        """Closes every connection there is, as a domain controller does that is shut down."""
        for connection in list(self.open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Connection(socketserver.BaseRequestHandler):
    server: StubDirectory
    request: socket.socket

    def handle(self) -> None:
        self.bound = False
        self.server.connections += 1
        try:
            self._open()
            self._serve()
        except (OSError, EOFError, ValueError):
            pass  # the client went away or speaks no LDAP, or the server is closing
        finally:
            self.server.open.discard(self.request)
            self.request.close()

    def _serve(self) -> None:
        if self.server.fault is Fault.RESET:
            self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return
        if self.server.fault is Fault.HANG:
            self._hang()
        if self.server.ldaps and self.server.tls is not None:
            self._secure(self.server.tls)
        while True:
            tag, body = self._message()
            number, (kind, content), *_ = ber.elements(body)
            if tag != ber.SEQUENCE or kind == ber.UNBIND:
                return
            self.number = number[1]
            match kind:
                case ber.BIND:
                    self._bind(content)
                case ber.SEARCH:
                    self._search(content)
                case ber.EXTENDED:
                    self._extended(content)

    def _bind(self, content: bytes) -> None:
        _, (_, name), (_, secret) = ber.elements(content)
        dn, password = name.decode(), secret.decode()
        self.server.binds.append((dn, password))
        if self.server.fault is Fault.HANG_ON_USER_BIND and dn != SERVICE:
            self._hang()
        if dn in self.server.bind_results:
            self._send(ber.result(ber.BIND_RESPONSE, self.server.bind_results[dn]))
            return
        refusal = self._refusal(dn, password)
        self.bound = bool(password) and not refusal
        if refusal:
            comment = "80090308: LdapErr: DSID-0C09042A, comment: AcceptSecurityContext error"
            diagnostic = f"{comment}, data {refusal}, v3839"
            self._send(ber.result(ber.BIND_RESPONSE, _INVALID_CREDENTIALS, diagnostic))
        else:
            self._send(ber.result(ber.BIND_RESPONSE, _SUCCESS))

    def _refusal(self, dn: str, password: str) -> str:
        """An empty password makes the connection anonymous, which Active Directory calls success."""
        if not password:
            return ""
        account = self._account(dn)
        return WRONG_PASSWORD if account is None or account.password != password else account.refusal

    def _account(self, dn: str) -> Account | None:
        return next((held for name, held in self.server.accounts.items() if name.lower() == dn.lower()), None)

    def _search(self, content: bytes) -> None:
        (_, base), (_, scope), _, _, _, _, asked, (_, attributes) = ber.elements(content)
        wanted = [value.decode() for _, value in ber.elements(attributes)]
        if not base and scope == b"\0":
            self._send(ber.search_entry("", _ROOT_DSE, wanted), ber.result(ber.SEARCH_DONE, _SUCCESS))
            return
        self.server.searches += 1
        if not self.bound:
            self._send(ber.result(ber.SEARCH_DONE, _OPERATIONS_ERROR, _BIND_FIRST))
            return
        found = [
            ber.search_entry(dn, account.attributes, wanted)
            for dn, account in list(self.server.accounts.items())
            if self._in_scope(dn, base.decode(), scope) and ber.matches(*asked, account.attributes)
        ]
        if not self._spoil(found):
            self._send(*found, ber.result(ber.SEARCH_DONE, _SUCCESS))

    def _in_scope(self, dn: str, base: str, scope: bytes) -> bool:
        below = dn.lower().endswith(f",{base.lower()}") and scope != b"\0"
        return below or dn.lower() == base.lower()

    def _spoil(self, found: list[bytes]) -> bool:
        """Whether a fault answered the search."""
        match self.server.fault:
            case Fault.GARBAGE:
                number = ber.element(ber.INTEGER, self.number)
                nonsense = b"\x64\x84\xff\xff\xff\xff\x04\x80\x00"
                self.request.sendall(ber.element(ber.SEQUENCE, number, nonsense))
            case Fault.HUGE_LENGTH:
                self.request.sendall(b"\x30\x84\x7f\xff\xff\xff")
            case Fault.ENDLESS:
                while not self.server.closing.is_set():
                    self._send(ber.search_entry("CN=one more,DC=ad,DC=example", {"cn": [b"x" * 1000]}, ()))
            case Fault.REFERRAL:
                elsewhere = self.server.refers_to
                reference = ber.element(ber.REFERENCE, ber.element(ber.OCTETS, elsewhere.encode()))
                self._send(*found, reference, ber.result(ber.SEARCH_DONE, _REFERRAL, referral=elsewhere))
            case Fault.DISCONNECT_ON_SEARCH:
                raise EOFError
            case _:
                return False
        return True

    def _extended(self, content: bytes) -> None:
        (_, name), *_ = ber.elements(content)
        if name != _START_TLS or self.server.tls is None or self.server.ldaps:
            self._send(ber.result(ber.EXTENDED_RESPONSE, _PROTOCOL_ERROR, "not supported"))
            return
        self._send(ber.result(ber.EXTENDED_RESPONSE, _SUCCESS))
        self._secure(self.server.tls)

    def _open(self) -> None:
        self.server.open.add(self.request)
        if self.server.closing.is_set():
            raise EOFError

    def _secure(self, tls: ssl.SSLContext) -> None:
        self.server.open.discard(self.request)
        self.request = tls.wrap_socket(self.request, server_side=True, do_handshake_on_connect=False)
        self._open()
        self.request.do_handshake()

    def _message(self) -> tuple[int, bytes]:
        tag, length = self._exactly(2)
        if length & 0x80:
            length = int.from_bytes(self._exactly(length & 0x7F), "big")
        return tag, self._exactly(length)

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self.request.recv(count - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def _send(self, *answers: bytes) -> None:
        if self.server.closing.wait(self.server.answers_after_seconds):
            raise EOFError
        number = ber.element(ber.INTEGER, self.number)
        data = b"".join(ber.element(ber.SEQUENCE, number, answer) for answer in answers)
        if self.server.fault is Fault.HALF_AN_ANSWER:
            self.request.sendall(data[: len(data) // 2])
            self._hang()
        elif self.server.fault is Fault.DRIP:
            for byte in data:
                self.request.sendall(bytes([byte]))
                if self.server.closing.wait(1.0):
                    raise EOFError
        else:
            self.request.sendall(data)

    def _hang(self) -> None:
        self.server.closing.wait()
        raise EOFError


def person(login: str, **attributes: bytes) -> tuple[str, Account]:
    """The name and account of an enabled user below PEOPLE, whose password is PASSWORD."""
    usual = {
        "objectClass": b"user",
        "objectCategory": b"person",
        "objectGUID": hashlib.md5(login.encode(), usedforsecurity=False).digest(),
        "sAMAccountName": login.encode(),
        "displayName": login.title().encode(),
        "userAccountControl": b"512",
        "pwdLastSet": b"133000000000000000",
    }
    held = {name: [value] for name, value in {**usual, **attributes}.items()}
    return f"CN={login},{PEOPLE}", Account(PASSWORD, held)


@contextmanager
def running_stub(
    accounts: Mapping[str, Account] | None = None,
    *,
    fault: Fault | None = None,
    tls: ssl.SSLContext | None = None,
    ldaps: bool = False,
    address: str = "127.0.0.1",
) -> Iterator[StubDirectory]:
    """A stub that listens on a free port: with `ldaps` TLS from the first byte, else StartTLS if it can."""
    with StubDirectory(accounts or {}, tls, ldaps, address) as server:
        server.fault = fault
        listening = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        listening.start()
        try:
            yield server
        finally:
            server.closing.set()
            server.shutdown()
            listening.join()
            server.disconnect()
