"""A stage for the driver: a real core and gate, and stand-ins for disk, sockets and relay that do what a test
says."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from auth.personal import Personal
from auth.principal import Insider, PartyId
from broker.core.client_frames import ClientFrame, ClientProgram, Hello
from broker.core.clock import Now
from broker.core.commands import ConnectionId, ReadUndelivered, SoundAlarm
from broker.core.events import Connected, FrameReceived, MediaCount, Ticked
from broker.core.frame_codec import parse_edge_frame
from broker.core.frames import EdgeFrame, IceServer
from broker.core.gate import Gate, Receipt
from broker.core.house import House, HouseRules
from broker.core.refusals import Refusals
from broker.policy.stop import Scope, Stop
from broker.shell.driver import Driver
from broker.shell.effects import Effects
from broker.shell.journal import Journal
from broker.shell.store import Entry
from broker.shell.writer import Settled, Writer
from config.policy.loading import load_policy
from tests.spec.signed_in import signed_in

POLICY = """
revision = 1
[[rules]]
id = "signin"
effect = "allow"
who = { any = true }
actions = ["edge.signin"]
owner = "test"
reason = "test"
[[rules]]
id = "all"
effect = "allow"
who = { any = true }
with = { kind = "any" }
direction = "both"
actions = ["presence.see", "chat.send", "call.audio", "call.video", "screen.share",
           "guest.invite", "edge.join", "guest.admit"]
presence = "exact"
expires = 2999-12-31
owner = "test"
reason = "test"
"""

RULES = HouseRules(
    max_connections_per_person=8,
    max_text_characters=4000,
    ring_timeout_seconds=45,
    max_call_seconds=3600,
    invitation_default_expiry_seconds=3600,
    invitation_max_expiry_seconds=7200,
    invitation_default_redemptions=1,
    invitation_max_redemptions=5,
    visit_seconds=3600,
    sign_in_seconds=3600,
    outage_grace_seconds=30,
    guest_notice="recorded",
    admin_sign_in_seconds=3600,
    refusal_table_rows=64,
)


def insider(name: str) -> Insider:
    return Insider(PartyId(f"u-{name}"), Personal(name), Personal(name.title()), frozenset())


@dataclass
class HeldWriter(Writer):
    """Takes entries and settles them only when told to: a disk whose speed and health the test decides."""

    waiting: deque[tuple[int, Entry]] = field(default_factory=deque)
    owed: deque[Entry] = field(default_factory=deque)

    def __init__(self) -> None:
        self.waiting = deque()
        self.owed = deque()
        self.seq = 0
        self.put_so_far: list[Entry] = []

    def put(self, ticket: int, entry: Entry) -> None:
        self.waiting.append((ticket, entry))
        self.put_so_far.append(entry)

    def owe(self, entry: Entry) -> None:
        self.owed.append(entry)

    def take(self, *, works: bool, count: int | None = None) -> Settled:
        """The outcome of a batch of everything owed and the first `count` (or all) that wait."""
        tickets = [self.waiting.popleft()[0] for _ in range(len(self.waiting) if count is None else count)]
        if not works:
            return Settled(tuple((ticket, None) for ticket in tickets), None, False)
        self.seq += 1
        marks = [entry.mark for entry in self.owed if entry.mark is not None]
        self.owed.clear()
        receipt = Receipt(self.seq, self.seq)
        return Settled(tuple((t, receipt) for t in tickets), marks[-1] if marks else None, True)


@dataclass
class Sent:
    """One connection's wire: what was sent, and with what it was closed."""

    frames: list[EdgeFrame] = field(default_factory=list)
    closed: str | None = None

    def send(self, text: str) -> None:
        self.frames.append(parse_edge_frame(text))

    def close(self, http_status: int, code: str) -> None:
        self.closed = code

    def types(self) -> list[str]:
        return [frame.type for frame in self.frames]


