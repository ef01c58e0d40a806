"""The file of heads: newest head, at most once a second, readable whatever tore it."""

from __future__ import annotations

from pathlib import Path

from broker.audit.heads_file import TAIL_BYTES, HeadsFile, last_note, read_heads


def test_heads_are_written_at_most_once_a_second_and_the_newest_at_close(tmp_path: Path) -> None:
    path = tmp_path / "heads"
    file = HeadsFile(path)
    for note, at in (
        ("a\n", 100.0),
        ("b\n", 100.4),
        ("c\n", 100.9),
        ("d\n", 101.0),
        ("e\n", 101.5),
        ("f\n", 101.6),
    ):
        file.offer(note, at)
    assert list(read_heads(path)) == ["a\n", "d\n"]
    file.close()
    assert list(read_heads(path)) == ["a\n", "d\n", "f\n"]


def test_a_head_that_waits_is_written_when_it_is_due_without_a_newer_one(tmp_path: Path) -> None:
    path = tmp_path / "heads"
    file = HeadsFile(path)
    file.offer("a\n", 100.0)
    file.offer("b\n", 100.5)
    file.catch_up(100.9)
    assert list(read_heads(path)) == ["a\n"]
    file.catch_up(101.0)
    file.catch_up(109.0)
    assert list(read_heads(path)) == ["a\n", "b\n"]
    file.close()
    file.close()
    assert list(read_heads(path)) == ["a\n", "b\n"]


def test_a_file_is_continued_and_a_torn_line_spoils_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "heads"
    path.write_bytes(b'"one\\n"\n"two\\n"\n"tor')
    file = HeadsFile(path)
    file.offer("— three\n", 0.0)
    file.close()
    assert list(read_heads(path)) == ["one\n", "two\n", "— three\n"]


def test_a_line_torn_by_a_full_disk_spoils_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "heads"
    file = HeadsFile(path)
    file.offer("a\n", 0.0)
    with path.open("ab") as torn:
        torn.write(b'"half of b')
    file.offer("c\n", 1.0)
    file.close()
    assert list(read_heads(path)) == ["a\n", "c\n"]


def test_lines_that_are_no_note_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "heads"
    path.write_bytes(b'\n\xff\n12\n{"a": 1}\n' + b"[" * 100_000 + b'\n"kept"\n')
    assert list(read_heads(path)) == ["kept"]


def test_the_last_note_is_found_at_the_end_of_a_file_of_any_length(tmp_path: Path) -> None:
    path = tmp_path / "heads"
    path.write_bytes(b'"first\\n"\n' * TAIL_BYTES + b'"last\\n"\n"tor')
    assert last_note(path) == "last\n"
    path.write_bytes(b'"only\\n"\n')
    assert last_note(path) == "only\n"


def test_a_file_whose_end_has_no_note_has_no_last_one(tmp_path: Path) -> None:
    path = tmp_path / "heads"
    for content in (b"", b"12\n", b"\xff" * 2 * TAIL_BYTES):
        path.write_bytes(content)
        assert last_note(path) is None
