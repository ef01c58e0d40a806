"""The journal keeps what ended until the record has it, whatever happens to the disk or the process."""

from __future__ import annotations

import struct
import zlib
from collections import deque
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from auth.personal import Personal
from auth.principal import PartyId
from broker.audit.record import Draft
from broker.core.commands import EndSignIn, EndVisit, RemoveSecurityKey, RevokeInvitation
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


def test_the_removal_of_a_security_key_comes_back_as_that(tmp_path: Path) -> None:
    removed = JournalEntry(1, (), (RemoveSecurityKey("key-1"),))
    Journal(tmp_path / "j", 65536).append(removed)
    assert Journal(tmp_path / "j", 65536).left_over(NOTHING_ENTERED)[0] == [removed]


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


def test_a_journal_that_something_is_always_outstanding_in_never_fills(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j", 8192)
    due: deque[Mark] = deque()
    for number in range(2_000):
        mark = journal.append(entry(number))
        assert mark is not None
        due.append(mark)
        if len(due) > 5:
            journal.entered(due.popleft())
    left, _ = Journal(tmp_path / "j", 8192).left_over(Mark(due[0].generation, due[0].entered - 1))
    assert left == [entry(number) for number in range(1_995, 2_000)]


def test_half_of_the_file_fits_however_far_along_the_other_half_is(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j", 8192)
    half = 0
    first = journal.append(entry(0))
    assert first is not None
    while (mark := journal.append(entry(1))) is not None and mark.generation == first.generation:
        half += 1
    assert mark is not None
    taken = 1
    while journal.append(entry(1)) is not None:
        taken += 1
    assert taken >= half
    journal.entered(first)
    assert journal.append(entry(1)) is None
    journal.entered(Mark(first.generation, half + 1))
    assert journal.append(entry(1)) is not None


def test_an_entry_larger_than_half_of_the_file_is_not_taken_and_does_not_disturb(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j", 4096)
    huge = JournalEntry(1, (Draft("auth.ended", None, {"reason": "x" * 3000}),), ())
    assert journal.append(huge) is None
    assert journal.append(entry(1)) is not None
    assert Journal(tmp_path / "j", 4096).left_over(NOTHING_ENTERED)[0] == [entry(1)]


def test_marks_only_grow(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j", 4096)
    marks: list[Mark] = []
    for number in range(200):
        mark = journal.append(entry(number))
        assert mark is not None
        marks.append(mark)
        if number % 3 == 2:
            journal.entered(mark)
    assert marks == sorted(marks, key=lambda mark: (mark.generation, mark.entered))
    assert len(set(marks)) == len(marks)


def test_a_mark_ahead_of_the_file_means_that_all_of_it_was_entered(tmp_path: Path) -> None:
    """After a power cut the database is newer than what the kernel had written back of the file."""
    path = tmp_path / "j"
    journal = Journal(path, 65536)
    first = journal.append(entry(1))
    on_disk = path.read_bytes()
    assert first is not None
    journal.entered(first)
    second = journal.append(entry(2))
    assert second is not None
    assert second.generation > first.generation
    path.write_bytes(on_disk)
    assert Journal(path, 65536).left_over(second)[0] == []


def test_what_was_entered_from_both_halves_is_gone_whatever_the_database_says(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j", 4096)
    first = last = journal.append(entry(0))
    while last is not None and last.generation == 0:
        last = journal.append(entry(0))
    assert first is not None
    assert last is not None
    journal.entered(last)
    assert Journal(tmp_path / "j", 4096).left_over(NOTHING_ENTERED)[0] == []


def test_an_entry_behind_a_torn_one_does_not_come_back_when_its_place_is_used_again(tmp_path: Path) -> None:
    path = tmp_path / "j"
    journal = Journal(path, 65536)
    journal.append(entry(1))
    torn_at = journal._active.end
    journal.append(entry(2))
    journal.append(entry(3))
    content = bytearray(path.read_bytes())
    content[torn_at + 20] ^= 0xFF
    path.write_bytes(content)
    restarted = Journal(path, 65536)
    assert restarted.left_over(NOTHING_ENTERED)[0] == [entry(1)]
    restarted.append(entry(4))
    assert Journal(path, 65536).left_over(NOTHING_ENTERED)[0] == [entry(1), entry(4)]


@pytest.mark.parametrize("mark", [Mark(0, 5), Mark(7, 2)])
def test_a_new_file_beside_an_old_database_loses_nothing_later(tmp_path: Path, mark: Mark) -> None:
    journal = Journal(tmp_path / "j", 65536)
    assert journal.left_over(mark)[0] == []
    journal.append(entry(1))
    assert Journal(tmp_path / "j", 65536).left_over(mark)[0] == [entry(1)]


@pytest.mark.parametrize("size_bytes", [4096, 65536])
def test_another_size_takes_effect_once_nothing_is_outstanding(tmp_path: Path, size_bytes: int) -> None:
    path = tmp_path / "j"
    journal = Journal(path, 16384)
    last = NOTHING_ENTERED
    for number in range(40):
        last = journal.append(entry(number)) or last
    assert last.generation > 0
    restarted = Journal(path, size_bytes)
    left, mark = restarted.left_over(NOTHING_ENTERED)
    assert left == [entry(number) for number in range(40)]
    restarted.entered(mark)
    assert path.stat().st_size == size_bytes
    restarted.append(entry(99))
    assert Journal(path, size_bytes).left_over(mark)[0] == [entry(99)]


UNREADABLE = [
    b'{"wall_ms":1,"records":[{"type":"no.such","session":null,"fields":{},"personal":{}}],"writes":[]}',
    b'{"wall_ms":1,"records":[],"writes":[["EndEverything","all"]]}',
    b'{"wall_ms":1,"records":[],"writes":[["EndVisit",7]]}',
    b'{"wall_ms":1e300,"records":[],"writes":[]}',
    b'{"wall_ms":1,"records":[],"writes":[],"more":1}',
    b"not JSON",
    b"[" * 200,
    b"\xff\xfe",
]


def put(path: Path, body: bytes) -> None:
    """Leave one entry with any body, between two good ones."""
    journal = Journal(path, 65536)
    journal.append(entry(1))
    at = journal._active.end
    journal._map[at : at + 8 + len(body)] = struct.pack("<II", len(body), zlib.crc32(body)) + body
    journal._active.end = at + 8 + len(body)
    journal.append(entry(3))


@pytest.mark.parametrize("body", UNREADABLE)
def test_an_unreadable_entry_costs_no_other_and_the_file_is_kept(tmp_path: Path, body: bytes) -> None:
    put(tmp_path / "j", body)
    before = (tmp_path / "j").read_bytes()
    with capture_logs() as logs:
        journal = Journal(tmp_path / "j", 65536)
        left, mark = journal.left_over(NOTHING_ENTERED)
    assert left == [entry(1), entry(3)]
    kept = tmp_path / "j.unreadable-1"
    assert kept.read_bytes() == before
    assert kept.stat().st_mode & 0o077 == 0
    assert logs == [{"event": "journal.unreadable", "log_level": "critical", "path": str(kept), "entries": 1}]
    journal.entered(mark)
    assert Journal(tmp_path / "j", 65536).left_over(mark)[0] == []
    assert not (tmp_path / "j.unreadable-2").exists()


def test_a_journal_with_nothing_readable_starts_empty(tmp_path: Path) -> None:
    put(tmp_path / "j", b"not JSON")
    journal = Journal(tmp_path / "j", 65536)
    assert journal.left_over(Mark(0, 1))[0] == [entry(3)]
    assert Journal(tmp_path / "j", 65536).left_over(Mark(0, 3))[0] == []


def test_no_file_that_was_kept_is_ever_overwritten(tmp_path: Path) -> None:
    put(tmp_path / "j", b"not JSON")
    (tmp_path / "j.unreadable-1").write_text("kept")
    Journal(tmp_path / "j", 65536).left_over(NOTHING_ENTERED)
    assert (tmp_path / "j.unreadable-1").read_text() == "kept"
    assert (tmp_path / "j.unreadable-2").exists()


def test_an_unreadable_entry_that_the_record_has_is_nobodys_concern(tmp_path: Path) -> None:
    put(tmp_path / "j", b"not JSON")
    assert Journal(tmp_path / "j", 65536).left_over(Mark(0, 2))[0] == [entry(3)]
    assert not (tmp_path / "j.unreadable-1").exists()


def test_a_damaged_header_does_not_stop_the_start(tmp_path: Path) -> None:
    path = tmp_path / "j"
    path.write_bytes(b"\xff" * 65536)
    journal = Journal(path, 65536)
    assert journal.left_over(Mark(3, 1))[0] == []
    journal.append(entry(1))
    assert Journal(path, 65536).left_over(Mark(3, 1))[0] == [entry(1)]
    assert (tmp_path / "j.unreadable-1").read_bytes() == b"\xff" * 65536
