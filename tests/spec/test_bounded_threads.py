"""Blocking work in threads: bounded, in time, and honest when there is no answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from auth.directory import DirectoryUnavailable
from auth.threads import BoundedThreads


@pytest.fixture
async def threads() -> AsyncIterator[BoundedThreads]:
    opened = BoundedThreads("jobs", 1, 1)
    yield opened
    await opened.close()


@pytest.fixture
def gate() -> threading.Event:
    """What the work of a test waits for."""
    return threading.Event()


async def started(threads: BoundedThreads, gate: threading.Event, seconds: float = 30) -> asyncio.Task[str]:
    """A job that holds the thread until the gate is open."""
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()

    def work() -> str:
        loop.call_soon_threadsafe(begun.set)
        gate.wait(30)
        return "done"

    task = asyncio.create_task(threads.run(work, seconds, gate.set))
    await begun.wait()
    return task


async def test_what_the_work_returns_is_returned(threads: BoundedThreads) -> None:
    assert await threads.run(lambda: 42, 30) == 42


async def test_unavailable_is_raised_as_it_is(threads: BoundedThreads) -> None:
    def work() -> None:
        raise DirectoryUnavailable("gone fishing")

    with pytest.raises(DirectoryUnavailable, match="gone fishing"):
        await threads.run(work, 30)


async def test_a_defect_is_logged_and_whoever_waits_and_whoever_is_next_get_an_answer(
    threads: BoundedThreads,
) -> None:
    with capture_logs() as logs, pytest.raises(DirectoryUnavailable, match="a defect: ZeroDivisionError"):
        await threads.run(lambda: 1 // 0, 30)
    assert [line["event"] for line in logs] == ["directory.defect"]
    assert await threads.run(lambda: 42, 30) == 42


async def test_one_more_than_may_wait_is_refused_at_once(
    threads: BoundedThreads, gate: threading.Event
) -> None:
    running = await started(threads, gate)
    waiting = asyncio.create_task(threads.run(lambda: "waited", 30))
    await asyncio.sleep(0)
    with pytest.raises(DirectoryUnavailable, match="2 jobs are under way already"):
        await threads.run(lambda: "refused", 30)
    gate.set()
    assert [await running, await waiting] == ["done", "waited"]
    assert await threads.run(lambda: "room again", 30) == "room again"


async def test_work_that_takes_too_long_is_abandoned_and_its_thread_told(
    threads: BoundedThreads, gate: threading.Event
) -> None:
    late = await started(threads, gate, 0.01)
    with pytest.raises(DirectoryUnavailable, match=r"jobs took longer than 0\.01 seconds"):
        await late
    assert gate.is_set()
    assert await threads.run(lambda: "free", 30) == "free"


async def test_work_that_nobody_waits_for_any_longer_is_not_begun(
    threads: BoundedThreads, gate: threading.Event
) -> None:
    begun: list[str] = []
    running = await started(threads, gate)
    waiting = asyncio.create_task(threads.run(lambda: begun.append("waiting"), 30))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    with pytest.raises(DirectoryUnavailable, match="under way already"):
        await threads.run(lambda: None, 30)  # it counts until a thread has come to it
    gate.set()
    await running
    assert await threads.run(lambda: "next", 30) == "next"
    assert begun == []


async def test_closing_lets_the_running_work_end_and_refuses_the_rest(gate: threading.Event) -> None:
    threads = BoundedThreads("jobs", 1, 1)
    running = await started(threads, gate)
    waiting = asyncio.create_task(threads.run(lambda: "waited", 30))
    await asyncio.sleep(0)
    await threads.close()
    assert await running == "done"
    with pytest.raises(DirectoryUnavailable, match="abandoned"):
        await waiting
    with pytest.raises(DirectoryUnavailable, match="jobs have ended"):
        await threads.run(lambda: None, 30)
    await threads.close()


async def test_a_system_without_a_thread_left_is_no_answer_and_the_work_is_never_done(
    monkeypatch: pytest.MonkeyPatch, threads: BoundedThreads
) -> None:
    begun: list[str] = []

    def none_left(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", none_left)
        with pytest.raises(DirectoryUnavailable, match="no thread left for jobs"):
            await threads.run(lambda: begun.append("refused"), 30)
    # The executor has kept it.
    assert await threads.run(lambda: "next", 30) == "next"
    assert begun == []
