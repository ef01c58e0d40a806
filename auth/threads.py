"""Blocking work in threads of its own: a bounded number at once, a bounded number that waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import structlog

from auth.directory import DirectoryUnavailable

log = structlog.get_logger(__name__)

Result = TypeVar("Result")


@dataclass(slots=True)
class _Job:
    """One piece of work on its way to a thread. Once nobody waits for it, a thread that comes to it saves
    itself the work."""

    work: Callable[[], Any]
    on_abandon: Callable[[], None] | None
    abandoned: bool = False

    def abandon(self) -> None:
        self.abandoned = True
        if self.on_abandon is not None:
            self.on_abandon()

    def run(self) -> Any:
        """Runs in a thread. Raises nothing: nobody may be left to look at it."""
        if self.abandoned:
            return DirectoryUnavailable("it was abandoned")
        try:
            return self.work()
        except DirectoryUnavailable as unavailable:
            return unavailable
        except Exception as defect:  # whoever waits gets an answer, and the next job its thread
            log.exception("directory.defect")
            return DirectoryUnavailable(f"a defect: {type(defect).__name__}")


class BoundedThreads:
    """At most `threads` jobs run and at most `max_waiting` wait; one more is refused, not queued.

    Belongs to one event loop: all but the work itself happens there.
    """

    def __init__(self, name: str, threads: int, max_waiting: int) -> None:
        """`name` says in the plural what the jobs are."""
        self._name = name
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name.replace(" ", "-"))
        self._max_jobs = threads + max_waiting
        self._jobs: dict[asyncio.Future[Any], _Job] = {}
        self._closed = False

    async def run(
        self,
        work: Callable[[], Result],
        timeout_seconds: float,
        on_abandon: Callable[[], None] | None = None,
    ) -> Result:
        """What the work returns. Raises DirectoryUnavailable where the work does, when too much waits
        already, when it is not done in time, or when the threads are closed.

        `on_abandon` is called on the event loop when nobody waits any longer, be the work done or not.
        """
        if self._closed:
            raise DirectoryUnavailable(f"{self._name} have ended")
        if len(self._jobs) >= self._max_jobs:
            raise DirectoryUnavailable(f"{self._max_jobs} {self._name} are under way already")
        job = _Job(work, on_abandon)
        try:
            future = asyncio.get_running_loop().run_in_executor(self._executor, job.run)
        except RuntimeError:  # the job is in the executor's queue all the same
            job.abandon()
            raise DirectoryUnavailable(f"the system has no thread left for {self._name}") from None
        # A job counts until its thread is through with it, also when nobody waits for it any longer:
        # otherwise clients that hang up could fill the executor's queue, which has no bound of its own.
        self._jobs[future] = job
        future.add_done_callback(lambda done: self._jobs.pop(done, None))
        try:
            async with asyncio.timeout(timeout_seconds):
                result = await asyncio.shield(future)
        except TimeoutError:
            raise DirectoryUnavailable(f"{self._name} took longer than {timeout_seconds:g} seconds") from None
        finally:
            job.abandon()
        if isinstance(result, DirectoryUnavailable):
            raise result
        return cast("Result", result)

    async def close(self) -> None:
        """Let the running jobs end, skip the waiting ones and release the threads."""
        self._closed = True
        for job in self._jobs.values():
            job.abandon()
        await asyncio.gather(*self._jobs)
        self._executor.shutdown()
