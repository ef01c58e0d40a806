"""The relay as a running service: a plane, the streams, the TURN server, and the calls its owner makes."""

from __future__ import annotations

import asyncio
import secrets as randomness
import ssl
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import structlog

from config.relay import RelaySettings
from relay.configured import configured_listeners, configured_rules
from relay.credentials import CredentialSecrets, TurnCredential
from relay.listening import Listening
from relay.meter import DirectionCounters, SessionCounters
from relay.relay_events import EventQueue, RefusalTable, RelayEvent, SessionOver
from relay.revocations import Revocations
from relay.rows import Rows
from relay.streams.stream import Stream
from relay.streams.streams import Streams
from relay.turn import events as turn
from relay.turn.events import Admission, ControlDrop, Now
from relay.turn.refusal import RefusalReason
from relay.turn.routing import TOTAL_LIMITER
from relay.turn.server import TurnServer
from relay.vocabulary import Address, FiveTuple, Limiter, Listener, Plane, PlaneCounters, Transport

SWEEP_SECONDS = 1.0

_log = structlog.get_logger("turngate.relay")


@dataclass(frozen=True, slots=True)
class LiveAllocation:
    session_id: str
    party: str
    five_tuple: FiveTuple
    relayed_address: Address


@dataclass(frozen=True, slots=True)
class RelayCounters:
    """The relay's figures as they are now. What counts packets, bytes and refusals is monotonic."""

    allocations: Mapping[Transport, int]
    sessions: int
    streams: int
    forwarded: DirectionCounters
    """All payload ever forwarded, and what rows dropped by reason."""
    dropped_by_control: Mapping[ControlDrop, int]
    refusals: Mapping[RefusalReason, int]
    plane: PlaneCounters
    streams_refused: int
    streams_ended_as_garbage: int
    draining: bool

    def dropped(self) -> dict[str, int]:
        """Everything that was not passed on, by the name of its reason, wherever it was dropped."""
        return {
            **{reason.value: count for reason, count in self.forwarded.drops.items()},
            **{reason.value: count for reason, count in self.dropped_by_control.items()},
            "stranger": self.plane.punts_refused_stranger,
            "owner_too_fast": self.plane.punts_refused_owned,
        }


