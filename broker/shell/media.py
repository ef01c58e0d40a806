"""Media: the link to the relay. Events of the core one way, admissions and credentials the other; no packet
passes here."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

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
from config.listeners import InsideSettings, OutsideSettings
from config.settings import Settings
from relay.configured import configured_secrets
from relay.meter import SessionCounters
from relay.planes.choice import choose_plane
from relay.prefix_budget import network_of
from relay.relay_events import EventsLost, RelayEvent, RequesterRefused, SessionOver, StrangersRefused
from relay.service import Relay
from relay.streams.stream import Stream
from relay.turn.events import Admission, AllocationGone, AllocationMade
from relay.vocabulary import Address, Limiter, Listener, Transport

log = structlog.get_logger(__name__)

MADE_SECRET_BYTES = 32
MIN_BURST_BYTES = 64 << 10
SHARE_TOLERANCE = 1.05
"""Headers and reports come on top of what clients are told that their media may take."""


@dataclass(frozen=True, slots=True)
class _Admitted:
    """A session as it was last admitted."""

    parties: tuple[PartyId, PartyId]
    until_unix_seconds: int
    bits_per_second: int | None


@dataclass(slots=True)
class RelayMedia:
    """The relay as the broker uses it."""

    relay: Relay
    plane: str
    """Which plane forwards: `asyncio` or `native`."""
    settings: Settings
    _admitted: dict[str, _Admitted] = field(default_factory=dict)
    _shares: dict[str, dict[PartyId, int | None]] = field(default_factory=dict)
    """Of each session and party, what it may send of the bandwidth there is."""

    def admit(
        self,
        session_id: str,
        parties: tuple[PartyId, PartyId],
        until_unix_seconds: int,
        bits_per_second: int | None,
    ) -> None:
        self._admitted[session_id] = _Admitted(parties, until_unix_seconds, bits_per_second)
        self.relay.admit(Admission(session_id, parties, until_unix_seconds))
        for party in parties:
            self._hold(session_id, party)

    def _hold(self, session_id: str, party: PartyId) -> None:
        """The party to the strictest of what there is."""
        admitted = self._admitted[session_id]
        share = self._shares.get(session_id, {}).get(party)
        rates = [
            self.settings.relay.session_bits_per_second,
            admitted.bits_per_second,
            None if share is None else int(share * SHARE_TOLERANCE),
        ]
        limiter = sending_limiter(min(rate for rate in rates if rate is not None))
        self.relay.limit_sender(session_id, party, limiter)

    def share_bandwidth(self, session_id: str, rates: Mapping[PartyId, int | None]) -> None:
        """See `effects.MediaLink.share_bandwidth`."""
        shares = self._shares.setdefault(session_id, {})
        for party, rate in rates.items():
            changed, shares[party] = shares.get(party) != rate, rate
            if changed and session_id in self._admitted:
                self._hold(session_id, party)

    def allow_payload_types(
        self,
        session_id: str,
        party: PartyId,
        payload_types: frozenset[int],
        audio_payload_types: frozenset[int],
    ) -> None:
        self.relay.allow_payload_types(session_id, party, payload_types, audio_payload_types)

    def stop_payload_types(self, session_id: str, party: PartyId, payload_types: frozenset[int]) -> None:
        self.relay.stop_payload_types(session_id, party, payload_types)

    def limit(self, session_id: str, until_unix_seconds: int, bits_per_second: int | None) -> None:
        """See `effects.MediaLink.limit`."""
        admitted = self._admitted.get(session_id)
        if admitted is not None:
            rates = [rate for rate in (bits_per_second, admitted.bits_per_second) if rate is not None]
            until = min(until_unix_seconds, admitted.until_unix_seconds)
            self.admit(session_id, admitted.parties, until, min(rates, default=None))

    def silence(self, session_ids: frozenset[str] | None) -> None:
        """See `effects.MediaLink.silence`."""
        self.relay.silence(session_ids)

    def withdraw(self, session_id: str) -> MediaCount | None:
        counters = self.relay.remove_session(session_id)
        self._shares.pop(session_id, None)
        admitted = self._admitted.pop(session_id, None)
        return media_count(admitted.parties, counters) if admitted is not None else None

    def counted(self, session_id: str) -> MediaCount | None:
        """What a live session has carried so far; None when it has none."""
        admitted = self._admitted.get(session_id)
        counters = self.relay.session_counters(session_id) if admitted is not None else None
        if admitted is None or counters is None:
            return None
        return media_count(admitted.parties, counters)

    def ice_server(self, session_id: str, party: PartyId, expires_at: int) -> IceServer:
        """The party's own credential, at every way to the relay from their side of the edge, best first."""
        side = self.settings.outside if party.startswith("g-") else self.settings.inside
        credential = self.relay.issue_credential(session_id, party, expires_at)
        return IceServer(
            urls=relay_urls(side, self.relay.listeners),
            username=credential.username,
            credential=credential.password,
        )

    def stream(self) -> Stream:
        """For a connection at one of the edge's own TLS ports that speaks TURN."""
        return self.relay.stream(Transport.TLS)

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
            for session_id in list(self._admitted):
                count = self.counted(session_id)
                if count is not None:
                    submit(MediaCounted(session_id, count))