@dataclass
class Rows:
    """The relay's rows."""

    live: dict[str, tuple[PartyId, PartyId]] = field(default_factory=dict)
    bits_per_second: dict[str, int | None] = field(default_factory=dict)
    withdrawn: list[str] = field(default_factory=list)
    shares: dict[tuple[str, PartyId], int | None] = field(default_factory=dict)
    silenced: list[frozenset[str] | None] = field(default_factory=list)
    sendable: dict[tuple[str, PartyId], frozenset[int]] = field(default_factory=dict)

    def admit(
        self,
        session_id: str,
        parties: tuple[PartyId, PartyId],
        until_unix_seconds: int,
        bits_per_second: int | None,
    ) -> None:
        self.live[session_id] = parties
        self.bits_per_second[session_id] = bits_per_second

    def allow_payload_types(
        self,
        session_id: str,
        party: PartyId,
        payload_types: frozenset[int],
        audio_payload_types: frozenset[int],
    ) -> None:
        self.sendable[session_id, party] = payload_types

    def stop_payload_types(self, session_id: str, party: PartyId, payload_types: frozenset[int]) -> None:
        allowed = self.sendable.get((session_id, party), frozenset())
        self.sendable[session_id, party] = allowed - payload_types

    def limit(self, session_id: str, until_unix_seconds: int, bits_per_second: int | None) -> None:
        if session_id in self.live:
            self.bits_per_second[session_id] = bits_per_second

    def share_bandwidth(self, session_id: str, rates: Mapping[PartyId, int | None]) -> None:
        self.shares |= {(session_id, party): rate for party, rate in rates.items()}

    def silence(self, session_ids: frozenset[str] | None) -> None:
        self.silenced.append(session_ids)

    def withdraw(self, session_id: str) -> MediaCount | None:
        self.withdrawn.append(session_id)
        parties = self.live.pop(session_id, None)
        return MediaCount(parties, (3, 4), (300, 400)) if parties else None


class HeldLatches:
    """Emergency stops on a disk that may be out of order."""

    def __init__(self) -> None:
        self.latched: list[Scope] = []
        self.works = True

    def put(self, stop: Stop) -> bool:
        if self.works and stop.scope not in self.latched:
            self.latched.append(stop.scope)
        return self.works

    def remove(self, scope: Scope) -> bool:
        if self.works and scope in self.latched:
            self.latched.remove(scope)
        return self.works


class Stage:
    """Insiders on held wires above a held disk."""

    def __init__(self, folder: Path, *, max_pending: int = 1000, journal_bytes: int = 65536) -> None:
        self.now = Now(1_800_000_000_000, 1000.0)
        numbers = itertools.count(1)

        def ids() -> str:
            return str(next(numbers))

        gate = Gate(load_policy(POLICY, "test"), ids)

        def ice(session_id: str, party: PartyId, expires_at: int) -> IceServer:
            return IceServer(
                urls=["turn:relay"], username=f"{expires_at}:{session_id}:{party}", credential="x"
            )

        self.house = House(gate, ids, RULES, ice, lambda i, n, e: f"https://outside/#{i}", Refusals(64))
        self.rows = Rows()
        self.reads: list[ReadUndelivered] = []
        self.latches = HeldLatches()
        self.alarms: list[SoundAlarm] = []
        self.effects = Effects(self.rows, self.latches, self.alarms.append, self.reads.append)
        self.journal = Journal(folder / "journal", journal_bytes)
        self.writer = HeldWriter()
        self.driver = Driver(self.house, self.effects, self.journal, lambda: self.now, max_pending)
        self.driver.attach(self.writer)
        self.people: dict[str, Insider] = {}

    def commit(self, *, works: bool = True, count: int | None = None) -> None:
        """The disk finishes (or fails) one batch."""
        self.driver.take_outcome(self.writer.take(works=works, count=count))

    def settle(self) -> None:
        """The disk catches up with everything."""
        while self.writer.waiting or self.writer.owed:
            self.commit()

    def pass_seconds(self, seconds: float) -> None:
        """Time passes, and everything that fell due happens."""
        self.now = Now(self.now.wall_ms + int(seconds * 1000), self.now.monotonic_seconds + seconds)
        deadlines = self.house.deadlines
        while (next_at := deadlines.next_at()) is not None and next_at <= self.now.monotonic_seconds:
            self.driver.submit(Ticked())

    def connect(self, name: str, *, recorded: bool = True) -> Sent:
        """An insider who has said hello, with everything recorded, or nothing yet."""
        person = self.people.setdefault(name, insider(name))
        connection_id = ConnectionId(f"n-{name}")
        wire = Sent()
        self.effects.outboxes[connection_id] = wire
        self.sign_in(f"digest-{name}", person)
        self.driver.submit(Connected(connection_id, person, Personal("192.0.2.1"), f"digest-{name}"))
        self.send(name, Hello(client=ClientProgram(name="test", version="1")))
        if recorded:
            self.settle()
        return wire

    def sign_in(self, token_digest: str, person: Insider) -> None:
        """As one of an earlier run; again is nothing more."""
        if token_digest not in self.house.sign_ins:
            signed_in(self.house, person.party, token_digest, self.now)

    def send(self, name: str, frame: ClientFrame, to: str | None = None) -> None:
        """A frame from `name`; `to` is the counterpart that the directory vouches for."""
        counterpart = self.people.get(to) if to else None
        people = tuple(self.people.values())
        self.driver.submit(FrameReceived(ConnectionId(f"n-{name}"), frame, counterpart, people))
