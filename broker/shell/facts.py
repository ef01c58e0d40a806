"""Facts: what the core must be told about the world before it decides, gathered with timeouts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

from auth.directory import Directory, DirectoryEntry, EntryState
from auth.principal import Guest, Insider, PartyId
from auth.throttle import SignInFailure
from broker.audit.history import Record
from broker.core.clock import Now
from broker.core.events import LatchFound, Started
from broker.core.stored import StoredMessage
from broker.shell.store import Store

READ_TIMEOUT_SECONDS = 5.0
MAX_COMPARED_PEOPLE = 10_000
"""Of the directory, when policies are compared or checked for groups that nobody is in."""
MAX_CONTACTS = 200
"""Directory entries offered to one connection as contacts; each costs a decision."""

Value = TypeVar("Value")


def insider_of(entry: DirectoryEntry) -> Insider:
    """The principal of a directory entry."""
    return Insider(
        PartyId(f"u-{entry.stable_id}"),
        entry.login,
        entry.name,
        entry.groups,
        entry.attributes,
        entry.version,
    )


class Facts:
    """Asks the directory and the store. Store reads run on a thread of their own, never on the event loop."""

    def __init__(self, directory: Directory, store: Store, clock: Callable[[], Now]) -> None:
        self._directory = directory
        self._store = store
        self._clock = clock
        self._reader = ThreadPoolExecutor(1, "store-reader")

    def close(self) -> None:
        self._reader.shutdown(wait=True, cancel_futures=True)

    async def insider(self, party: PartyId) -> Insider | None:
        """The insider with this party id, as the directory knows them now, unless their access has ended.
        Raises DirectoryUnavailable."""
        if not party.startswith("u-"):
            return None
        entry = await self._directory.get(party.removeprefix("u-"))
        return insider_of(entry) if entry is not None and not entry.state.ends_access else None

    async def people(self) -> tuple[Insider, ...]:
        """The insiders that contact lists are made from. Raises DirectoryUnavailable."""
        return tuple(insider_of(entry) for entry in await self._directory.list_entries(MAX_CONTACTS))

    async def invited_by(self, invitation_id: str) -> PartyId | None:
        """Who made this invitation, if it still stands."""
        return await self._read(lambda: self._store.invited_by(invitation_id))

    async def undelivered(self, party: PartyId, limit: int) -> tuple[StoredMessage, ...]:
        """The oldest that wait for this party, each with its sender as they are now."""
        waiting = await self._read(lambda: self._store.waiting_messages(party, limit))
        senders: dict[PartyId, Insider | Guest | None] = {}
        for message in waiting:
            if message.sender not in senders:
                senders[message.sender] = await self._principal(message.sender)
        return tuple(
            StoredMessage(m.message_id, senders[m.sender], m.sender, m.text, m.sent_at_ms) for m in waiting
        )

    async def _principal(self, party: PartyId) -> Insider | Guest | None:
        if party.startswith("g-"):
            return await self._read(lambda: self._store.guest(party))
        return await self.insider(party)

    async def sign_in_failures(self) -> list[SignInFailure]:
        """The wrong passwords that earlier runs kept."""
        return await self._read(self._store.sign_in_failures)

    async def policy_history(self, limit: int) -> list[Record]:
        """The newest records of policies that came into force, newest first."""
        return await self._read(lambda: self._store.policy_history(limit))

    async def everybody(self) -> tuple[Insider, ...]:
        """The active insiders, for whoever compares policies. Raises DirectoryUnavailable."""
        return tuple(insider_of(entry) for entry in await self._directory.list_entries(MAX_COMPARED_PEOPLE))

    async def named(self, login: str) -> Insider | None:
        """The active insider with this login. Raises DirectoryUnavailable."""
        entry = await self._directory.find(login)
        return insider_of(entry) if entry is not None and entry.state is EntryState.ACTIVE else None

    async def started(self, latches: tuple[LatchFound, ...]) -> Started:
        """What the previous run left, and the emergency stops on disk."""
        now = self._clock().wall_seconds
        return replace(await self._read(lambda: self._store.started(now)), latches=latches)

    async def _read(self, query: Callable[[], Value]) -> Value:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(READ_TIMEOUT_SECONDS):
            return await loop.run_in_executor(self._reader, query)
