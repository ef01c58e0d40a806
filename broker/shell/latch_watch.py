"""Latch watch: looks at the emergency directory again and again, on a thread of its own, and tells the core
what appeared there and what is gone."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import structlog

from broker.core.events import DrillFound, LatchFound, LatchMissing
from broker.policy.stop import Scope
from broker.shell.driver import Driver
from broker.shell.latches import Latches

LOOK_SECONDS = 0.02
"""How long after a look comes the next: a stop by file waits hardly longer."""
LOOKS_BEFORE_ANOTHER_TRY = 50
"""A latch that could not be written is tried again about once a second."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Seen:
    """One look: what was written before it, what is latched, what of that is new with what it says, and which
    rehearsals were asked for."""

    written: frozenset[Scope]
    latched: frozenset[Scope]
    new: tuple[LatchFound, ...]
    drills: tuple[Scope, ...]


class LatchWatch:
    """Use `run` as a task."""

    def __init__(self, latches: Latches, driver: Driver) -> None:
        self._latches = latches
        self._driver = driver
        self._thread = ThreadPoolExecutor(1, "latch-watch")
        self._on_disk: frozenset[Scope] = frozenset()
        self._status = ""
        self._looks = 0
        self._readable = True

    async def run(self) -> None:
        """Runs for ever. Whatever the directory holds, it goes on."""
        try:
            while True:
                await asyncio.sleep(LOOK_SECONDS)
                try:
                    await self._look()
                    self._readable = True
                except Exception:
                    if self._readable:
                        log.exception("emergency.latches_unreadable")
                    self._readable = False
        finally:
            self._thread.shutdown(wait=False, cancel_futures=True)

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        known = frozenset(self._driver.stops)
        self.take(await loop.run_in_executor(self._thread, self.look, known))
        status = self._driver.emergency_status()
        if status != self._status and await loop.run_in_executor(self._thread, self._latches.tell, status):
            self._status = status

    def look(self, known: frozenset[Scope]) -> Seen:
        """On the thread; `known` are the stops there are. Raises OSError."""
        written = frozenset(self._latches.written)  # before: what is written during the look may not be seen
        found = self._latches.found()
        new = tuple(self._latches.read(scope, name) for scope, name in found.items() if scope not in known)
        return Seen(written, frozenset(found), new, tuple(self._latches.drills()))

    def take(self, seen: Seen) -> None:
        """On the event loop. A file that was never there is not missing: it could not be written yet."""
        for latch in seen.new:
            self._driver.submit(latch)
        gone = (self._on_disk | seen.written) - seen.latched
        self._latches.written -= seen.written
        for scope in [scope for scope in self._driver.stops if scope in gone]:
            self._driver.submit(LatchMissing(scope))
        self._on_disk = seen.latched
        self._looks += 1
        if self._looks % LOOKS_BEFORE_ANOTHER_TRY == 0:
            for scope, stop in self._driver.stops.items():
                if scope not in seen.latched:
                    self._latches.put(stop)
        for scope in seen.drills:
            self._driver.submit(DrillFound(scope))
