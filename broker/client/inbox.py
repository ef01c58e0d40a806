"""A bounded store that gives each item to exactly one taker, the one who asked for its like first."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Taker(Generic[T]):
    match: Callable[[T], bool]
    item: asyncio.Future[T]


class Inbox(Generic[T]):
    """Items nobody waits for are kept in order, `limit` at most; then the oldest is dropped and counted."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._items: deque[T] = deque()
        self._takers: list[_Taker[T]] = []
        self._closed: Exception | None = None
        self.dropped = 0

    @property
    def full(self) -> bool:
        return len(self._items) >= self._limit

    def put(self, item: T) -> None:
        if self._handed_over(item):
            return
        if self.full:
            self._items.popleft()
            self.dropped += 1
        self._items.append(item)

    def close(self, reason: Exception) -> None:
        """Takers get `reason` from now on; items already here can still be taken."""
        if self._closed is None:
            self._closed = reason
            for taker in self._takers:
                if not taker.item.done():
                    taker.item.set_exception(reason)

    async def take(self, match: Callable[[T], bool], timeout_seconds: float | None) -> T:
        """The oldest item that matches, or the next one to come. None as timeout: until `close`.

        Raises TimeoutError, or what `close` was given.
        """
        for item in self._items:
            if match(item):
                self._items.remove(item)
                return item
        if self._closed is not None:
            raise self._closed
        taker: _Taker[T] = _Taker(match, asyncio.get_running_loop().create_future())
        self._takers.append(taker)
        try:
            async with asyncio.timeout(timeout_seconds):
                return await taker.item
        except (asyncio.CancelledError, TimeoutError):
            # Given and cancelled in the same turn of the loop: nobody has seen the item, so it goes back.
            if taker.item.done() and not taker.item.cancelled() and taker.item.exception() is None:
                item = taker.item.result()
                if not self._handed_over(item):
                    self._items.appendleft(item)
            raise
        finally:
            self._takers.remove(taker)

    def _handed_over(self, item: T) -> bool:
        for taker in self._takers:
            if not taker.item.done() and taker.match(item):
                taker.item.set_result(item)
                return True
        return False
