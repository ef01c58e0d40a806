"""Checking passwords in threads: bounded, in time, and honest when there is no answer."""

import asyncio
import threading
from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from auth import passwords
from auth.directory import DirectoryUnavailable
from auth.password_hash import format_user_password, parse_user_password
from auth.passwords import PasswordChecker

STORED = parse_user_password(format_user_password(PasswordHasher(1, 8, 1).hash(b"correct horse")))


class SlowHasher:
    """In place of argon2: every check waits until the test lets it end."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.may_end = threading.Event()
        self.checked: list[bytes] = []

    def verify(self, encoded: str, password: bytes) -> bool:
        self.checked.append(password)
        self.begun.release()
        assert self.may_end.wait(30)
        return True


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowHasher]:
    hasher = SlowHasher()
    monkeypatch.setattr(passwords, "_HASHER", hasher)
    yield hasher
    hasher.may_end.set()


async def test_the_right_password_matches_and_no_other_does() -> None:
    checker = PasswordChecker(1, 1, 30)
    assert await checker.matches(STORED, b"correct horse")
    assert not await checker.matches(STORED, b"correct horse\x00")
    assert not await checker.matches(STORED.decoy(), b"correct horse")
    await checker.close()


async def test_one_check_more_than_may_run_and_wait_is_refused_at_once(slow: SlowHasher) -> None:
    checker = PasswordChecker(1, 2, 30)
    checks = asyncio.gather(
        *(checker.matches(STORED, b"%d" % number) for number in range(4)), return_exceptions=True
    )
    await _begun(slow)
    slow.may_end.set()
    *answered, refused = await checks
    assert answered == [True, True, True]
    assert isinstance(refused, DirectoryUnavailable)
    assert str(refused) == "3 password checks are under way already"
    await checker.close()


async def test_a_check_that_is_not_done_in_time_is_no_answer_and_keeps_its_place(slow: SlowHasher) -> None:
    checker = PasswordChecker(1, 0, 0.01)
    with pytest.raises(DirectoryUnavailable, match=r"longer than 0\.01 seconds"):
        await checker.matches(STORED, b"first")
    with pytest.raises(DirectoryUnavailable, match="under way"):
        await checker.matches(STORED, b"second")
    slow.may_end.set()
    await checker.close()


async def test_a_waiting_check_whose_caller_went_away_is_not_hashed(slow: SlowHasher) -> None:
    checker = PasswordChecker(1, 1, 30)
    running = asyncio.ensure_future(checker.matches(STORED, b"running"))
    await _begun(slow)
    waiting = asyncio.ensure_future(checker.matches(STORED, b"waiting"))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    slow.may_end.set()
    assert await running
    await checker.close()
    assert slow.checked == [b"running"]


async def test_closing_leaves_waiting_checks_unanswered_instead_of_calling_them_wrong(
    slow: SlowHasher,
) -> None:
    checker = PasswordChecker(1, 1, 30)
    checks = asyncio.gather(
        checker.matches(STORED, b"running"), checker.matches(STORED, b"waiting"), return_exceptions=True
    )
    await _begun(slow)
    closing = asyncio.ensure_future(checker.close())
    await asyncio.sleep(0)
    slow.may_end.set()
    await closing
    running, waiting = await checks
    assert running is True
    assert isinstance(waiting, DirectoryUnavailable)
    assert slow.checked == [b"running"]
    with pytest.raises(DirectoryUnavailable, match="ended"):
        await checker.matches(STORED, b"late")


async def test_a_hash_that_argon2_cannot_compute_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    class Exhausted:
        def verify(self, encoded: str, password: bytes) -> bool:
            raise VerificationError("Memory allocation error")

    monkeypatch.setattr(passwords, "_HASHER", Exhausted())
    checker = PasswordChecker(1, 1, 30)
    with pytest.raises(DirectoryUnavailable, match="Memory allocation error"):
        await checker.matches(STORED, b"correct horse")
    await checker.close()


async def _begun(slow: SlowHasher) -> None:
    """Let what was just started reach its thread, and wait until the thread is at work."""
    await asyncio.sleep(0)
    assert slow.begun.acquire(timeout=30)
