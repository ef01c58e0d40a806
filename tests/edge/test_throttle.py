"""The throttle in front of the directory, across restarts, floods and disks that fail."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from pathlib import Path

import pytest

from auth.directory import CredentialCheck, CredentialOutcome, DirectoryUnavailable
from auth.ldif import LdifDirectory
from auth.throttle import SLICES_PER_WINDOW
from broker.shell import writer
from config.sign_in import SignInSettings
from tests.edge.bench_house import password_of, with_house
from tests.edge.edge_bench import Bench, edge_bench, running_bench, until
from tests.edge.record_faults import failing_commits, full_disk, held_commits

ALLOWED = SignInSettings().max_failures_per_login
"""Wrong passwords for one login within the window, as the settings have it by default."""
FAULTS = {"broken": failing_commits, "full": full_disk}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often the directory was asked about each login. It takes the passwords of the bench for right."""
    asked: Counter[str] = Counter()

    async def check(directory: LdifDirectory, login: str, password: str) -> CredentialCheck:
        asked[login] += 1
        entry = await directory.find(login)
        if entry is None or password != password_of(login):
            return CredentialCheck(CredentialOutcome.WRONG, None)
        return CredentialCheck(CredentialOutcome.ACCEPTED, entry)

    monkeypatch.setattr(LdifDirectory, "check", check)
    return asked


def kept(bench: Bench) -> int:
    with sqlite3.connect(bench.house.database) as database:
        return int(database.execute("SELECT count(*) FROM sign_in_failures").fetchone()[0])


async def test_ten_thousand_wrong_passwords_from_many_sources_reach_the_directory_a_few_times(
    tmp_path: Path, asked: Counter[str]
) -> None:
    async with edge_bench(tmp_path) as bench:

        async def guess(source: str) -> Counter[str]:
            answers = Counter[str]()
            for number in range(200):
                answer = await bench.post_sign_in("alice", f"wrong {number}", source=source)
                answers[answer.code] += 1
            return answers

        codes = sum(
            await asyncio.gather(*(guess(f"127.1.{network}.1") for network in range(50))), Counter[str]()
        )
        assert codes == {"SIGN_IN_REFUSED": ALLOWED, "SIGN_IN_THROTTLED": 10_000 - ALLOWED}
        assert asked == {"alice": ALLOWED}
        assert kept(bench) == ALLOWED
        right = await bench.post_sign_in("bob", password_of("bob"), source="127.1.0.1")
        assert right.status == 200, "below the limit of its source, another login is as welcome as ever"


async def test_a_locked_login_and_a_locked_source_stay_locked_across_a_restart(
    tmp_path: Path, asked: Counter[str]
) -> None:
    house = with_house(tmp_path)
    async with running_bench(house) as bench:
        for _ in range(ALLOWED):
            assert (await bench.post_sign_in("alice", "wrong", source="127.1.1.1")).status == 401
        for number in range(house.settings.sign_in.max_failures_per_source - ALLOWED):
            assert (await bench.post_sign_in(f"nobody{number}", "wrong", source="127.1.1.9")).status == 401
    asked.clear()
    async with running_bench(house) as bench:
        locked = await bench.post_sign_in("Alice", password_of("alice"), source="127.2.2.2")
        assert (locked.status, locked.code) == (429, "SIGN_IN_THROTTLED")
        assert (await bench.post_sign_in("bob", password_of("bob"), source="127.1.1.5")).status == 429
        assert asked == {}
        assert (await bench.post_sign_in("bob", password_of("bob"), source="127.2.2.2")).status == 200


async def test_nobody_hears_that_a_password_was_wrong_before_that_is_durable(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench:
        with held_commits(bench) as release:
            answer = bench.tasks.create_task(bench.post_sign_in("alice", "wrong"))
            await until(lambda: bench.edge.driver.pending > 0)
            assert kept(bench) == 0
            assert not answer.done()
            release.set()
            assert (await answer).status == 401
        assert kept(bench) == 1


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_failure_that_cannot_be_stored_is_refused_all_the_same_and_counts(
    tmp_path: Path, asked: Counter[str], fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "RETRY_SECONDS", 0.05)
    async with edge_bench(tmp_path) as bench:
        with FAULTS[fault](bench):
            statuses = [(await bench.post_sign_in("alice", "wrong")).status for _ in range(ALLOWED + 2)]
        assert statuses == [401] * ALLOWED + [429] * 2
        assert asked == {"alice": ALLOWED}


async def test_failures_that_count_no_more_are_forgotten_with_the_next_one(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench:
        clock = bench.edge.clock
        for _ in range(3):
            await bench.post_sign_in("alice", "wrong")
        assert kept(bench) == 3
        now = clock()
        window = bench.house.settings.sign_in.failure_window_seconds
        seconds = window + window // SLICES_PER_WINDOW
        later = type(now)(now.wall_ms + seconds * 1000 + 1000, now.monotonic_seconds + seconds + 1)
        bench.edge.clock = lambda: later
        await bench.post_sign_in("bob", "wrong")
        assert kept(bench) == 1


async def test_no_login_is_in_what_is_stored_of_a_failure(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench:
        await bench.post_sign_in("canary-login", "canary-password")
        with sqlite3.connect(bench.house.database) as database:
            assert "canary" not in "\n".join(database.iterdump())


@pytest.mark.parametrize("may_have_counted", [True, False])
async def test_a_password_that_the_directory_may_have_counted_is_counted_here_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, may_have_counted: bool
) -> None:
    async def check(directory: LdifDirectory, login: str, password: str) -> CredentialCheck:
        raise DirectoryUnavailable("it hangs", may_have_counted=may_have_counted)

    monkeypatch.setattr(LdifDirectory, "check", check)
    async with edge_bench(tmp_path) as bench:
        codes = [(await bench.post_sign_in("alice", "a guess")).code for _ in range(ALLOWED + 1)]
        last = "SIGN_IN_THROTTLED" if may_have_counted else "DIRECTORY_UNAVAILABLE"
        assert codes == ["DIRECTORY_UNAVAILABLE"] * ALLOWED + [last]
        assert kept(bench) == (ALLOWED if may_have_counted else 0)