@asynccontextmanager
async def running_media(
    settings: Settings, made_secret: bytes, tls: ssl.SSLContext
) -> AsyncIterator[RelayMedia]:
    """The relay from start to stop. `made_secret` signs credentials where the settings name no secret: nobody
    but this process verifies them."""
    secrets = configured_secrets(settings.relay)
    chosen = choose_plane(settings.relay)
    signing = secrets or [made_secret]
    async with Relay(settings.relay, signing, admission_required=True, plane=chosen.plane, tls=tls) as relay:
        yield RelayMedia(relay, chosen.name, settings)


def relay_urls(side: InsideSettings | OutsideSettings, listeners: Sequence[Listener]) -> list[str]:
    """By UDP, by TCP where there is a listener, by TLS at the port of the pages: what passes anywhere."""
    urls = []
    for transport in (Transport.UDP, Transport.TCP):
        ports = {one.address.ip: one.address.port for one in listeners if one.transport is transport}
        if ports:
            port = ports.get(side.relay_host, next(iter(ports.values())))
            urls.append(f"turn:{Address(side.relay_host, port)}?transport={transport}")
    page = urlsplit(side.origin)
    urls.append(f"turns:{Address(page.hostname or '', page.port or 443)}?transport=tcp")
    return urls


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
        parties,
        (there.packets, back.packets),
        (there.bytes, back.bytes),
        tuple(sorted(dropped.items())),
        (_wall_ms(there.last_seen), _wall_ms(back.last_seen)),
    )


def _wall_ms(monotonic_seconds: float | None) -> int | None:
    """The time of day of a moment of the monotonic clock."""
    if monotonic_seconds is None:
        return None
    return int((time.time() - time.monotonic() + monotonic_seconds) * 1000)


def _core_event(event: RelayEvent) -> Event | None:
    match event:
        case AllocationMade():
            transport, client, _ = event.five_tuple
            relayed = (event.relayed_address.ip, event.relayed_address.port)
            return MediaAllocated(
                event.session_id, PartyId(event.party), Personal(str(client)), relayed, transport.value
            )
        case AllocationGone():
            relayed = (event.relayed_address.ip, event.relayed_address.port)
            return MediaReleased(event.session_id, PartyId(event.party), relayed, event.reason.value)
        case EventsLost():
            log.error("relay.events_lost", count=event.count)
            return None
        case SessionOver():
            # Whoever ended it asked for its counters then.
            return None
        case StrangersRefused():
            code = str(event.reason.code)
            return EntryRefused("relay.refused", code, Personal(event.network), event.count)
        case RequesterRefused():
            code, network = str(event.refused.reason.code), network_of(event.refused.five_tuple.client.ip)
            return EntryRefused("relay.refused", code, Personal(network), event.count)
