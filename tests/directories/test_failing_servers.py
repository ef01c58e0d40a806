"""Servers that hang, break off, talk nonsense or never stop: nobody waits long, and nothing stays stuck."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from auth import ldap_link, ldap_servers
from auth.directory import CredentialOutcome, DirectoryUnavailable
from auth.ldap import LdapDirectory
from tests.directories.conftest import ADA, AskStubs, user_binds
from tests.directories.population import PASSWORD
from tests.directories.server_process import free_port
from tests.directories.stub import Fault, StubDirectory

ANSWERS = [Fault.HUGE_LENGTH, Fault.REFERRAL]
"""What a server says, however bad: another one would say the same."""
AT_ONCE_SECONDS = 0.5
LIMIT_SECONDS = 4.5
"""Of a sign-in at one server with a timeout of a second, and some for a busy machine."""


@pytest.fixture(autouse=True)
def looks_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ldap_servers, "LOOK_AGAIN_SOON_SECONDS", 0.05)
    monkeypatch.setattr(ldap_servers, "LOOK_AGAIN_SECONDS", 0.05)


@asynccontextmanager
async def within(seconds: float) -> AsyncIterator[None]:
    """Fails where its body takes longer."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


async def until(happened: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while True:
            if happened():
                return
            await asyncio.sleep(0.01)


async def signs_in(directory: LdapDirectory) -> None:
    assert (await directory.check("ada", PASSWORD)).outcome is CredentialOutcome.ACCEPTED


async def signs_in_soon(directory: LdapDirectory) -> None:
    """As soon as a look has found the server well."""
    async with asyncio.timeout(3):
        while True:
            try:
                return await signs_in(directory)
            except DirectoryUnavailable:
                await asyncio.sleep(0.02)


@pytest.mark.parametrize("fault", Fault)
async def test_a_server_that_fails_is_told_in_bounded_time_and_used_again_when_it_is_well(
    stubs: list[StubDirectory], ask_stubs: AskStubs, fault: Fault
) -> None:
    directory = ask_stubs(stubs[0], threads=1)
    stubs[0].fault = fault
    async with within(LIMIT_SECONDS):
        with pytest.raises(DirectoryUnavailable):
            await directory.check("ada", PASSWORD)
    assert user_binds(stubs) in ([], [PASSWORD])
    stubs[0].fault = None
    # One thread: were it still waiting, nobody could sign in.
    await signs_in_soon(directory)


@pytest.mark.parametrize("fault", [Fault.HANG, Fault.DRIP, Fault.HUGE_LENGTH, Fault.HANG_ON_USER_BIND])
async def test_the_watch_fails_in_bounded_time_too(
    stubs: list[StubDirectory], ask_stubs: AskStubs, fault: Fault
) -> None:
    directory = ask_stubs(stubs[1])
    await signs_in(directory)
    found = await directory.find("ada")
    assert found is not None
    stubs[1].fault = fault
    stubs[1].disconnect()
    if fault is Fault.HANG_ON_USER_BIND:
        assert await directory.read([found.stable_id]) == {found.stable_id: found}
        return
    async with within(LIMIT_SECONDS):
        with pytest.raises(DirectoryUnavailable):
            await directory.read([found.stable_id])


@pytest.mark.parametrize("fault", [one for one in Fault if one not in (*ANSWERS, Fault.ENDLESS)])
async def test_the_next_server_answers_and_nobody_waits_for_the_first_again(
    monkeypatch: pytest.MonkeyPatch, stubs: list[StubDirectory], ask_stubs: AskStubs, fault: Fault
) -> None:
    monkeypatch.setattr(ldap_servers, "LOOK_AGAIN_SECONDS", 60)
    directory = ask_stubs(*stubs)
    stubs[0].fault = fault
    if fault is Fault.HANG_ON_USER_BIND:
        with pytest.raises(DirectoryUnavailable):
            await directory.check("ada", PASSWORD)
    else:
        await signs_in(directory)
    assert list(directory.servers().values()) == [False, True, True]
    asked = stubs[0].connections
    async with within(AT_ONCE_SECONDS):
        await signs_in(directory)
    assert stubs[0].connections == asked
    assert stubs[2].connections == 0
    assert user_binds(stubs) == [PASSWORD, PASSWORD]


@pytest.mark.parametrize("fault", ANSWERS)
async def test_an_answer_is_an_answer_and_no_other_server_is_asked_for_a_better_one(
    stubs: list[StubDirectory], ask_stubs: AskStubs, fault: Fault
) -> None:
    directory = ask_stubs(*stubs)
    stubs[0].fault = fault
    with pytest.raises(DirectoryUnavailable, match="answered a search with"):
        await directory.check("ada", PASSWORD)
    assert [stub.connections > 0 for stub in stubs] == [True, False, False]
    assert all(directory.servers().values())


@pytest.mark.parametrize("bound", ["MAX_PAGE_BYTES", "MAX_ANSWER_BYTES"])
async def test_an_answer_without_end_is_ended_long_before_memory_is(
    monkeypatch: pytest.MonkeyPatch, stubs: list[StubDirectory], ask_stubs: AskStubs, bound: str
) -> None:
    monkeypatch.setattr(ldap_link, bound, 100_000)
    directory = ask_stubs(stubs[0], timeout_seconds=30)
    stubs[0].fault = Fault.ENDLESS
    with pytest.raises(DirectoryUnavailable, match="more bytes than are read"):
        await directory.find("ada")
    stubs[0].fault = None
    assert await directory.find("ada") is not None


async def test_a_port_where_nobody_listens_is_passed_over(
    stubs: list[StubDirectory], ask_stubs: AskStubs
) -> None:
    directory = ask_stubs(f"ldaps://127.0.0.1:{free_port('127.0.0.1')}", stubs[2])
    async with within(AT_ONCE_SECONDS):
        await signs_in(directory)


async def test_a_host_that_swallows_every_packet_is_passed_over(
    stubs: list[StubDirectory], ask_stubs: AskStubs
) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        waiting = []
        for _ in range(3):  # a full backlog: the kernel answers no SYN any more
            waiting.append(socket.socket())
            waiting[-1].setblocking(False)
            waiting[-1].connect_ex(full.getsockname())
        directory = ask_stubs(f"ldaps://127.0.0.1:{full.getsockname()[1]}", stubs[2])
        async with within(LIMIT_SECONDS):
            await signs_in(directory)
        async with within(AT_ONCE_SECONDS):
            await signs_in(directory)
        for one in waiting:
            one.close()


async def test_a_name_that_nobody_knows_is_passed_over(
    stubs: list[StubDirectory], ask_stubs: AskStubs
) -> None:
    directory = ask_stubs("ldaps://dc1.invalid", stubs[2])
    with capture_logs() as logs:
        await signs_in(directory)
    assert [line["event"] for line in logs] == ["directory.server_failed"]


@pytest.mark.parametrize("fault", [None, Fault.HANG_ON_USER_BIND])
async def test_a_wrong_password_reaches_one_server_once(
    stubs: list[StubDirectory], ask_stubs: AskStubs, fault: Fault | None
) -> None:
    directory = ask_stubs(*stubs)
    for stub in stubs:
        stub.fault = fault
    if fault is None:
        assert (await directory.check("ada", "a guess")).outcome is CredentialOutcome.WRONG
    else:
        with pytest.raises(DirectoryUnavailable):
            await directory.check("ada", "a guess")
    assert user_binds(stubs) == ["a guess"]


async def test_the_right_password_is_sent_again_by_nobody_when_the_server_breaks_off_at_it(
    stubs: list[StubDirectory], ask_stubs: AskStubs
) -> None:
    directory = ask_stubs(*stubs, timeout_seconds=30)
    stubs[0].fault = Fault.HANG_ON_USER_BIND
    checking = asyncio.ensure_future(directory.check("ada", PASSWORD))
    await until(lambda: stubs[0].passwords_tried(ADA))
    stubs[0].disconnect()
    with pytest.raises(DirectoryUnavailable, match="did not answer a bind"):
        await checking
    assert user_binds(stubs) == [PASSWORD]


@pytest.mark.parametrize("fault", [Fault.HANG, Fault.HANG_ON_USER_BIND, Fault.DRIP])
async def test_whoever_hangs_up_frees_the_thread_that_waits_for_them(
    stubs: list[StubDirectory], ask_stubs: AskStubs, fault: Fault
) -> None:
    directory = ask_stubs(stubs[0], threads=1, timeout_seconds=30)
    stubs[0].fault = fault
    checking = asyncio.ensure_future(directory.check("ada", PASSWORD))
    await until(lambda: stubs[0].passwords_tried(ADA) if fault is Fault.HANG_ON_USER_BIND else stubs[0].open)
    checking.cancel()
    stubs[0].fault = None
    async with within(AT_ONCE_SECONDS):
        await signs_in(directory)
    assert all(directory.servers().values()), "we ended it: that says nothing about the server"


async def test_a_server_that_comes_back_is_preferred_again(
    stubs: list[StubDirectory], ask_stubs: AskStubs
) -> None:
    directory = ask_stubs(*stubs)
    stubs[0].fault = Fault.RESET
    with capture_logs() as logs:
        await signs_in(directory)
        stubs[0].fault = None
        async with asyncio.timeout(3):
            while not all(directory.servers().values()):
                await directory.find("ada")
                await asyncio.sleep(0.02)
    assert [line["event"] for line in logs] == ["directory.server_failed", "directory.server_well"]
    before = len(stubs[0].passwords_tried(ADA))
    await signs_in(directory)
    assert len(stubs[0].passwords_tried(ADA)) == before + 1


async def test_where_no_server_answers_the_second_to_ask_is_told_at_once(
    monkeypatch: pytest.MonkeyPatch, stubs: list[StubDirectory], ask_stubs: AskStubs
) -> None:
    monkeypatch.setattr(ldap_servers, "LOOK_AGAIN_SOON_SECONDS", 60)
    directory = ask_stubs(*stubs[:2])
    for stub in stubs:
        stub.fault = Fault.HANG
    with pytest.raises(DirectoryUnavailable):
        await directory.find("ada")
    async with within(AT_ONCE_SECONDS):
        for ask in (directory.check("ada", PASSWORD), directory.find("ada"), directory.read(["x"])):
            with pytest.raises(DirectoryUnavailable, match="no server of the directory answers"):
                await ask


async def test_links_that_a_server_has_closed_since_say_nothing_about_it(
    stubs: list[StubDirectory], ask_stubs: AskStubs
) -> None:
    directory = ask_stubs(stubs[0])
    await asyncio.gather(*(directory.find("ada") for _ in range(4)))
    stubs[0].disconnect()
    with capture_logs() as logs:
        assert await directory.find("ada") is not None
    assert logs == []


async def test_a_link_that_was_idle_for_long_is_not_trusted(
    monkeypatch: pytest.MonkeyPatch, stubs: list[StubDirectory], ask_stubs: AskStubs
) -> None:
    directory = ask_stubs(stubs[0])
    await directory.find("ada")
    await directory.find("ada")
    assert stubs[0].connections == 1
    monkeypatch.setattr(ldap_servers, "MAX_IDLE_SECONDS", 0)
    await directory.find("ada")
    assert stubs[0].connections == 2


async def test_closing_waits_for_no_server(
    monkeypatch: pytest.MonkeyPatch, stubs: list[StubDirectory], ask_stubs: AskStubs
) -> None:
    monkeypatch.setattr(ldap_servers, "LOOK_AGAIN_SOON_SECONDS", 0)
    directory = ask_stubs(*stubs, timeout_seconds=30)
    for stub in stubs:
        stub.fault = Fault.RESET
    with pytest.raises(DirectoryUnavailable):
        await directory.find("ada")
    for stub in stubs:
        stub.fault = Fault.HANG
    with pytest.raises(DirectoryUnavailable):  # begins a look, which hangs
        await directory.find("ada")
    await until(lambda: any(stub.open for stub in stubs))
    async with within(AT_ONCE_SECONDS):
        await directory.close()
    with pytest.raises(DirectoryUnavailable):
        await directory.find("ada")


async def test_a_connection_that_did_not_come_as_far_as_tls_is_closed(
    stubs: list[StubDirectory], ask_stubs: AskStubs
) -> None:
    directory = ask_stubs(stubs[0])
    stubs[0].fault = Fault.HANG
    with pytest.raises(DirectoryUnavailable):
        await directory.find("ada")
    (left,) = stubs[0].open
    left.settimeout(1)
    while left.recv(1000):
        pass
