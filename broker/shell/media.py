"""Media: the link to the relay. Events of the core one way, admissions and credentials the other; no packet
passes here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from relay.service import (
    Admission,
    AllocationGone,
    AllocationMade,
    Relay,
    SessionCounters,
)

from auth.personal import Personal
from auth.principal import PartyId
from broker.core.events import Event, MediaAllocated, MediaCount, MediaCounted, MediaReleased
from broker.core.frames import IceServer
from config.settings import Settings


@dataclass(slots=True)
class RelayMedia:
    """The relay as the broker uses it."""

    relay: Relay
    settings: Settings
    _sessions: dict[str, tuple[PartyId, PartyId]] = field(default_factory=dict)

    def admit(self, session_id: str, parties: tuple[PartyId, PartyId], until_unix_seconds: int) -> None:
        self._sessions[session_id] = parties
        self.relay.admit(Admission(session_id, parties, until_unix_seconds))

    def allow_payload_types(self, session_id: str, payload_types: frozenset[int]) -> None:
        self.relay.allow_payload_types(session_id, payload_types)

    def withdraw(self, session_id: str) -> MediaCount | None:
        counters = self.relay.remove_session(session_id)
        parties = self._sessions.pop(session_id, None)
        return media_count(parties, counters) if parties is not None else None

    def ice_server(self, session_id: str, party: PartyId, expires_at: int) -> IceServer:
        """The party's own credential, at the relay address of their side of the edge."""
        side = self.settings.outside if party.startswith("g-") else self.settings.inside
        credential = self.relay.issue_credential(session_id, party, expires_at)
        host = f"[{side.relay_host}]" if ":" in side.relay_host else side.relay_host
        return IceServer(
            urls=[f"turn:{host}:{self.relay.port}?transport=udp"],
            username=credential.username,
            credential=credential.password,
        )

    def allocations(self) -> int:
        """How many allocations are live."""
        return len(self.relay.allocations())

    async def report(self, submit: Callable[[Event], None]) -> None:
        """Runs for ever: what happens in the relay, as events."""
        while True:
            for event in await self.relay.events():
                if isinstance(event, AllocationMade):
                    submit(
                        MediaAllocated(
                            event.session_id,
                            PartyId(event.party),
                            Personal(str(event.client_address)),
                            tuple(event.relayed_address),
                        )
                    )
                elif isinstance(event, AllocationGone):
                    party, address = PartyId(event.party), tuple(event.relayed_address)
                    submit(MediaReleased(event.session_id, party, address, event.reason))

    async def count(self, submit: Callable[[Event], None], interval_seconds: float) -> None:
        """Runs for ever: the counters of every live session, for the record."""
        while True:
            await asyncio.sleep(interval_seconds)
            for session_id, parties in list(self._sessions.items()):
                submit(
                    MediaCounted(session_id, media_count(parties, self.relay.session_counters(session_id)))
                )


def media_count(parties: tuple[PartyId, PartyId], counters: SessionCounters | None) -> MediaCount:
    """The relay's counters in the order of the session's parties."""
    if counters is None:
        return MediaCount(parties, (0, 0), (0, 0))
    first, second = (counters.sent_by(party) for party in parties)
    dropped = tuple(sorted((reason.value, count) for reason, count in counters.drops.items()))
    return MediaCount(parties, (first.packets, second.packets), (first.bytes, second.bytes), dropped)
