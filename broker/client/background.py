"""Tasks that belong to the body of a `with` statement."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any


class Background:
    """Starts tasks that end, at the latest, with the body they were started for."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._running: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._group.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def cancel(self) -> None:
        for task in tuple(self._running):
            task.cancel()


@asynccontextmanager
async def background() -> AsyncIterator[Background]:
    """A task group whose tasks are cancelled when the body is done; the body's own error stays unwrapped.

    An error in a task is a defect: it cancels the body and comes out as an exception group.
    """
    raised: Exception | None = None
    async with asyncio.TaskGroup() as group:
        tasks = Background(group)
        try:
            yield tasks
        except Exception as error:
            # Not swallowed: raised again below, outside the group, which would wrap it.
            raised = error
        finally:
            tasks.cancel()
    if raised is not None:
        raise raised
