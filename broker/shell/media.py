"""Media: the link to the relay. Events of the core one way, admissions and credentials the other; no packet
passes here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import structlog

from auth.personal import Personal
from auth.principal import PartyId
from broker.core.events import (
    EntryRefused,
    Event,
    MediaAllocated,
    MediaCount,
    MediaCounted,
    MediaReleased,
)
from broker.core.frames import IceServer
from config.settings import Settings
from relay.meter import SessionCounters
from relay.planes.choice import choose_plane
from relay.relay_events import EventsLost, RelayEvent
from relay.service import Relay
from relay.turn.events import Admission, AllocationGone, AllocationMade
from relay.vocabulary import Address, Limiter

log = structlog.get_logger(__name__)

MADE_SECRET_BYTES = 32
MIN_BURST_BYTES = 64 << 10


@dataclass(slots=True)
class RelayMedia:
    """The relay as the broker uses it."""

    relay: Relay
    plane: str
    """Which plane forwards: `asyncio` or `native`."""
    settings: Settings
    _sessions: dict[str, tuple[PartyId, PartyId]] = field(default_factory=dict)

    def admit(
        self,
        session_id: str,
        parties: tuple[PartyId, PartyId],
        until_unix_seconds: int,
        bits_per_second: int | None,
    ) -> None:
        self._sessions[session_id] = parties
        self.relay.admit(Admission(session_id, parties, until_unix_seconds))
        most = self.settings.relay.session_bits_per_second
        limiter = sending_limiter(most if bits_per_second is None else min(most, bits_per_second))
        for party in parties:
            self.relay.limit_sender(session_id, party, limiter)

    def allow_payload_types(
        self, session_id: str, payload_types: frozenset[int], audio_payload_types: frozenset[int]
    ) -> None:
        self.relay.allow_payload_types(session_id, payload_types, audio_payload_types)

    def withdraw(self, session_id: str) -> MediaCount | None:
        counters = self.relay.remove_session(session_id)
        parties = self._sessions.pop(session_id, None)
        return media_count(parties, counters) if parties is not None else None

    def ice_server(self, session_id: str, party: PartyId, expires_at: int) -> IceServer:
        """The party's own credential, at the relay address of their side of the edge."""
        side = self.settings.outside if party.startswith("g-") else self.settings.inside
        credential = self.relay.issue_credential(session_id, party, expires_at)
        listeners = self.relay.listeners
        own = next((one for one in listeners if one.ip == side.relay_host), listeners[0])
        host = Address(side.relay_host, own.port)
        return IceServer(
            urls=[f"turn:{host}?transport=udp"],
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
                submit_event = _core_event(event)
                if submit_event is not None:
                    submit(submit_event)

    async def count(self, submit: Callable[[Event], None], interval_seconds: float) -> None:
        """Runs for ever: the counters of every live session, for the record."""
        while True:
            await asyncio.sleep(interval_seconds)
            for session_id, parties in list(self._sessions.items()):
                counters = self.relay.session_counters(session_id)
                if counters is not None:
                    submit(MediaCounted(session_id, media_count(parties, counters)))


@asynccontextmanager
async def running_media(settings: Settings, made_secret: bytes) -> AsyncIterator[RelayMedia]:
    """The relay from start to stop. `made_secret` signs credentials where the settings name no secret: nobody
    but this process verifies them."""
    named = (settings.relay.secret, settings.relay.previous_secret)
    secrets = [secret.get_secret_value().encode() for secret in named if secret is not None]
    chosen = choose_plane(settings.relay.plane, settings.relay.socket_buffer_bytes)
    signing = secrets or [made_secret]
    async with Relay(settings.relay, signing, admission_required=True, plane=chosen.plane) as relay:
        yield RelayMedia(relay, chosen.name, settings)


def sending_limiter(bits_per_second: int) -> Limiter:
    """The bucket of what one party sends: a second's worth, at least a key frame's; a fifth is for audio."""
    burst_bytes = max(bits_per_second // 8, MIN_BURST_BYTES)
    return Limiter(bits_per_second, burst_bytes, audio_reserve_bytes=burst_bytes // 5)


def media_count(parties: tuple[PartyId, PartyId], counters: SessionCounters) -> MediaCount:
    """The relay's counters in the order of the session's parties."""
    there, back = counters.direction(*parties), counters.direction(parties[1], parties[0])
    dropped: dict[str, int] = {}
    for direction in (there, back):
        for reason, count in direction.drops.items():
            dropped[reason.value] = dropped.get(reason.value, 0) + count
    return MediaCount(
        parties, (there.packets, back.packets), (there.bytes, back.bytes), tuple(sorted(dropped.items()))
    )


def _core_event(event: RelayEvent) -> Event | None:
    match event:
        case AllocationMade():
            address = Personal(str(event.client_address))
            relayed = (event.relayed_address.ip, event.relayed_address.port)
            return MediaAllocated(event.session_id, PartyId(event.party), address, relayed)
        case AllocationGone():
            relayed = (event.relayed_address.ip, event.relayed_address.port)
            return MediaReleased(event.session_id, PartyId(event.party), relayed, event.reason.value)
        case EventsLost():
            log.error("relay.events_lost", count=event.count)
            return None
        case _:
            return EntryRefused("relay.refused", str(event.code), Personal(event.network), event.count)
