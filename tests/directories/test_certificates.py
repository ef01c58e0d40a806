"""A server that cannot prove who it is gets no name and no password, and the log says why."""

from __future__ import annotations

import ssl
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from auth.directory import CredentialOutcome, DirectoryUnavailable
from tests.directories.authority import Authority, ServerCertificate
from tests.directories.conftest import AskStubs
from tests.directories.population import PASSWORD
from tests.directories.stub import person, running_stub

ADA, ADA_ACCOUNT = person("ada")
HOST = "127.0.0.1"

Issued = Callable[[Authority, Authority], ServerCertificate]
BAD: dict[str, tuple[Issued, str]] = {
    "another name": (
        lambda ours, theirs: ours.certificate("elsewhere", "dc1.example.org", "127.0.0.2"),
        "IP address mismatch, certificate is not valid for '127.0.0.1'.",
    ),
    "no name": (
        lambda ours, theirs: ours.certificate("nameless"),
        "IP address mismatch, certificate is not valid for '127.0.0.1'.",
    ),
    "another authority": (
        lambda ours, theirs: theirs.certificate("foreign", HOST),
        "unable to get local issuer certificate",
    ),
    "expired": (lambda ours, theirs: ours.expired("expired", HOST), "certificate has expired"),
    "not yet valid": (lambda ours, theirs: ours.not_yet_valid("early", HOST), "certificate is not yet valid"),
}


@pytest.fixture(scope="module")
def foreigners(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Others, who call themselves as ours do."""
    return Authority(tmp_path_factory.mktemp("foreigners"))


@pytest.mark.parametrize("ldaps", [True, False], ids=["ldaps", "starttls"])
@pytest.mark.parametrize("bad", BAD)
async def test_a_certificate_that_does_not_hold_gets_no_bind(
    authority: Authority, foreigners: Authority, ask_stubs: AskStubs, bad: str, ldaps: bool
) -> None:
    issued, why = BAD[bad]
    context = issued(authority, foreigners).server_context()
    with running_stub({ADA: ADA_ACCOUNT}, tls=context, ldaps=ldaps) as stub, capture_logs() as logs:
        directory = ask_stubs(stub)
        for ask in (directory.check("ada", PASSWORD), directory.find("ada"), directory.read(["x"])):
            with pytest.raises(DirectoryUnavailable):
                await ask
        await directory.close()
    assert stub.binds == []
    assert stub.searches == 0
    failed = {"log_level": "error", "event": "directory.server_failed", "server": f"{HOST}:{stub.port}"}
    assert logs == [{**failed, "why": f"its certificate is not accepted: {why}"}]


async def test_another_server_with_a_good_one_is_asked_instead(
    authority: Authority, certificate: ServerCertificate, ask_stubs: AskStubs
) -> None:
    bad, good = authority.expired("worn", HOST).server_context(), certificate.server_context()
    with (
        running_stub({ADA: ADA_ACCOUNT}, tls=bad, ldaps=True) as first,
        running_stub({ADA: ADA_ACCOUNT}, tls=good, ldaps=True) as second,
    ):
        checked = await ask_stubs(first, second).check("ada", PASSWORD)
        assert checked.outcome is CredentialOutcome.ACCEPTED
        assert first.binds == []
        assert second.passwords_tried(ADA) == [PASSWORD]


async def test_without_starttls_nothing_is_sent(ask_stubs: AskStubs) -> None:
    with (
        running_stub({ADA: ADA_ACCOUNT}) as stub,
        capture_logs() as logs,
        pytest.raises(DirectoryUnavailable),
    ):
        await ask_stubs(stub).check("ada", PASSWORD)
    assert stub.binds == []
    assert stub.searches == 0
    assert [line["why"] for line in logs] == ["startTLS failed - protocolError"]


async def test_tls_to_a_port_that_speaks_none_sends_nothing(ask_stubs: AskStubs) -> None:
    with (
        running_stub({ADA: ADA_ACCOUNT}) as stub,
        capture_logs() as logs,
        pytest.raises(DirectoryUnavailable),
    ):
        await ask_stubs(f"ldaps://{HOST}:{stub.port}").check("ada", PASSWORD)
    assert stub.binds == []
    assert [line["why"].startswith("TLS does not begin: ") for line in logs] == [True]


@pytest.mark.parametrize("ldaps", [True, False], ids=["ldaps", "starttls"])
async def test_old_versions_of_tls_are_not_spoken(
    certificate: ServerCertificate, ask_stubs: AskStubs, ldaps: bool
) -> None:
    context = certificate.server_context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        running_stub({ADA: ADA_ACCOUNT}, tls=context, ldaps=ldaps) as stub,
        capture_logs() as logs,
        pytest.raises(DirectoryUnavailable),
    ):
        await ask_stubs(stub).check("ada", PASSWORD)
    assert stub.binds == []
    assert [line["why"] for line in logs] == ["TLS does not begin: TLSV1_ALERT_PROTOCOL_VERSION"]
