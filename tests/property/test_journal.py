"""Whatever the journal was asked, and wherever the process died: what the record lacks comes back, once, in
order."""

from __future__ import annotations

import json
import mmap
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from broker.audit.record import Draft
from broker.core.commands import EndSignIn
from broker.shell.journal import Journal, JournalEntry, Mark, UnreadableEntryError, _decode, _encode

FILE_BYTES = 2048
PAGE_BYTES = 512


def entry(number: int, padding: int) -> JournalEntry:
    return JournalEntry(number, (Draft("auth.ended", f"s-{number}", {"reason": "x" * padding}),), ())


class WatchedMap(mmap.mmap):
    """Tells what the file looks like after each single store."""

    images: list[bytes]

    def __setitem__(self, where: Any, content: Any) -> None:
        super().__setitem__(where, content)
        self.images.append(self[:])


@contextmanager
def watched() -> Iterator[list[bytes]]:
    images: list[bytes] = []
    WatchedMap.images = images
    with patch("broker.shell.journal.mmap.mmap", WatchedMap):
        yield images


@dataclass
class Run:
    """A journal, the mark that the database has, and the numbers of the entries the record lacks."""

    path: Path
    mark: Mark = field(default_factory=lambda: Mark(0, 0))
    lacking: list[tuple[int, Mark]] = field(default_factory=list)
    next_number: int = 0

    def __post_init__(self) -> None:
        self.journal = Journal(self.path, FILE_BYTES)
        self.journal.left_over(self.mark)

    @property
    def numbers(self) -> list[int]:
        return [number for number, _ in self.lacking]

    def append(self, padding: int) -> None:
        mark = self.journal.append(entry(self.next_number, padding))
        if mark is not None:
            self.lacking.append((self.next_number, mark))
            self.next_number += 1

    def commit(self, count: int) -> None:
        """The database has the oldest entries; the journal was not told yet."""
        for _, mark in self.lacking[:count]:
            self.mark = mark
        del self.lacking[:count]

    def restart(self, enter: bool) -> None:
        """The process died; the next one enters what is left over, or dies before it could."""
        self.journal.close()
        self.journal = Journal(self.path, FILE_BYTES)
        left, mark = self.journal.left_over(self.mark)
        assert [kept.wall_ms for kept in left] == self.numbers
        if enter:
            self.mark = mark if left else self.mark
            self.lacking.clear()
            self.journal.entered(mark)


def recovered(folder: Path, image: bytes, mark: Mark) -> list[int]:
    path = folder / "copy"
    path.write_bytes(image)
    journal = Journal(path, FILE_BYTES)
    left, _ = journal.left_over(mark)
    journal.close()
    return [kept.wall_ms for kept in left]


steps = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.sampled_from([0, 0, 0, 17, 400])),
        st.tuples(st.just("append"), st.just(0)),
        st.tuples(st.just("commit"), st.integers(1, 6)),
        st.tuples(st.just("entered"), st.just(0)),
        st.tuples(st.just("restart"), st.integers(0, 1)),
    ),
    max_size=60,
)


def step(run: Run, kind: str, argument: int) -> None:
    match kind:
        case "append":
            run.append(argument)
        case "commit":
            run.commit(argument)
        case "entered":
            run.journal.entered(run.mark)
        case _:
            run.restart(bool(argument))


@settings(max_examples=150, deadline=None)
@given(steps)
def test_a_death_between_any_two_stores_loses_no_entry_and_enters_none_twice(
    asked: list[tuple[str, int]],
) -> None:
    with tempfile.TemporaryDirectory() as name, watched() as images:
        run = Run(Path(name) / "j")
        for kind, argument in asked:
            mark, before = run.mark, run.numbers
            images.clear()
            step(run, kind, argument)
            taken = list(images)
            for image in taken[:-1]:
                assert recovered(Path(name), image, mark) in (before, run.numbers)
            assert recovered(Path(name), run.path.read_bytes(), run.mark) == run.numbers


@settings(max_examples=150, deadline=None)
@given(steps, st.data())
def test_a_power_cut_that_leaves_pages_of_different_age_enters_nothing_twice(
    asked: list[tuple[str, int]], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as name:
        run = Run(Path(name) / "j")
        images = [run.path.read_bytes()]
        for kind, argument in asked:
            step(run, kind, argument)
            images.append(run.path.read_bytes())
        ages = data.draw(st.lists(st.integers(0, len(images) - 1), min_size=4, max_size=4))
        mixed = b"".join(
            images[age][page * PAGE_BYTES : (page + 1) * PAGE_BYTES] for page, age in enumerate(ages)
        )
        left = recovered(Path(name), mixed, run.mark)
        assert left == [number for number in run.numbers if number in left]


@given(st.binary(max_size=300))
def test_no_file_stops_the_start(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "j"
        path.write_bytes(content)
        journal = Journal(path, FILE_BYTES)
        journal.left_over(Mark(1, 1))
        assert journal.append(entry(1, 0)) is not None
        journal.close()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.one_of(st.binary(), JSON.map(lambda value: json.dumps(value).encode())))
def test_any_body_is_an_entry_or_unreadable(body: bytes) -> None:
    with suppress(UnreadableEntryError):
        _decode(body)


@given(
    st.sampled_from(["wall_ms", "records", "writes", "type", "session", "fields", "personal"]),
    JSON,
)
def test_an_entry_with_any_one_member_replaced_is_an_entry_or_unreadable(name: str, value: object) -> None:
    known = json.loads(_encode(JournalEntry(1, entry(1, 0).records, (EndSignIn("d"),))))
    target = known if name in known else known["records"][0]
    target[name] = value
    with suppress(UnreadableEntryError):
        _decode(json.dumps(known).encode())
