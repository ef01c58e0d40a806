"""A scripted session between two participants that are processes of their own, wherever each of them runs."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.acceptance.served_edge import ServedEdge

STEP_SECONDS = 40.0
_LINE_BYTES = 1 << 24


@dataclass(frozen=True, slots=True)
class Account:
    """What one participant says of the session."""

    heard: str
    gave_away: bool
    """Whether it told the edge its address in a description, and candidates with it."""
    call: dict[str, Any]
    """The client's report and the packets missed."""
    frames: tuple[str, ...]
    """The text of every frame the edge sent to this participant."""


async def hold_session(
    edge: ServedEdge,
    insider_prefix: Sequence[str],
    guest_prefix: Sequence[str],
    call_seconds: float,
    during_call: Callable[[], Awaitable[None]],
    given_away: tuple[str, str] | None = None,
) -> tuple[Account, Account]:
    """Sign-in, invitation, lobby, chat and a call; the insider's account of it and the guest's.

    A prefix goes before the participant's command. `given_away` are addresses that insider and guest tell
    the edge as if they were to be passed on. AssertionError when a step fails.
    """
    alice = edge.person("alice")
    insiders, guests = given_away or (None, None)
    shared = {"ca_file": str(edge.ca_file), "call_seconds": call_seconds}
    insider_order = shared | {
        "role": "insider",
        "origin": edge.inside,
        "login": alice.login,
        "password": alice.password,
        "gives_away": insiders,
    }
    async with _participant(insider_prefix, insider_order) as insider:
        link = await insider.told("link")
        guest_order = shared | {"role": "guest", "link": link, "gives_away": guests}
        async with _participant(guest_prefix, guest_order) as guest:
            for participant in (insider, guest):
                await participant.told("connected")
            await during_call()
            return await insider.account(call_seconds), await guest.account(call_seconds)


class _Participant:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._facts: dict[str, Any] = {}

    async def told(self, fact: str, timeout_seconds: float = STEP_SECONDS) -> Any:
        assert self._process.stdout is not None
        async with asyncio.timeout(timeout_seconds):
            while fact not in self._facts:
                line = await self._process.stdout.readline()
                assert line, f"a participant ended without a word about {fact!r}: see its traceback on stderr"
                self._facts |= json.loads(line)
        return self._facts[fact]

    async def account(self, call_seconds: float) -> Account:
        call = await self.told("call", STEP_SECONDS + call_seconds)
        gave_away = self._facts.get("gave_away", False)
        return Account(self._facts["heard"], gave_away, call, tuple(self._facts["frames"]))


@asynccontextmanager
async def _participant(prefix: Sequence[str], order: dict[str, Any]) -> AsyncIterator[_Participant]:
    process = await asyncio.create_subprocess_exec(
        *prefix,
        sys.executable,
        "-m",
        "tests.acceptance.participant_process",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_LINE_BYTES,
    )
    assert process.stdin is not None
    try:
        process.stdin.write(json.dumps(order).encode() + b"\n")
        await process.stdin.drain()
        yield _Participant(process)
        async with asyncio.timeout(STEP_SECONDS):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        process.stdin.close()
