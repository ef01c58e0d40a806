"""Latches on a real disk: whatever lies there, a stop is seen, nothing blocks, and nothing floods."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import cast

import pytest
import structlog

from auth.personal import Personal
from broker.core.events import DrillFound, Event, LatchFound, LatchMissing
from broker.policy.stop import ALL, Scope, Stop, parse_scope
from broker.shell import latches as latches_module
from broker.shell.driver import Driver
from broker.shell.latch_watch import LOOKS_BEFORE_ANOTHER_TRY, LatchWatch
from broker.shell.latches import Latches, latch_name, scope_of, settle

LAB = parse_scope("zone:lab")


class Listener:
    """The driver, as the watch sees it."""

    def __init__(self) -> None:
        self.stops: dict[Scope, Stop] = {}
        self.heard: list[Event] = []

    def submit(self, event: Event) -> None:
        self.heard.append(event)
        if isinstance(event, LatchFound):
            self.stops[event.scope] = Stop(event.scope, 0, "latch")


class Watched:
    def __init__(self, folder: Path) -> None:
        self.latches = Latches(folder)
        self.latches.on_disk()
        self.driver = Listener()
        self.watch = LatchWatch(self.latches, cast("Driver", self.driver))

    def look(self, times: int = 1) -> list[Event]:
        self.driver.heard.clear()
        for _ in range(times):
            self.watch.take(self.watch.look(frozenset(self.driver.stops)))
        return list(self.driver.heard)


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path / "emergency")


def folder(watched: Watched) -> Path:
    return watched.latches._folder


def test_a_latch_is_seen_once_with_what_it_says(watched: Watched) -> None:
    (folder(watched) / latch_name(LAB)).write_text('{"by": "olga", "reason": "a test", "more": 1}')
    assert watched.look() == [LatchFound(LAB, Personal("olga"), Personal("a test"))]
    assert watched.look() == []


def test_a_latch_that_is_gone_is_missed_once(watched: Watched) -> None:
    (folder(watched) / "stop").touch()
    watched.look()
    (folder(watched) / "stop").unlink()
    assert watched.look(3) == [LatchMissing(ALL)]


def test_a_latch_that_is_gone_before_anybody_looked_is_missed_too(watched: Watched) -> None:
    watched.driver.stops[ALL] = Stop(ALL, 0, "console")
    assert watched.latches.put(watched.driver.stops[ALL])
    (folder(watched) / latch_name(ALL)).unlink()
    assert watched.look(3) == [LatchMissing(ALL)]


def test_a_latch_that_could_never_be_written_is_not_missed_and_is_tried_again(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    watched.driver.stops[ALL] = Stop(ALL, 0, "console")
    monkeypatch.setattr(latches_module, "put_file", full)
    with structlog.testing.capture_logs() as logs:
        assert watched.look(3 * LOOKS_BEFORE_ANOTHER_TRY) == []
    assert 1 <= len([log for log in logs if log["event"] == "emergency.not_latched"]) <= 3
    monkeypatch.undo()
    watched.look(LOOKS_BEFORE_ANOTHER_TRY)
    assert set(watched.latches.found()) == {ALL}


@pytest.mark.parametrize("name", [b"stop-zone:b\xfcro", b"stop\xff", b"STOP", b"stop-zone:%ff"])
def test_a_name_that_is_no_text_stops_everything(watched: Watched, name: bytes) -> None:
    os.close(os.open(os.fsencode(folder(watched)) + b"/" + name, os.O_CREAT | os.O_WRONLY))
    assert scope_of(os.fsdecode(name)) == ALL
    assert watched.look() == [LatchFound(ALL, None, None)]
    assert watched.latches.on_disk() == (LatchFound(ALL, None, None),)


@pytest.mark.parametrize("kind", ["pipe", "directory", "link to nothing", "link to a device"])
def test_what_is_no_file_stops_by_its_name_and_blocks_nobody(watched: Watched, kind: str) -> None:
    path = folder(watched) / "stop"
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "directory":
            path.mkdir()
        case "link to nothing":
            path.symlink_to("/nowhere")
        case _:
            path.symlink_to("/dev/zero")
    assert watched.look() == [LatchFound(ALL, None, None)]


def test_a_rehearsal_is_asked_for_once_and_one_that_cannot_be_taken_away_is_told_once(
    watched: Watched,
) -> None:
    (folder(watched) / "drill-all").touch()
    assert watched.look() == [DrillFound(ALL)]
    (folder(watched) / "drill-user:jane.doe").mkdir()
    with structlog.testing.capture_logs() as logs:
        assert watched.look(5) == []
    assert len(logs) == 1
    assert "jane" not in str(logs)


def test_a_stop_does_not_wait_for_a_disk_that_hangs(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latches_module, "put_file", lambda *_: time.sleep(1.0))
    before = time.monotonic()
    assert watched.latches.put(Stop(ALL, 0, "console"))
    assert time.monotonic() - before < 0.5


def test_lifting_takes_every_file_away_that_means_the_scope_and_no_other(watched: Watched) -> None:
    for name in ("stop", "stop-all", "STOP.txt", latch_name(LAB)):
        (folder(watched) / name).touch()
    assert watched.latches.remove(ALL)
    assert set(watched.latches.found()) == {LAB}


def test_a_pipe_among_the_latches_keeps_nobody_waiting_for_the_disk(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "stop")
    settle(tmp_path, ["stop"])


def test_what_cannot_be_settled_keeps_no_other_latch_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stop-a").symlink_to("/nowhere")
    (tmp_path / "stop-b").touch()
    settled: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: settled.append(os.fstat(descriptor).st_ino))
    with pytest.raises(FileNotFoundError):
        settle(tmp_path, ["stop-a", "stop-b"])
    assert settled == [(tmp_path / "stop-b").stat().st_ino, tmp_path.stat().st_ino]
