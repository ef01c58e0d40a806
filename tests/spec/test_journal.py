"""The journal keeps what ended until the record has it, whatever happens to the disk or the process."""

from __future__ import annotations

from pathlib import Path

import pytest

from auth.personal import Personal
from auth.principal import PartyId
from broker.audit.record import Draft
from broker.core.commands import EndSignIn, EndVisit, RevokeInvitation
from broker.shell.journal import Journal, JournalEntry, Mark

NOTHING_ENTERED = Mark(0, 0)


def entry(number: int) -> JournalEntry:
    record = Draft(
        "auth.ended", f"s-{number}", {"reason": "signed_out"}, {"user.name": Personal(f"Zoë {number}")}
    )
    writes = (EndSignIn(f"digest-{number}"), RevokeInvitation("i-1"), EndVisit(PartyId("g-1")))
    return JournalEntry(number, (record,), writes)


def test_entries_of_a_dead_process_come_back_whole_and_in_order(tmp_path: Path) -> None:
    first = Journal(tmp_path / "j", 65536)
    for number in range(3):
        assert first.append(entry(number)) is not None
    left, _ = Journal(tmp_path / "j", 65536).left_over(NOTHING_ENTERED)
    assert left == [entry(number) for number in range(3)]


def test_what_the_record_has_does_not_come_back(tmp_path: Path) -> None:
    first = Journal(tmp_path / "j", 65536)
    marks = [first.append(entry(number)) for number in range(3)]
    assert marks[1] is not None
    left, _ = Journal(tmp_path / "j", 65536).left_over(marks[1])
    assert left == [entry(2)]


def test_left_over_entries_stay_until_they_are_entered(tmp_path: Path) -> None:
    Journal(tmp_path / "j", 65536).append(entry(1))
    Journal(tmp_path / "j", 65536).left_over(NOTHING_ENTERED)
    third = Journal(tmp_path / "j", 65536)
    left, mark = third.left_over(NOTHING_ENTERED)
    assert left == [entry(1)]
    third.entered(mark)
    assert Journal(tmp_path / "j", 65536).left_over(NOTHING_ENTERED)[0] == []


def test_entries_added_after_a_restart_follow_those_left_over(tmp_path: Path) -> None:
    Journal(tmp_path / "j", 65536).append(entry(1))
    second = Journal(tmp_path / "j", 65536)
    second.left_over(NOTHING_ENTERED)
    second.append(entry(2))
    assert Journal(tmp_path / "j", 65536).left_over(NOTHING_ENTERED)[0] == [entry(1), entry(2)]


def test_a_full_journal_says_that_it_took_nothing_and_keeps_what_it_has(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j", 4096)
    taken = 0
    while journal.append(entry(taken)) is not None:
        taken += 1
    assert journal.append(entry(99)) is None
    left, _ = Journal(tmp_path / "j", 4096).left_over(NOTHING_ENTERED)
    assert left == [entry(number) for number in range(taken)]


def test_the_whole_file_is_used_again_once_everything_is_entered(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j", 4096)
    for number in range(500):
        mark = journal.append(entry(number))
        assert mark is not None
        journal.entered(mark)


def test_an_older_mark_does_not_forget_newer_entries(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j", 65536)
    early = journal.append(entry(1))
    late = journal.append(entry(2))
    assert early is not None
    assert late is not None
    journal.entered(early)
    assert Journal(tmp_path / "j", 65536).left_over(early)[0] == [entry(2)]


@pytest.mark.parametrize("cut_at", [9, 12, 20, 60, 150])
def test_a_torn_entry_ends_the_journal_and_nothing_is_made_of_it(tmp_path: Path, cut_at: int) -> None:
    path = tmp_path / "j"
    journal = Journal(path, 65536)
    journal.append(entry(1))
    content = bytearray(path.read_bytes())
    content[cut_at] ^= 0xFF
    path.write_bytes(content)
    assert Journal(path, 65536).left_over(NOTHING_ENTERED)[0] == []


def test_only_the_service_may_read_the_file(tmp_path: Path) -> None:
    Journal(tmp_path / "j", 65536)
    assert (tmp_path / "j").stat().st_mode & 0o077 == 0
