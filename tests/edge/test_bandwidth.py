"""A limit of the policy in a real edge: shared out, changed while calls go on, held by the relay where a
program ignores it, and full."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from broker.client.call import Call
from broker.client.media import MediaKind
from broker.client.participant import Participant, join
from broker.core.client_frames import CallAccept, CallHangUp, CallInvite
from tests.edge.bench_house import POLICY, with_house
from tests.edge.edge_bench import Bench, edge_bench, running_bench, until

WINDOW_SECONDS = 4.0
FOLLOWS_SECONDS = 5.0


def limited(bits_per_second: int, revision: int = 1) -> str:
    return (
        POLICY.replace("revision = 1", f"revision = {revision}")
        + f"""
[[bandwidth]]
id = "all"
of = "total"
from_inside_bits_per_second = {bits_per_second}
owner = "test"
reason = "test"
"""
    )


@dataclass
class Talk:
    """Alice sends to Bob."""

    bench: Bench
    alice: Call
    bob: Call

    def carried(self) -> int:
        """Bytes that the relay has forwarded from Alice."""
        count = self.bench.edge.media.counted(self.alice.call_id)
        return count.bytes[0] if count is not None else 0

    async def rate(self) -> float:
        """Bits per second from Alice, over the next seconds."""
        loop = asyncio.get_running_loop()
        began, before = loop.time(), self.carried()
        await asyncio.sleep(WINDOW_SECONDS)
        return (self.carried() - before) * 8 / (loop.time() - began)

    async def sound(self) -> float:
        """Packets of sound a second that reach Bob, over the next seconds."""
        loop = asyncio.get_running_loop()
        began, before = loop.time(), (await self.bob.report()).audio_packets_received
        await asyncio.sleep(WINDOW_SECONDS)
        return ((await self.bob.report()).audio_packets_received - before) / (loop.time() - began)

    def share(self) -> int:
        """What Alice was told that she may send, in bits per second."""
        call = next(iter(self.bench.edge.driver._house.calls.values()))
        return sum(call.rates[call.grant.parties[0]].values())


@asynccontextmanager
async def talking(bench: Bench, *, obeys_limits: bool) -> AsyncIterator[Talk]:
    async with AsyncExitStack() as stack:

        async def joined(login: str) -> Participant:
            token = await bench.token_of(login)
            return await stack.enter_async_context(join(bench.inside, token, bench.house.ca_file))

        alice, bob = await joined("alice"), await joined("bob")
        media: tuple[MediaKind, ...] = ("audio", "video")
        call = await stack.enter_async_context(
            alice.calls.place(bob.you.party, media, obeys_limits=obeys_limits)
        )
        answered = await stack.enter_async_context(bob.calls.accept(await bob.calls.next_ring()))
        await call.connected()
        await answered.connected()
        async with asyncio.timeout(20):
            while True:
                if (await answered.report()).video_frames_received >= 10:
                    break
                await asyncio.sleep(0.05)
        yield Talk(bench, call, answered)


async def test_a_limit_that_is_halved_reaches_a_live_call_and_its_sound_loses_nothing(tmp_path: Path) -> None:
    async with (
        edge_bench(tmp_path, policy=limited(1_200_000)) as bench,
        talking(bench, obeys_limits=True) as talk,
    ):
        bench.house.under_policy(limited(600_000, 2))
        await until(lambda: talk.share() <= 300_000)
        await asyncio.sleep(FOLLOWS_SECONDS)
        rate, sound = await asyncio.gather(talk.rate(), talk.sound())
        assert rate <= talk.share() * 1.1
        assert 45 <= sound <= 55
        count = bench.edge.media.counted(talk.alice.call_id)
        assert count is not None
        assert dict(count.dropped).get("limiter", 0) == 0, "the client follows; the relay need not"


@pytest.mark.parametrize("plane", ["asyncio", "native"])
async def test_a_program_that_ignores_its_limit_is_held_to_it_by_the_relay_and_sound_still_passes(
    tmp_path: Path, plane: str
) -> None:
    house = with_house(tmp_path, policy=limited(500_000))
    relay = house.settings.relay.model_copy(update={"plane": plane})
    house = replace(house, settings=house.settings.model_copy(update={"relay": relay}))
    async with (
        running_bench(house) as bench,
        talking(bench, obeys_limits=False) as talk,
    ):
        await asyncio.sleep(FOLLOWS_SECONDS)
        rate, sound = await asyncio.gather(talk.rate(), talk.sound())
        assert talk.share() <= 250_000
        assert rate <= talk.share() * 1.1
        assert 45 <= sound <= 55
        count = bench.edge.media.counted(talk.alice.call_id)
        assert count is not None
        assert dict(count.dropped)["limiter"] > 0, "it would have sent more"


async def test_the_call_that_would_break_the_total_is_refused_and_the_one_there_is_goes_on(
    tmp_path: Path,
) -> None:
    async with (
        edge_bench(tmp_path, policy=limited(100_000)) as bench,
        bench.insider("alice") as alice,
        bench.guest(alice) as guest,
        bench.insider("bob") as bob,
        bench.insider("carol") as carol,
    ):
        await alice.send(CallInvite(ref="1", to=guest.you, media=["audio"]))
        call_id = (await guest.until("call.ring"))["call_id"]
        await guest.send(CallAccept(call_id=call_id))
        told = await alice.until("media.limit")
        assert told["audio_bits_per_second"] == 64_000
        # Two insiders send twice what one sends to a guest.
        await carol.send(CallInvite(ref="2", to=bob.you, media=["audio"]))
        refused = await carol.until("error", ref="2")
        assert (refused["code"], refused["retryable"]) == ("BANDWIDTH_EXCEEDED", True)
        await bench.settled(alice, guest, bob, carol)
        assert "call.ring" not in bob.types
        assert "call.ended" not in alice.types
        (record,) = await bench.recorded("call.refused")
        assert record["fields"]["code"] == "BANDWIDTH_EXCEEDED"
        await alice.send(CallHangUp(call_id=call_id))
        await alice.until("call.ended")
        await carol.send(CallInvite(ref="3", to=bob.you, media=["audio"]))
        await carol.until("call.created", ref="3")
