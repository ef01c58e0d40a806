"""The directory that is an LDIF file, as the rest of the product sees it."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher

import auth.ldif
from auth.directory import CredentialOutcome, Directory, DirectoryUnavailable
from auth.ldif import LdifDirectory
from auth.ldif_people import LdifContent, read_people
from auth.ldif_records import LdifError
from auth.password_hash import PasswordHash
from auth.passwords import PasswordChecker

SAMPLE = Path(__file__).parents[2] / "config" / "samples" / "people.ldif"
IDS = {
    login: f"00000000-0000-4000-8000-{number:012}"
    for number, login in enumerate(["ada", "grace", "alan", "ken"])
}
PASSWORD = "correct horse"
HASH = "{ARGON2}" + PasswordHasher(1, 8, 1).hash(PASSWORD)
OTHER_HASH = "{ARGON2}" + PasswordHasher(1, 8, 1).hash("battery staple")


def _person(login: str, *lines: str) -> str:
    head = [f"dn: uid={login}", "objectClass: inetOrgPerson", f"uid: {login}", f"entryUUID: {IDS[login]}"]
    return "\n".join([*head, f"cn: {login}", *lines, "", ""])


def _write(path: Path, text: str) -> None:
    path.write_text(text)


def _remove(path: Path) -> None:
    path.unlink()


PEOPLE = (
    _person("ada", f"userPassword: {HASH}")
    + _person("grace", f"userPassword: {HASH}", "loginDisabled: TRUE")
    + _person("alan")
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "people.ldif"
    _write(path, PEOPLE)
    return path


@pytest.fixture
async def directory(path: Path) -> AsyncIterator[LdifDirectory]:
    directory = LdifDirectory(path, password_check_threads=1, max_waiting_checks=4, check_timeout_seconds=30)
    yield directory
    await directory.close()


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[PasswordHash]:
    """Every hash that a password is checked against."""
    seen: list[PasswordHash] = []
    matches = PasswordChecker.matches

    async def watched(self: PasswordChecker, stored: PasswordHash, password: bytes) -> bool:
        seen.append(stored)
        return await matches(self, stored, password)

    monkeypatch.setattr(PasswordChecker, "matches", watched)
    return seen


@pytest.mark.parametrize("login", ["ada", "ADA", " ada "])
async def test_the_right_password_is_accepted_under_every_spelling_of_the_login(
    directory: LdifDirectory, login: str
) -> None:
    check = await directory.check(login, PASSWORD)
    assert check.outcome is CredentialOutcome.ACCEPTED
    assert check.entry == await directory.get(IDS["ada"])


@pytest.mark.parametrize(
    ("login", "password", "outcome", "known"),
    [
        ("ada", "correct hors", CredentialOutcome.WRONG, "ada"),
        ("ada", PASSWORD + "\x00", CredentialOutcome.WRONG, "ada"),
        ("ada", "", CredentialOutcome.WRONG, "ada"),
        ("ada", "x" * 1025, CredentialOutcome.WRONG, "ada"),
        ("ada", "\ud800", CredentialOutcome.WRONG, "ada"),
        ("nobody", "", CredentialOutcome.WRONG, None),
        ("nobody", PASSWORD, CredentialOutcome.UNKNOWN, None),
        ("\ud800\x00", PASSWORD, CredentialOutcome.UNKNOWN, None),
        ("a" * 257, PASSWORD, CredentialOutcome.UNKNOWN, None),
        ("", PASSWORD, CredentialOutcome.UNKNOWN, None),
        ("grace", PASSWORD, CredentialOutcome.NOT_ACTIVE, "grace"),
        ("grace", "wrong", CredentialOutcome.WRONG, "grace"),
        ("alan", PASSWORD, CredentialOutcome.WRONG, "alan"),
    ],
)
async def test_everything_else_is_an_outcome_that_names_whom_the_directory_knows(
    directory: LdifDirectory, login: str, password: str, outcome: CredentialOutcome, known: str | None
) -> None:
    check = await directory.check(login, password)
    assert check.outcome is outcome
    assert (check.entry.stable_id if check.entry else None) == (IDS[known] if known else None)


@pytest.mark.parametrize("login", ["ada", "grace", "alan", "nobody", "a" * 257])
async def test_every_login_known_or_not_costs_one_hash_of_the_same_price(
    directory: LdifDirectory, hashed: list[PasswordHash], login: str
) -> None:
    await directory.check(login, "wrong")
    assert [stored.cost for stored in hashed] == [(8, 1, 1)]


@pytest.mark.parametrize("password", ["", "x" * 1025, "\ud800"])
@pytest.mark.parametrize("login", ["ada", "nobody"])
async def test_a_password_nobody_can_have_costs_no_hash(
    directory: LdifDirectory, hashed: list[PasswordHash], login: str, password: str
) -> None:
    await directory.check(login, password)
    assert hashed == []


async def test_more_checks_than_may_wait_make_the_directory_unavailable(directory: LdifDirectory) -> None:
    checks = [directory.check("ada", PASSWORD) for _ in range(6)]
    *answered, refused = await asyncio.gather(*checks, return_exceptions=True)
    assert all(not isinstance(check, BaseException) for check in answered)
    assert isinstance(refused, DirectoryUnavailable)


async def test_a_person_is_found_by_stable_id_whatever_their_state(directory: LdifDirectory) -> None:
    grace = await directory.get(IDS["grace"])
    assert grace is not None
    assert grace.name.reveal() == "grace"
    assert await directory.get("nobody") is None


async def test_only_active_people_are_listed_and_no_more_than_asked_for(directory: LdifDirectory) -> None:
    assert [entry.stable_id for entry in await directory.list_entries(10)] == [IDS["ada"], IDS["alan"]]
    assert [entry.stable_id for entry in await directory.list_entries(1)] == [IDS["ada"]]
    assert list(await directory.list_entries(-1)) == []


async def test_a_reload_takes_over_the_whole_file(directory: LdifDirectory, path: Path) -> None:
    before = await directory.get(IDS["ada"])
    _write(path, _person("ada", f"userPassword: {HASH}", "loginDisabled: TRUE") + _person("ken"))
    await directory.reload()
    after = await directory.get(IDS["ada"])
    assert before is not None
    assert after is not None
    assert before.version != after.version
    assert (await directory.check("ada", PASSWORD)).outcome is CredentialOutcome.NOT_ACTIVE
    assert await directory.get(IDS["grace"]) is None
    assert [entry.stable_id for entry in await directory.list_entries(10)] == [IDS["ken"]]


async def test_a_bad_file_changes_nothing_and_the_caller_is_told_the_line(
    directory: LdifDirectory, path: Path
) -> None:
    _write(path, _person("ken") + "userPassword: secret\n")
    with pytest.raises(LdifError) as refusal:
        await directory.reload()
    assert str(refusal.value) == "line 7: an entry begins with its dn"
    _remove(path)
    with pytest.raises(LdifError, match=r"^the file cannot be read: No such file or directory$"):
        await directory.reload()
    assert (await directory.check("ada", PASSWORD)).outcome is CredentialOutcome.ACCEPTED
    assert await directory.get(IDS["ken"]) is None


def test_a_directory_with_a_bad_file_does_not_come_up(path: Path) -> None:
    _write(path, "nonsense\n")
    with pytest.raises(LdifError, match="line 1"):
        LdifDirectory(path)


@pytest.mark.parametrize(
    ("now", "outcome"),
    [
        (_person("ada", f"userPassword: {HASH}"), CredentialOutcome.ACCEPTED),
        (_person("ada", f"userPassword: {HASH}", "loginDisabled: TRUE"), CredentialOutcome.NOT_ACTIVE),
        (_person("ada", f"userPassword: {OTHER_HASH}"), CredentialOutcome.WRONG),
        (_person("ada"), CredentialOutcome.WRONG),
        (_person("ken"), CredentialOutcome.UNKNOWN),
    ],
)
async def test_a_check_is_judged_by_what_the_file_says_when_the_hash_is_done(
    directory: LdifDirectory,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    now: str,
    outcome: CredentialOutcome,
) -> None:
    matches = PasswordChecker.matches

    async def overtaken(self: PasswordChecker, stored: PasswordHash, password: bytes) -> bool:
        matched = await matches(self, stored, password)
        _write(path, now)
        await directory.reload()
        return matched

    monkeypatch.setattr(PasswordChecker, "matches", overtaken)
    assert (await directory.check("ada", PASSWORD)).outcome is outcome


async def test_the_file_is_read_outside_the_event_loop_and_one_reload_after_the_other(
    directory: LdifDirectory, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []

    def watched(data: bytes) -> LdifContent:
        threads.append(threading.get_ident())
        return read_people(data)

    monkeypatch.setattr(auth.ldif, "read_people", watched)
    _write(path, _person("ken"))
    await asyncio.gather(directory.reload(), directory.reload())
    assert len(threads) == 2
    assert threading.get_ident() not in threads
    assert await directory.get(IDS["ken"]) is not None


async def test_a_closed_directory_checks_no_password(path: Path) -> None:
    directory = LdifDirectory(path)
    await directory.close()
    with pytest.raises(DirectoryUnavailable):
        await directory.check("ada", PASSWORD)


async def test_the_sample_can_be_signed_in_to_with_the_password_it_documents() -> None:
    directory: Directory = LdifDirectory(SAMPLE)
    outcomes = {entry.login.reveal(): entry.groups for entry in await directory.list_entries(10)}
    assert outcomes == {
        "ada": {"press", "external-communication"},
        "grace": {"counter", "external-communication"},
        "joerg": set(),
    }
    for login in outcomes:
        assert (await directory.check(login, "turngate-sample")).outcome is CredentialOutcome.ACCEPTED
    await directory.close()
