"""Alarm hook: tells the log, and runs the administrators' command, when an alarm begins or ends.

One at a time, in order, never in the way of anything else. Overflow rule: at most `MAX_WAITING` wait, and one
more takes the place of the oldest, which is logged as untold.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections import deque
from contextlib import suppress
from pathlib import Path

import structlog

from broker.core.commands import SoundAlarm

MAX_WAITING = 64
COMMAND_SECONDS = 10.0

log = structlog.get_logger(__name__)


class AlarmHook:
    """`sound` never waits; `run` is the task that does."""

    def __init__(self, command: Path | None) -> None:
        self._command = command
        self._waiting: deque[SoundAlarm] = deque()
        self._news = asyncio.Event()

    def sound(self, alarm: SoundAlarm) -> None:
        """An alarm began or ended."""
        if alarm.change == "raised":
            log.critical("alarm.raised", alarm=alarm.name, sentence=alarm.sentence)
        else:
            log.warning("alarm.cleared", alarm=alarm.name)
        if self._command is None:
            return
        if len(self._waiting) >= MAX_WAITING:
            untold = self._waiting.popleft()
            log.error("alarm.untold", alarm=untold.name, change=untold.change)
        self._waiting.append(alarm)
        self._news.set()

    async def run(self) -> None:
        """Runs for ever: the command, once for each change."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._waiting and self._command is not None:
                await self._tell(self._command, self._waiting.popleft())

    async def _tell(self, command: Path, alarm: SoundAlarm) -> None:
        try:
            process = await asyncio.create_subprocess_exec(
                command,
                alarm.name,
                alarm.change,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                # Not ours: what the edge was started with may hold secrets.
                env={"PATH": os.environ.get("PATH", os.defpath)},
                start_new_session=True,
            )
        except OSError as error:
            log.error("alarm.untold", alarm=alarm.name, change=alarm.change, why=error.strerror)  # noqa: TRY400
            return
        why = ""
        try:
            async with asyncio.timeout(COMMAND_SECONDS):
                await process.communicate(f"{alarm.sentence}\n".encode())
            why = f"status {process.returncode}" if process.returncode else ""
        except TimeoutError:
            why = "it took too long"
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)  # and whatever it has started
                await process.wait()
        if why:
            log.error("alarm.untold", alarm=alarm.name, change=alarm.change, why=why)
