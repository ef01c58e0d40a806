"""The servers that the tests of this directory share, started once and stopped at the end."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from itertools import count
from pathlib import Path

import pytest

from auth.ldap import LdapDirectory
from config.ldap import LdapSettings
from tests.directories.authority import Authority, ServerCertificate
from tests.directories.population import SERVICE_PASSWORD
from tests.directories.samba import Samba, running_samba
from tests.directories.served import BASES
from tests.directories.slapd import Slapd, running_slapd
from tests.directories.stub import SERVICE as STUB_SERVICE
from tests.directories.stub import StubDirectory, running_stub
from tests.directories.stub import person as stub_person

OpenDirectory = Callable[..., LdapDirectory]
"""(kind, servers, settings by name) -> a directory that is closed when the test ends."""
AskStubs = Callable[..., LdapDirectory]
"""(stubs, settings by name) -> the same, impatient: a step of a server may take a second."""
Newcomer = Callable[[], str]
"""Adds a person whom no other test knows; their login."""

_numbers = count()
ADA, ADA_ACCOUNT = stub_person("ada")
"""Whom every stub knows."""


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def certificate(authority: Authority) -> ServerCertificate:
    return authority.certificate("server", "127.0.0.1", "localhost")


@pytest.fixture(scope="session")
def slapd(tmp_path_factory: pytest.TempPathFactory, certificate: ServerCertificate) -> Iterator[Slapd]:
    with running_slapd(tmp_path_factory.mktemp("slapd"), certificate) as server:
        yield server


@pytest.fixture(scope="session")
def samba(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Samba]:
    def certificate_for(address: str) -> ServerCertificate:
        return authority.certificate("samba", address, "127.0.0.1")

    with running_samba(tmp_path_factory.mktemp("samba") / "dc", certificate_for) as server:
        yield server


@pytest.fixture
def stubs(certificate: ServerCertificate) -> Iterator[list[StubDirectory]]:
    """Three of them that know Ada; the second speaks StartTLS, the others LDAPS."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                running_stub(
                    {ADA: ADA_ACCOUNT},
                    tls=certificate.server_context(),
                    ldaps=number != 1,
                )
            )
            for number in range(3)
        ]


@pytest.fixture
def newcomer(slapd: Slapd) -> Newcomer:
    def added() -> str:
        login = f"newcomer{next(_numbers)}"
        slapd.add_people(login)
        return login

    return added


@pytest.fixture
async def open_directory(authority: Authority) -> AsyncIterator[OpenDirectory]:
    async with AsyncExitStack() as stack:

        def opened(
            kind: str,
            *servers: str,
            grace: float = 0,
            clock: Callable[[], float] = time.monotonic,
            wall_clock: Callable[[], float] = time.time,
            **more: object,
        ) -> LdapDirectory:
            directory = LdapDirectory(
                kind,
                ldap_settings(kind, authority.path, *servers, **more),
                outage_grace_seconds=grace,
                clock=clock,
                wall_clock=wall_clock,
            )
            stack.push_async_callback(directory.close)
            return directory

        yield opened


@pytest.fixture
def ask_stubs(open_directory: OpenDirectory) -> AskStubs:
    def opened(*stubs: StubDirectory | str, **more: object) -> LdapDirectory:
        urls = [stub if isinstance(stub, str) else stub.url for stub in stubs]
        return open_directory(
            "active_directory", *urls, **{"bind_dn": STUB_SERVICE, "timeout_seconds": 1, **more}
        )

    return opened


def ldap_settings(kind: str, ca_file: Path, *servers: str, **more: object) -> LdapSettings:
    """For servers with the population of these tests."""
    service, people, groups = BASES[kind]
    return LdapSettings.model_validate(
        {
            "servers": servers,
            "ca_file": ca_file,
            "bind_dn": service,
            "bind_password": SERVICE_PASSWORD,
            "people_base": people,
            "groups_base": groups,
            **more,
        }
    )


def user_binds(stubs: list[StubDirectory]) -> list[str]:
    return [password for stub in stubs for password in stub.passwords_tried(ADA)]
