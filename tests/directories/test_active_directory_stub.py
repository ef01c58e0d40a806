"""What Active Directory does and no server of the tests: empty passwords that succeed, and its codes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest

from auth import ldap as directory_module
from auth.directory import CredentialOutcome, DirectoryUnavailable, EntryState
from auth.ldap import LdapDirectory
from tests.directories.authority import ServerCertificate
from tests.directories.conftest import AskStubs
from tests.directories.population import PASSWORD
from tests.directories.stub import Fault, StubDirectory, person, running_stub

ADA, ADA_ACCOUNT = person("ada")
ID = "00112233-4455-6677-8899-aabbccddeeff"


@pytest.fixture
def stub(certificate: ServerCertificate) -> Iterator[StubDirectory]:
    with running_stub({ADA: ADA_ACCOUNT}, tls=certificate.server_context(), ldaps=True) as running:
        yield running


@pytest.fixture
def directory(stub: StubDirectory, ask_stubs: AskStubs) -> LdapDirectory:
    return ask_stubs(stub)


@pytest.mark.parametrize("password", ["", "\0", "\0\0\0", f"{PASSWORD}\0", "\udc80", "x" * 1025])
@pytest.mark.parametrize("login", ["ada", "nobody"])
async def test_a_password_that_is_or_looks_empty_is_wrong_and_nothing_is_sent(
    stub: StubDirectory, directory: LdapDirectory, login: str, password: str
) -> None:
    checked = await directory.check(login, password)
    assert (checked.outcome, checked.entry) == (CredentialOutcome.WRONG, None)
    assert stub.connections == 0


@pytest.mark.parametrize("login", ["", " ", "\t\n", "x" * 257])
async def test_a_login_that_nobody_can_have_is_wrong_and_nothing_is_sent(
    stub: StubDirectory, directory: LdapDirectory, login: str
) -> None:
    assert (await directory.check(login, PASSWORD)).outcome is CredentialOutcome.WRONG
    assert await directory.find(login) is None
    assert stub.connections == 0


@pytest.mark.parametrize("code", ["530", "531", "532", "533", "701", "773"])
async def test_a_right_password_that_is_refused_is_no_wrong_one(
    stub: StubDirectory, directory: LdapDirectory, code: str
) -> None:
    stub.accounts[ADA] = replace(ADA_ACCOUNT, refusal=code)
    checked = await directory.check("ada", PASSWORD)
    assert (checked.outcome, checked.code) == (CredentialOutcome.NOT_ACTIVE, f"ad_{code}")
    assert checked.entry is not None
    checked = await directory.check("ada", "a guess")
    assert (checked.outcome, checked.code) == (CredentialOutcome.WRONG, "ad_52e")


@pytest.mark.parametrize("code", ["525", "52e", "775", "778"])
async def test_any_other_code_says_nothing_about_the_password(
    stub: StubDirectory, directory: LdapDirectory, code: str
) -> None:
    stub.accounts[ADA] = replace(ADA_ACCOUNT, refusal=code)
    checked = await directory.check("ada", PASSWORD)
    assert (checked.outcome, checked.code) == (CredentialOutcome.WRONG, f"ad_{code}")


@pytest.mark.parametrize("result", [1, 2, 8, 13, 14, 51, 52, 80, 4096])
async def test_a_result_that_does_not_speak_of_the_account_is_no_answer_and_nobodys_failure(
    stub: StubDirectory, directory: LdapDirectory, result: int
) -> None:
    stub.bind_results[ADA] = result
    with pytest.raises(DirectoryUnavailable):
        await directory.check("ada", PASSWORD)
    assert stub.passwords_tried(ADA) == [PASSWORD]


@pytest.mark.parametrize("result", [19, 50, 53])
async def test_a_result_that_does_is_a_refusal(
    stub: StubDirectory, directory: LdapDirectory, result: int
) -> None:
    stub.bind_results[ADA] = result
    checked = await directory.check("ada", PASSWORD)
    assert (checked.outcome, checked.code) == (CredentialOutcome.WRONG, f"result_{result}")


async def test_who_must_change_the_password_does_not_sign_in_although_the_server_lets_them(
    stub: StubDirectory, directory: LdapDirectory
) -> None:
    _, stub.accounts[ADA] = person("ada", pwdLastSet=b"0")
    checked = await directory.check("ada", PASSWORD)
    assert checked.outcome is CredentialOutcome.NOT_ACTIVE
    assert checked.code == EntryState.PASSWORD_CHANGE_REQUIRED.value


async def test_an_unknown_login_costs_a_bind_like_a_known_one(
    stub: StubDirectory, directory: LdapDirectory
) -> None:
    await directory.find("ada")
    seen: list[tuple[int, int, int]] = []
    for login in ("ada", "nobody"):
        before = (stub.connections, len(stub.binds), stub.searches)
        await directory.check(login, "a guess")
        after = (stub.connections, len(stub.binds), stub.searches)
        seen.append((after[0] - before[0], after[1] - before[1], after[2] - before[2]))
    assert seen[0] == seen[1] == (1, 1, 1)


async def test_a_server_that_lets_anybody_in_as_nobody_lets_nobody_in(
    stub: StubDirectory, directory: LdapDirectory
) -> None:
    name, nobody = person("nobody")
    stub.accounts["cn=nobody,OU=People,DC=ad,DC=example"] = replace(nobody, attributes={})
    checked = await directory.check("whoever", PASSWORD)
    assert stub.passwords_tried(name) == [PASSWORD]
    assert (checked.outcome, checked.entry) == (CredentialOutcome.UNKNOWN, None)


async def test_references_to_other_servers_are_not_followed(
    stub: StubDirectory, directory: LdapDirectory
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        elsewhere.setblocking(False)
        stub.refers_to = f"ldap://127.0.0.1:{elsewhere.getsockname()[1]}/DC=elsewhere,DC=example"
        stub.fault = Fault.REFERRAL
        for ask in (directory.find("ada"), directory.check("ada", PASSWORD), directory.read([ID])):
            with pytest.raises(DirectoryUnavailable, match="result 10"):
                await ask
        with pytest.raises(BlockingIOError):
            elsewhere.accept()
    assert stub.passwords_tried(ADA) == []


async def test_who_is_found_twice_is_nobody_and_more_are_not_read(
    stub: StubDirectory, directory: LdapDirectory
) -> None:
    for number in range(50):
        name, account = person("ada", objectGUID=bytes([number] * 16))
        stub.accounts[name.replace("CN=ada", f"CN=ada{number}")] = account
    assert await directory.find("ada") is None
    checked = await directory.check("ada", PASSWORD)
    assert (checked.outcome, checked.entry) == (CredentialOutcome.UNKNOWN, None)
    assert PASSWORD not in stub.passwords_tried(ADA)


async def test_a_list_of_nobody_asks_nobody(stub: StubDirectory, directory: LdapDirectory) -> None:
    assert await directory.list_entries(0) == []
    assert await directory.list_entries(-1) == []
    assert stub.connections == 0


# --- slow servers, and many who wait -----------------------------------------------------------------------


async def test_an_answer_within_the_timeout_of_each_step_is_waited_for(
    stub: StubDirectory, directory: LdapDirectory
) -> None:
    stub.answers_after_seconds = 0.6  # of one second; three steps
    assert (await directory.check("ada", PASSWORD)).outcome is CredentialOutcome.ACCEPTED


async def test_an_answer_after_it_is_not(stub: StubDirectory, directory: LdapDirectory) -> None:
    stub.answers_after_seconds = 1.2
    with pytest.raises(DirectoryUnavailable):
        await directory.check("ada", PASSWORD)


@pytest.mark.parametrize(("fault", "counts"), [(Fault.HANG_ON_USER_BIND, True), (Fault.HANG, False)])
async def test_a_password_without_an_answer_may_have_counted_once_it_was_sent(
    stub: StubDirectory, ask_stubs: AskStubs, fault: Fault, counts: bool
) -> None:
    directory = ask_stubs(stub, timeout_seconds=1)
    stub.fault = fault
    with pytest.raises(DirectoryUnavailable) as unavailable:
        await directory.check("ada", PASSWORD)
    assert unavailable.value.may_have_counted is counts
    assert (stub.passwords_tried(ADA) == [PASSWORD]) is counts


async def test_people_are_listed_as_they_were_within_the_grace_of_an_outage(
    stub: StubDirectory, ask_stubs: AskStubs
) -> None:
    now = 0.0
    directory = ask_stubs(stub, grace=60, clock=lambda: now)
    listed = await directory.list_entries(10)
    assert listed
    stub.fault = Fault.RESET
    stub.disconnect()
    now = 59.0
    assert await directory.list_entries(10) == listed
    with pytest.raises(DirectoryUnavailable):
        await directory.list_entries(11)
    now = 61.0
    with pytest.raises(DirectoryUnavailable):
        await directory.list_entries(10)


async def test_sign_ins_that_are_stuck_hold_up_neither_questions_nor_the_watch(
    monkeypatch: pytest.MonkeyPatch, stub: StubDirectory, ask_stubs: AskStubs
) -> None:
    monkeypatch.setattr(directory_module, "MAX_WAITING", 3)
    directory = ask_stubs(stub, threads=2, timeout_seconds=30)
    found = await directory.find("ada")
    assert found is not None
    stub.fault = Fault.HANG_ON_USER_BIND
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        stuck = [group.create_task(directory.check("ada", PASSWORD)) for _ in range(5)]
        while len(stub.passwords_tried(ADA)) < 2:
            assert await directory.read([found.stable_id]) == {found.stable_id: found}
        with pytest.raises(DirectoryUnavailable, match="5 sign-ins are under way already"):
            await directory.check("ada", PASSWORD)
        assert await directory.find("ada") == found
        assert await directory.get(found.stable_id) == found
        for one in stuck:
            one.cancel()
    stub.fault = None
    async with asyncio.timeout(5):
        await asyncio.gather(*stuck, return_exceptions=True)
        assert await _signed_in_once_a_thread_is_free(directory) is CredentialOutcome.ACCEPTED
    # Those who waited and went away never became a bind.
    assert len(stub.passwords_tried(ADA)) == 3


async def _signed_in_once_a_thread_is_free(directory: LdapDirectory) -> CredentialOutcome:
    while True:
        try:
            return (await directory.check("ada", PASSWORD)).outcome
        except DirectoryUnavailable:
            await asyncio.sleep(0.01)
