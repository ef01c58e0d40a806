"""Driver: output commit. Events in, commands out, and nothing that opens leaves before its record is durable.

The core may run ahead of the disk. What it commands is kept in order: an Opening or a Note waits for its own
batch, an Answer for what was commanded before it. A Narrowing waits for nothing: its effects happen inside
`submit`, openings of the same scope that were not yet released never will be, and its records go to the
journal and from there to the writer.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import assert_never

import structlog

from auth.principal import Guest, Insider, PartyId
from broker.audit.record import JsonValue
from broker.core import router, security_key, signing_in, visit
from broker.core.alarms import alarms_overview
from broker.core.answers import instead_of
from broker.core.bandwidth import LiveFlow, live_flows
from broker.core.clock import Now
from broker.core.commands import (
    Answer,
    Command,
    Narrowing,
    NarrowingEffect,
    Note,
    Opening,
    PlainEffect,
    ReplyRefused,
    SaveMessage,
)
from broker.core.events import CommitFailed, Event, MessageHeldBack, RecordResumed, Ticked
from broker.core.gate import Receipt
from broker.core.house import AdminSignIn, House, PolicyAlarm, PolicyInForce
from broker.core.overview import LiveSession, emergency_overview, live_sessions
from broker.core.people import watched
from broker.core.stored import SecurityKey
from broker.policy.administration import Role
from broker.policy.index import PolicyIndex
from broker.policy.stop import Scope, Stop
from broker.shell.effects import Effects
from broker.shell.journal import Journal, JournalEntry
from broker.shell.store import Entry
from broker.shell.writer import Settled, Writer

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Pending:
    """A command on its way out; `receipt` and `failed` say what became of its batch."""

    command: Opening | Note | Answer
    receipt: Receipt | None = None
    failed: bool = False
    void: bool = False
    """Its scope ended before it was released: the record keeps it, its effects never happen."""

    @property
    def settled(self) -> bool:
        return isinstance(self.command, Answer) or self.receipt is not None or self.failed


class Driver:
    """Runs the core on the event loop. `submit` never waits; one timer waits for the core's deadline."""

    def __init__(
        self, house: House, effects: Effects, journal: Journal, clock: Callable[[], Now], max_pending: int
    ) -> None:
        self._house = house
        self._effects = effects
        self._journal = journal
        self._clock = clock
        self._max_pending = max_pending
        self._pending: dict[int, _Pending] = {}
        self._order: deque[int] = deque()
        self._next_ticket = 0
        self._timer: asyncio.TimerHandle | None = None
        self._healthy = True
        self._missed = 0
        self._writer: Writer | None = None
        self._loop = asyncio.get_running_loop()
        self._empty = asyncio.Event()
        self._empty.set()

    def attach(self, writer: Writer) -> None:
        """The writer whose `settled` is `self.settled`."""
        self._writer = writer

    @property
    def backlog_full(self) -> bool:
        """Whether so much waits for the disk that new requests must be turned away (EDGE_BUSY)."""
        return len(self._order) >= self._max_pending

    @property
    def healthy(self) -> bool:
        """Whether the last batch could be written."""
        return self._healthy

    def signed_in(self, token_digest: str) -> PartyId | None:
        """The insider whose sign-in this is, whatever the directory says of them now."""
        found = signing_in.live(self._house, token_digest, self._clock())
        return found.kept.party if found is not None else None

    def visitor(self, token_digest: str) -> Guest | None:
        """The guest whose visit this is."""
        found = visit.of_token(self._house, token_digest)
        return found.guest if found is not None else None

    def watched_people(self) -> dict[PartyId, Insider | None]:
        """The insiders with something open, as last told of: sign-ins, connections, guests, a place on
        somebody's contact list."""
        return watched(self._house)

    def live_sessions(self) -> tuple[list[LiveSession], int]:
        """What is open now, and how much more there is than that."""
        return live_sessions(self._house)

    def admin_of(self, token_digest: str) -> AdminSignIn | None:
        """Whose sign-in at the admin listener this is."""
        return self._house.admin_sign_ins.get(token_digest)

    def security_keys_of(self, party: PartyId) -> list[SecurityKey]:
        """Those of one administrator, the oldest first."""
        return security_key.of_party(self._house, party)

    def security_key(self, credential_id: str) -> SecurityKey | None:
        """Whosever it is."""
        return self._house.security_keys.get(credential_id)

    @property
    def stops(self) -> Mapping[Scope, Stop]:
        """The emergency stops that are latched."""
        return self._house.gate.stops

    def live_flows(self) -> list[LiveFlow]:
        """The answered calls, for whoever measures them."""
        return live_flows(self._house)

    def lift_asked_by(self, scope: Scope) -> tuple[PartyId, Role] | None:
        """Who wants this stop lifted, and in which role."""
        pending = self._house.lifts.get(scope)
        return (pending.by.party, pending.role) if pending is not None else None

    def emergency(self) -> dict[str, JsonValue]:
        """What is stopped, what is about to be lifted, and what the last rehearsal found."""
        return emergency_overview(self._house)

    def alarm_holds(self, name: str) -> bool:
        """Whether this needs a person."""
        return name in self._house.alarms

    def alarms(self) -> list[Mapping[str, str | int]]:
        """What needs a person, the newest first."""
        return alarms_overview(self._house)

    @property
    def latches_missed(self) -> int:
        """How often the file of a stop was gone that nobody had lifted."""
        return self._house.latches_missed

    def emergency_status(self) -> str:
        """The same as text."""
        return json.dumps(self.emergency(), sort_keys=True)

    @property
    def policy(self) -> PolicyIndex:
        """The policy in force."""
        return self._house.gate.policy

    @property
    def policy_state(self) -> tuple[PolicyInForce | None, PolicyAlarm | None]:
        """Since when the policy is in force, and whether its file is another one that cannot be used."""
        return self._house.policy_in_force, self._house.policy_alarm

    @property
    def pending(self) -> int:
        """Commands that have not left yet."""
        return len(self._order)

    def submit(self, event: Event) -> None:
        """Let the core handle one event, and start on what it commands."""
        now = self._clock()
        try:
            commands = router.handle(self._house, event, now)
        except Exception:  # a defect met by one event must not end what carries everybody else's
            log.exception("core.defect", event_type=type(event).__name__)
            commands = []
        for command in commands:
            self._take(command, now)
        self._release()
        self._rearm(now)

    # --- from the core to the writer ------------------------------------------------------------------------

    def _take(self, command: Command, now: Now) -> None:
        match command:
            case Narrowing():
                self._narrow(command, now)
            case Opening() | Note():
                ticket = self._queue(_Pending(command))
                self._writing.put(ticket, Entry(now.wall_ms, command.records, command.writes))
            case Answer():
                self._queue(_Pending(command))
            case _:
                assert_never(command)

    def _queue(self, pending: _Pending) -> int:
        ticket = self._next_ticket
        self._next_ticket += 1
        self._pending[ticket] = pending
        self._order.append(ticket)
        self._empty.clear()
        return ticket

    def _narrow(self, command: Narrowing, now: Now) -> None:
        if command.scopes:
            ended = set(command.scopes)
            for pending in self._pending.values():
                if not isinstance(pending.command, Note):
                    pending.void |= not ended.isdisjoint((pending.command.scope, *pending.command.within))
        if command.records or command.writes:
            mark = self._journal.append(JournalEntry(now.wall_ms, command.records, command.writes))
            if mark is not None or self._healthy:
                self._writing.owe(Entry(now.wall_ms, command.records, command.writes, mark))
            else:
                self._missed += 1
        for effect in command.effects:
            self._perform_narrowing(effect)

    def _perform_narrowing(self, effect: NarrowingEffect) -> None:
        outcome = self._effects.narrow(effect)
        if outcome is not None:
            self.submit(outcome)

    @property
    def _writing(self) -> Writer:
        if self._writer is None:
            raise RuntimeError("attach comes before the first event")
        return self._writer

    # --- from the writer to the wire ------------------------------------------------------------------------

    def settled(self, settled: Settled) -> None:
        """A batch's outcome. Called in the writer's thread."""
        self._loop.call_soon_threadsafe(self.take_outcome, settled)

    def take_outcome(self, settled: Settled) -> None:
        """A batch's outcome, on the event loop: release what it lets go."""
        for ticket, receipt in settled.receipts:
            pending = self._pending[ticket]
            pending.receipt = receipt
            pending.failed = receipt is None
        if settled.entered is not None:
            self._journal.entered(settled.entered)
        was_healthy, self._healthy = self._healthy, settled.healthy
        if self._healthy and not was_healthy:
            missed, self._missed = self._missed, 0
            self.submit(RecordResumed(missed))
        if was_healthy and not self._healthy:
            self.submit(CommitFailed((), outage=True))
        self._release()

    def _release(self) -> None:
        """Let out, in order, everything whose turn has come."""
        while self._order and self._pending[self._order[0]].settled:
            pending = self._pending.pop(self._order.popleft())
            if pending.failed:
                self._fail(pending.command)
            elif not pending.void:
                self._let_out(pending)
            elif isinstance(pending.command, Opening):
                # Whoever waits for an answer gets one.
                self._plain(tuple(e for e in pending.command.on_failure if isinstance(e, ReplyRefused)))
        if not self._order:
            self._empty.set()

    def _let_out(self, pending: _Pending) -> None:
        command = pending.command
        if isinstance(command, Opening):
            if pending.receipt is None:
                return
            recorded = self._house.gate.recorded(command, pending.receipt)
            if recorded is None:
                self._hold_back(command)
                return
            outcomes = self._effects.open(recorded)
            self._plain(command.then)
            for outcome in outcomes:
                self.submit(outcome)
        else:
            self._plain(command.effects)

    def _hold_back(self, command: Opening) -> None:
        """It is on record, and an emergency stop came before it could be let out."""
        self._plain(instead_of(command.on_failure))
        for write in command.writes:
            if isinstance(write, SaveMessage):
                self.submit(MessageHeldBack(write.message_id, write.recipient))
        self.submit(CommitFailed((command.scope,), outage=False))

    def _fail(self, command: Opening | Note | Answer) -> None:
        """Say so, and drop what never opened before anything that follows it can leave."""
        if not isinstance(command, Answer):
            self._plain(command.on_failure)
        if isinstance(command, Opening):
            self.submit(CommitFailed((command.scope,), outage=not self._healthy))

    def _plain(self, effects: tuple[PlainEffect, ...]) -> None:
        for effect in effects:
            self._effects.plain(effect)

    # --- the clock ------------------------------------------------------------------------------------------

    def _rearm(self, now: Now) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        next_at = self._house.deadlines.next_at()
        if next_at is not None:
            delay = max(0.0, next_at - now.monotonic_seconds)
            self._timer = self._loop.call_later(delay, self.submit, Ticked())

    async def drained(self, timeout_seconds: float) -> bool:
        """Wait until everything commanded so far has left; False if it did not in time."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._empty.wait()
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        """Forget the timer. Whatever is pending stays with the writer."""
        if self._timer is not None:
            self._timer.cancel()
