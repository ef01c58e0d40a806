"""The relay as a running service: a plane, the TURN server, two tasks, and the calls its owner makes."""

from __future__ import annotations

import asyncio
import secrets as randomness
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import structlog

from config.relay import RelaySettings
from relay.credentials import CredentialSecrets, TurnCredential
from relay.meter import SessionCounters, SessionMeter
from relay.relay_events import EventQueue, RefusalTable, RelayEvent
from relay.turn import events as turn
from relay.turn.events import Admission, Now
from relay.turn.routing import TOTAL_LIMITER, sender_limiter
from relay.turn.server import TurnServer
from relay.vocabulary import Address, Limiter, Plane

SWEEP_SECONDS = 1.0
MAX_LAST_COUNTERS = 1024
"""Of sessions that ended by themselves and that nobody has asked about; the oldest go first."""

_log = structlog.get_logger("turngate.relay")


@dataclass(frozen=True, slots=True)
class LiveAllocation:
    session_id: str
    party: str
    client_address: Address
    relayed_address: Address


class Relay:
    """Use as `async with Relay(...) as relay`: listeners are bound on entry, everything has stopped on exit.

    Every method that is not a coroutine acts at once: when it returns, the plane's rows are what it says.
    `admission_required` means that a session must have been admitted before anybody can allocate in it;
    otherwise a valid credential is enough.
    """

    def __init__(
        self, settings: RelaySettings, secrets: Sequence[bytes], *, admission_required: bool, plane: Plane
    ) -> None:
        self._credentials = CredentialSecrets(tuple(secrets))
        self._listen = [_address(url) for url in settings.listen]
        self._plane = plane
        self._server = TurnServer(
            _rules(settings, admission_required=admission_required),
            self._credentials,
            turn.Randomness(randomness.randbelow, randomness.token_bytes),
        )
        self._meters: dict[str, SessionMeter] = {}
        self._last_counters: dict[str, SessionCounters] = {}
        self._limited: dict[str, set[str]] = {}
        """By session, the parties whose sending is limited."""
        self._events = EventQueue()
        self._refusals = RefusalTable()
        self._faults = 0
        self._tasks: asyncio.TaskGroup | None = None
        self._running: list[asyncio.Task[None]] = []
        self.listeners: list[Address] = []
        """The bound addresses, once running."""

    async def __aenter__(self) -> Self:
        self.listeners = self._plane.start(self._listen)
        self._tasks = asyncio.TaskGroup()
        await self._tasks.__aenter__()
        self._running = [
            self._tasks.create_task(self._control(), name="relay control"),
            self._tasks.create_task(self._sweep(), name="relay sweep"),
        ]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._plane.stop()
        for task in self._running:
            task.cancel()
        if self._tasks is not None:
            if isinstance(error, asyncio.CancelledError):
                await self._tasks.__aexit__(kind, error, traceback)
            else:
                # An error of the caller's own body goes on as it is, not wrapped in a group.
                await self._tasks.__aexit__(None, None, None)

    # --- what its owner asks ---------------------------------------------------------------------------

    def issue_credential(self, session_id: str, party: str, expires_at: int) -> TurnCredential:
        """Good for Allocate until `expires_at` (Unix seconds); what was allocated lives on."""
        return self._credentials.issue(session_id, party, expires_at)

    def admit(self, admission: Admission) -> None:
        """Again with the same parties: sets a new expiry. Raises ValueError for other parties."""
        self._do(turn.Admit(admission))

    def allow_payload_types(
        self, session_id: str, payload_types: frozenset[int], audio: frozenset[int] = frozenset()
    ) -> None:
        """RTP of these payload types passes from now on, no others; `audio` may use a limiter's reserve."""
        self._do(turn.AllowPayloadTypes(session_id, payload_types, audio))

    def limit_sender(self, session_id: str, party: str, limiter: Limiter | None) -> None:
        """One bucket for all that a party sends in an open session; None lifts the limit.

        It ends with the session.
        """
        self._plane.set_limit(sender_limiter(session_id, party), limiter)
        if limiter is not None:
            self._limited.setdefault(session_id, set()).add(party)

    def limit_total(self, limiter: Limiter | None) -> None:
        """One bucket for all packets of the relay."""
        self._plane.set_limit(TOTAL_LIMITER, limiter)

    def remove_session(self, session_id: str) -> SessionCounters:
        """Nothing of the session is forwarded once this returns, and nobody can allocate in it.

        Returns its last counters, also of a session that has just ended by itself; empty ones for one that is
        not there.
        """
        self._do(turn.EndSession(session_id))
        return self._last_counters.pop(session_id, SessionCounters())

    def session_counters(self, session_id: str) -> SessionCounters | None:
        """None when nothing was ever forwarded or the session is not there."""
        meter = self._meters.get(session_id)
        return meter.totals(self._plane.counters(session_id)) if meter is not None else None

    def relayed_ip(self, session_id: str) -> str | None:
        """The address that all allocations of a session share; None until its first allocation."""
        return self._server.session_ip(session_id)

    def allocations(self) -> list[LiveAllocation]:
        """Every live allocation, oldest first."""
        return [
            LiveAllocation(one.session.session_id, one.party, one.five_tuple.client, one.relayed)
            for one in self._server.allocations()
        ]

    async def events(self) -> list[RelayEvent]:
        """What happened since the last call, oldest first; waits until something has. For one reader."""
        return await self._events.take()

    # --- inside ----------------------------------------------------------------------------------------

    async def _control(self) -> None:
        while True:
            punts = await self._plane.punts()
            now = _now()
            for punt in punts:
                try:
                    self._apply(self._server.handle(turn.Received(*punt), now))
                except Exception:
                    # A datagram that finds a fault of ours must not end everybody's calls.
                    self._faults += 1
                    if self._faults == 1:
                        _log.exception("relay.fault")

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self._do(turn.Sweep())
            for report in self._refusals.due(time.monotonic()):
                self._events.put(report)
            if self._faults:
                _log.error("relay.faults", count=self._faults)
                self._faults = 0

    def _do(self, event: turn.Event) -> None:
        self._apply(self._server.handle(event, _now()))

    def _apply(self, commands: list[turn.Command]) -> None:
        plane = self._plane
        for command in commands:
            match command:
                case turn.Send(five_tuple, datagram):
                    plane.send(five_tuple, datagram)
                case turn.Forward(source, payload):
                    plane.forward(source, payload)
                case turn.Install(route, sender, receiver):
                    plane.install(route)
                    meter = self._meters.setdefault(route.session_id, SessionMeter())
                    meter.row_installed(route.source, sender, receiver)
                case turn.Remove(session_id, source):
                    self._meters[session_id].row_removed(source, plane.remove(source))
                case turn.RemoveSession(session_id):
                    self._withdraw(session_id)
                case turn.Wake(in_seconds):
                    # Rounded up: it must not come a clock tick too early.
                    asyncio.get_running_loop().call_later(in_seconds + 0.001, self._do, turn.Woken())
                case turn.Own(five_tuple):
                    plane.own(five_tuple)
                case turn.Disown(five_tuple):
                    plane.disown(five_tuple)
                case turn.Refused():
                    self._refusals.count(command)
                case turn.AllocationMade() | turn.AllocationGone():
                    self._events.put(command)

    def _withdraw(self, session_id: str) -> None:
        last = self._plane.remove_session(session_id)
        meter = self._meters.pop(session_id, None)
        if meter is not None:
            for source, counters in last.items():
                meter.row_removed(source, counters)
            self._last_counters[session_id] = meter.totals({})
            if len(self._last_counters) > MAX_LAST_COUNTERS:
                del self._last_counters[next(iter(self._last_counters))]
        for party in self._limited.pop(session_id, ()):
            self._plane.set_limit(sender_limiter(session_id, party), None)


def configured_secrets(settings: RelaySettings) -> list[bytes]:
    """The secrets that the settings hold, the signing one first."""
    return [
        secret.get_secret_value().encode() for secret in (settings.secret, settings.previous_secret) if secret
    ]


def _now() -> Now:
    return Now(time.time(), time.monotonic())


def _address(url: str) -> Address:
    parts = urlsplit(url)
    return Address(parts.hostname or "", parts.port or 0)


def _rules(settings: RelaySettings, *, admission_required: bool) -> turn.TurnRules:
    return turn.TurnRules(
        relayed_prefix=settings.relayed_prefix,
        realm=settings.realm.encode(),
        pairing=settings.pairing,
        admission_required=admission_required,
        legacy_channels=settings.legacy_channels,
        default_lifetime_seconds=settings.default_lifetime_seconds,
        max_lifetime_seconds=settings.max_lifetime_seconds,
        max_allocations_per_credential=settings.max_allocations_per_credential,
        max_allocations=settings.max_allocations,
        unauthenticated_answers_per_second=settings.unauthenticated_answers_per_second,
        unauthenticated_answers_burst=settings.unauthenticated_answers_burst,
        dtls_budget_bytes=settings.dtls_budget_bytes,
    )
