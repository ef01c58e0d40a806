"""One connection to a server: encrypted or of no use."""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from auth.ldap_link import LdapLink, LdapServer, LinkError, verifying_context
from tests.directories.authority import Authority
from tests.directories.conftest import ADA, user_binds
from tests.directories.population import PASSWORD
from tests.directories.stub import StubDirectory, running_stub


@pytest.fixture
def link(stubs: list[StubDirectory], authority: Authority) -> Iterator[LdapLink]:
    opened = LdapLink(
        LdapServer("127.0.0.1", stubs[1].port, start_tls=True), verifying_context(authority.path), 1
    )
    opened.open()
    yield opened
    opened.close()


async def test_a_link_that_is_cut_is_of_no_use_and_still_encrypted(
    stubs: list[StubDirectory], link: LdapLink
) -> None:
    link.cut()
    # Another thread may be about to send a password.
    assert link._connection.socket.version() == "TLSv1.3"
    with pytest.raises(LinkError):
        link.bind(ADA, PASSWORD.encode())
    assert user_binds(stubs) == []


async def test_no_password_is_sent_over_a_link_that_was_closed(
    stubs: list[StubDirectory], link: LdapLink
) -> None:
    link.close()
    # The library by itself connects again, and sends the password without TLS.
    with pytest.raises(LinkError, match="closed"):
        link.bind(ADA, PASSWORD.encode())
    assert user_binds(stubs) == []
    assert stubs[1].connections == 1


@pytest.mark.parametrize(("dn", "password"), [(ADA, b""), ("", PASSWORD.encode()), ("", b"")])
async def test_no_bind_without_a_name_and_a_password_is_sent(
    stubs: list[StubDirectory], link: LdapLink, dn: str, password: bytes
) -> None:
    with pytest.raises(ValueError, match="a name and a password"):
        link.bind(dn, password)
    assert stubs[1].binds == []


@pytest.mark.parametrize("ldaps", [True, False])
def test_nothing_stays_open_of_a_link_whose_server_is_not_accepted(authority: Authority, ldaps: bool) -> None:
    wrong = authority.certificate("elsewhere", "dc2.example")
    with running_stub(tls=wrong.server_context(), ldaps=ldaps) as server:
        link = LdapLink(LdapServer.at(server.url), verifying_context(authority.path), 2)
        with pytest.raises(LinkError) as refused:
            link.open()
        assert refused.value.certificate_fault == 64  # X509_V_ERR_IP_ADDRESS_MISMATCH
        assert _sockets_towards(server.port) == []


def _sockets_towards(port: int) -> list[str]:
    """Sockets of this process whose other end is there."""
    own = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            own.add(str(descriptor.readlink()))
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [row[9] for row in rows if int(row[2].split(":")[1], 16) == port and f"socket:[{row[9]}]" in own]


def test_a_connection_that_is_reset_before_tls_is_closed(authority: Authority) -> None:
    context = verifying_context(authority.path)
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname(), timeout=5)
        theirs, _ = server.accept()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        theirs.close()
        select.select([ours], [], [], 5)
        # The half-made socket is out of everybody's reach: left open, the collector would complain.
        with pytest.raises(ConnectionResetError):
            context.wrap_socket(ours, server_hostname="127.0.0.1", do_handshake_on_connect=False)