class Relay:
    """Use as `async with Relay(...) as relay`: listeners are bound on entry, everything has stopped on exit.

    Every method that is not a coroutine acts at once: when it returns, the plane's rows are what it says.
    `admission_required` means that a session must have been admitted before anybody can allocate in it;
    otherwise a valid credential is enough. `tls` is what TLS listeners show; whoever has given it may load
    another certificate into it at any time, for connections to come.
    """

    def __init__(
        self,
        settings: RelaySettings,
        secrets: Sequence[bytes],
        *,
        admission_required: bool,
        plane: Plane,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._credentials = CredentialSecrets(tuple(secrets))
        self._wanted = configured_listeners(settings)
        self._admission_required = admission_required
        self._plane = plane
        self._rows = Rows(plane)
        self._streams = Streams(plane, self._stream_closed, settings.max_streams, time.monotonic)
        self._listening = Listening(plane, self._streams, tls)
        self._server = TurnServer(
            configured_rules(settings, admission_required=admission_required),
            self._credentials,
            turn.Randomness(randomness.randbelow, randomness.token_bytes),
        )
        self._events = EventQueue()
        self._refusals = RefusalTable()
        self._refused: Counter[RefusalReason] = Counter()
        self._faults = 0
        self._tasks: asyncio.TaskGroup | None = None
        self._running: list[asyncio.Task[None]] = []
        self.listeners: list[Listener] = []
        """What is bound, in the order of the settings, once running."""

    async def __aenter__(self) -> Self:
        self.listeners = await self._listening.start(self._wanted)
        self._tasks = asyncio.TaskGroup()
        await self._tasks.__aenter__()
        self._running = [
            self._tasks.create_task(self._control(), name="relay control"),
            self._tasks.create_task(self._deliver(), name="relay egress"),
            self._tasks.create_task(self._sweep(), name="relay sweep"),
        ]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._listening.stop()
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
        self, session_id: str, party: str, payload_types: frozenset[int], audio: frozenset[int] = frozenset()
    ) -> None:
        """From now on this party may send RTP of these payload types and of no others; `audio` may use a
        limiter's reserve."""
        self._do(turn.AllowPayloadTypes(session_id, party, payload_types, audio))

    def stop_payload_types(self, session_id: str, party: str, payload_types: frozenset[int]) -> None:
        """RTP of these payload types is not forwarded from this party once this returns."""
        self._do(turn.StopPayloadTypes(session_id, party, payload_types))

    def limit_sender(self, session_id: str, party: str, limiter: Limiter | None) -> None:
        """One bucket for all that a party sends in an open session; None lifts the limit.

        It ends with the session.
        """
        self._rows.limit_sender(session_id, party, limiter)

    def limit_total(self, limiter: Limiter | None) -> None:
        """One bucket for all packets of the relay."""
        self._plane.set_limit(TOTAL_LIMITER, limiter)

    def silence(self, session_ids: Collection[str] | None) -> None:
        """Nothing of these sessions is forwarded once this returns, of any session for None.

        Each still has to be ended by `remove_session`, which then gives its last counters; until then nothing
        brings its media back. Connections of its clients end at once.
        """
        there = self._server.session_ids
        silenced = frozenset(there if session_ids is None else there & frozenset(session_ids))
        self._rows.silence(silenced, everything=session_ids is None)
        for one in self._server.allocations():
            if one.five_tuple.transport.is_stream and one.session.session_id in silenced:
                # What waits in it is not sent any more either.
                self._streams.close(one.five_tuple)

    def remove_session(self, session_id: str) -> SessionCounters:
        """Nothing of the session is forwarded once this returns, and nobody can allocate in it.

        Returns its last counters, also of a session that has just ended by itself; empty ones for one that is
        not there.
        """
        self._do(turn.EndSession(session_id))
        return self._rows.last_counters(session_id)

    def revoke(self, revocations: Revocations) -> None:
        """From now on exactly these are let in no more; what they have has ended when this returns."""
        self._do(turn.Revoke(revocations))

    def drain(self) -> None:
        """From now on every new allocation is sent elsewhere or refused; those there are go on."""
        self._do(turn.Drain())

    def reconfigure(self, settings: RelaySettings, secrets: Sequence[bytes]) -> None:
        """Take over secrets and bounds; listeners, prefix, realm and pairing stay until a restart."""
        self._credentials = CredentialSecrets(tuple(secrets))
        self._streams.max_streams = settings.max_streams
        rules = configured_rules(settings, admission_required=self._admission_required)
        self._do(turn.Reconfigure(rules, self._credentials))

    def stream(self, transport: Transport) -> Stream:
        """The protocol of a connection that somebody else accepted and hands over here."""
        return self._streams.protocol(transport)

    def session_counters(self, session_id: str) -> SessionCounters | None:
        """None when nothing was ever forwarded or the session is not there."""
        return self._rows.counters(session_id)

    def counters(self) -> RelayCounters:
        """Everything at once, for whoever watches."""
        live = self._server.allocations()
        return RelayCounters(
            allocations=Counter(one.five_tuple.transport for one in live),
            sessions=len({one.session.session_id for one in live}),
            streams=len(self._streams),
            forwarded=self._rows.total(),
            dropped_by_control=dict(self._server.dropped),
            refusals=dict(self._refused),
            plane=self._plane.plane_counters(),
            streams_refused=self._streams.refused,
            streams_ended_as_garbage=self._streams.garbage,
            draining=self._server.draining,
        )

    @property
    def draining(self) -> bool:
        return self._server.draining

    @property
    def allocation_count(self) -> int:
        return self._server.allocation_count

    def relayed_ip(self, session_id: str) -> str | None:
        """The address that all allocations of a session share; None until its first allocation."""
        return self._server.session_ip(session_id)

    def allocations(self) -> list[LiveAllocation]:
        """Every live allocation, oldest first."""
        return [
            LiveAllocation(one.session.session_id, one.party, one.five_tuple, one.relayed)
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
                if punt.five_tuple.transport.is_stream and punt.five_tuple not in self._streams:
                    # Its connection has ended while it waited: an allocation would have nobody.
                    continue
                try:
                    self._apply(self._server.handle(turn.Received(*punt), now))
                except Exception:
                    # A datagram that finds a fault of ours must not end everybody's calls.
                    self._faults += 1
                    if self._faults == 1:
                        _log.exception("relay.fault")

    async def _deliver(self) -> None:
        while True:
            for five_tuple, message in await self._plane.egress():
                self._streams.deliver(five_tuple, message)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self._do(turn.Sweep())
            self._streams.close_strangers()
            for report in self._refusals.due(time.monotonic()):
                self._events.put(report)
            if self._faults:
                _log.error("relay.faults", count=self._faults)
                self._faults = 0

    def _stream_closed(self, five_tuple: FiveTuple) -> None:
        self._do(turn.StreamClosed(five_tuple))

    def _do(self, event: turn.Event) -> None:
        self._apply(self._server.handle(event, _now()))

    def _apply(self, commands: list[turn.Command]) -> None:
        plane = self._plane
        for command in commands:
            match command:
                case turn.Send(five_tuple, datagram):
                    answer = self._streams.answer if five_tuple.transport.is_stream else plane.send
                    answer(five_tuple, datagram)
                case turn.Forward(source, payload):
                    plane.forward(source, payload)
                case turn.Install(route, sender, receiver):
                    self._rows.install(route, sender, receiver)
                case turn.Remove(session_id, source):
                    self._rows.remove(session_id, source)
                case turn.RemoveSession(session_id):
                    self._events.put(SessionOver(session_id, self._rows.remove_session(session_id)))
                case turn.Wake(in_seconds):
                    # Rounded up: it must not come a clock tick too early.
                    asyncio.get_running_loop().call_later(in_seconds + 0.001, self._do, turn.Woken())
                case _:
                    self._note(command)

    def _note(self, command: turn.Command) -> None:
        """What is about a client, not about its packets."""
        match command:
            case turn.Own(five_tuple):
                self._plane.own(five_tuple)
                self._streams.own(five_tuple)
            case turn.Disown(five_tuple):
                self._plane.disown(five_tuple)
                self._streams.disown(five_tuple)
            case turn.CloseStream(five_tuple):
                self._streams.close(five_tuple)
            case turn.Refused():
                self._refused[command.reason] += 1
                told = self._refusals.count(command)
                if told is not None:
                    self._events.put(told)
            case turn.AllocationMade() | turn.AllocationGone():
                self._events.put(command)


def _now() -> Now:
    return Now(time.time(), time.monotonic())
