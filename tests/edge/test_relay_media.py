"""The broker's link to a running relay: what an admission means for the rate of each party."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from auth.principal import PartyId
from broker.shell.media import RelayMedia, relay_urls
from config.listeners import OutsideSettings
from config.relay import RelaySettings
from config.settings import Settings
from relay.planes.asyncio_plane import AsyncioPlane
from relay.service import Relay
from relay.vocabulary import Address, Limiter, Listener, Transport

ADA, BOB = PartyId("u-ada"), PartyId("g-bob")
SIXTY_FOUR_KIB = 65536


class ListeningPlane(AsyncioPlane):
    """Remembers the limiters in force."""

    def __init__(self) -> None:
        super().__init__()
        self.limiters: dict[str, Limiter] = {}

    def set_limit(self, limiter_id: str, limiter: Limiter | None) -> None:
        super().set_limit(limiter_id, limiter)
        if limiter is None:
            del self.limiters[limiter_id]
        else:
            self.limiters[limiter_id] = limiter


@asynccontextmanager
async def link(**settings: int) -> AsyncIterator[tuple[RelayMedia, dict[str, Limiter]]]:
    declared = RelaySettings.model_validate({"listen": ("udp://127.0.0.1:0",), **settings})
    plane = ListeningPlane()
    async with Relay(declared, [b"secret"], admission_required=True, plane=plane) as relay:
        yield RelayMedia(relay, "asyncio", Settings(relay=declared)), plane.limiters


def admit(media: RelayMedia, bits_per_second: int | None, session_id: str = "s1") -> None:
    media.admit(session_id, (ADA, BOB), int(time.time()) + 60, bits_per_second)


@pytest.mark.parametrize(
    ("policy", "setting", "holds"),
    [(None, None, 20_000_000), (None, 3_000_000, 3_000_000), (4_000_000, None, 4_000_000),
     (4_000_000, 3_000_000, 3_000_000), (900_000_000, None, 20_000_000)],
)  # fmt: skip
async def test_each_party_has_a_bucket_of_the_stricter_of_policy_and_setting(
    policy: int | None, setting: int | None, holds: int
) -> None:
    settings = {} if setting is None else {"session_bits_per_second": setting}
    async with link(**settings) as (media, limiters):
        admit(media, policy)
        bucket = Limiter(holds, burst_bytes=holds // 8, audio_reserve_bytes=holds // 8 // 5)
        assert limiters == {"session:s1:u-ada": bucket, "session:s1:g-bob": bucket}


async def test_a_low_rate_still_lets_a_key_frame_pass_at_once() -> None:
    async with link() as (media, limiters):
        admit(media, 16_000)
        bucket = Limiter(16_000, SIXTY_FOUR_KIB, SIXTY_FOUR_KIB // 5)
        assert set(limiters.values()) == {bucket}


async def test_a_second_admission_replaces_the_rate_and_the_end_of_the_session_lifts_it() -> None:
    async with link() as (media, limiters):
        admit(media, None)
        admit(media, None, "s2")
        admit(media, 1_000_000)
        assert {limiter.bits_per_second for name, limiter in limiters.items() if ":s1:" in name} == {
            1_000_000
        }
        media.withdraw("s1")
        assert set(limiters) == {"session:s2:u-ada", "session:s2:g-bob"}
        media.withdraw("s2")
        assert limiters == {}


ONE_PORT = [Listener(Transport.UDP, Address("192.0.2.1", 3478))]
EVERY_WAY = [
    Listener(Transport.UDP, Address("192.0.2.1", 3478)),
    Listener(Transport.UDP, Address("203.0.113.1", 3479)),
    Listener(Transport.TCP, Address("203.0.113.1", 3480)),
    Listener(Transport.TLS, Address("203.0.113.1", 5349)),
]


@pytest.mark.parametrize(
    ("host", "origin", "listeners", "urls"),
    [
        (
            "203.0.113.1",
            "https://meet.example.org",
            EVERY_WAY,
            [
                "turn:203.0.113.1:3479?transport=udp",
                "turn:203.0.113.1:3480?transport=tcp",
                "turns:meet.example.org:443?transport=tcp",
            ],
        ),
        (
            "relay.example.org",
            "https://meet.example.org:8443",
            ONE_PORT,
            ["turn:relay.example.org:3478?transport=udp", "turns:meet.example.org:8443?transport=tcp"],
        ),
        (
            "2001:db8::1",
            "https://[2001:db8::2]",
            ONE_PORT,
            ["turn:[2001:db8::1]:3478?transport=udp", "turns:[2001:db8::2]:443?transport=tcp"],
        ),
    ],
)
def test_the_ways_to_the_relay_are_told_best_first_and_as_the_client_reaches_them(
    host: str, origin: str, listeners: list[Listener], urls: list[str]
) -> None:
    side = OutsideSettings.model_validate({"relay_host": host, "origin": origin})
    assert relay_urls(side, listeners) == urls
