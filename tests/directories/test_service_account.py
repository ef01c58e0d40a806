"""The account that reads: where servers refuse it, it is not sent again until it would be locked."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from auth import ldap_servers
from auth.directory import DirectoryUnavailable
from tests.directories.conftest import AskStubs, user_binds
from tests.directories.population import PASSWORD
from tests.directories.stub import SERVICE, Account, StubDirectory


async def test_a_refused_service_account_is_not_hammered(
    monkeypatch: pytest.MonkeyPatch, stubs: list[StubDirectory], ask_stubs: AskStubs
) -> None:
    for stub in stubs:
        stub.accounts[SERVICE] = Account("another password")
        stub.answers_after_seconds = 0.1
    directory = ask_stubs(*stubs, threads=8)

    async def refused() -> None:
        with pytest.raises(DirectoryUnavailable):
            await directory.check("ada", PASSWORD)

    with capture_logs() as logs:
        await asyncio.gather(*(refused() for _ in range(20)))
        for _ in range(20):
            await refused()
    assert [len(stub.passwords_tried(SERVICE)) for stub in stubs] == [1, 1, 1]
    whys = [line["why"] for line in logs if line["event"] == "directory.server_failed"]
    assert whys == ["the service account is refused (result 49)"] * 3
    # Later one server is asked in the name of all, each time another one.
    monkeypatch.setattr(ldap_servers, "LOOK_AGAIN_LATE_SECONDS", 0)
    for count in (4, 5, 6):
        while sum(len(stub.passwords_tried(SERVICE)) for stub in stubs) < count:
            monkeypatch.setattr(ldap_servers, "LOOK_AGAIN_LATE_SECONDS", 0)
            await refused()
            monkeypatch.setattr(ldap_servers, "LOOK_AGAIN_LATE_SECONDS", 60)
            await asyncio.sleep(0.01)
    assert [len(stub.passwords_tried(SERVICE)) for stub in stubs] == [2, 2, 2]
    assert user_binds(stubs) == []


async def test_a_service_account_that_is_let_in_again_serves_at_the_next_look(
    monkeypatch: pytest.MonkeyPatch, stubs: list[StubDirectory], ask_stubs: AskStubs
) -> None:
    monkeypatch.setattr(ldap_servers, "LOOK_AGAIN_LATE_SECONDS", 0.05)
    known = stubs[0].accounts[SERVICE]
    stubs[0].accounts[SERVICE] = Account("another password")
    directory = ask_stubs(stubs[0])
    with pytest.raises(DirectoryUnavailable):
        await directory.find("ada")
    stubs[0].accounts[SERVICE] = known
    async with asyncio.timeout(3):
        while True:
            try:
                assert await directory.find("ada") is not None
                break
            except DirectoryUnavailable:
                await asyncio.sleep(0.02)


@pytest.mark.parametrize("result", [51, 52])
async def test_a_server_that_is_busy_refuses_nobody_and_is_asked_again_as_usual(
    monkeypatch: pytest.MonkeyPatch, stubs: list[StubDirectory], ask_stubs: AskStubs, result: int
) -> None:
    monkeypatch.setattr(ldap_servers, "LOOK_AGAIN_SOON_SECONDS", 0)
    directory = ask_stubs(stubs[0])
    stubs[0].bind_results[SERVICE] = result
    with capture_logs() as logs, pytest.raises(DirectoryUnavailable):
        await directory.find("ada")
    assert [line["why"] for line in logs] == [f"it says result {result}"]
    stubs[0].bind_results.clear()
    async with asyncio.timeout(3):
        while True:
            try:
                assert await directory.find("ada") is not None
                break
            except DirectoryUnavailable:
                await asyncio.sleep(0.02)
