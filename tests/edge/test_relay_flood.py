"""Under a flood of forged requests a call goes on, new ones begin, and nobody's answers are amplified.

The relay is the command an administrator starts, with the settings it has by itself. What the flood costs is
printed (`pytest -s`); what must hold is asserted.
"""

from __future__ import annotations

import asyncio
import os
import struct
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from config.relay import RelaySettings
from relay.credentials import CredentialSecrets, TurnCredential
from relay.vocabulary import Address, Transport
from tests.edge.flood_process import LINGER_SECONDS, Flooded, flooding, prefer
from tests.edge.raw_turn import PATIENCE_SECONDS, RawTurn
from tests.edge.relay_bench import SECRET, relay_command

pytestmark = pytest.mark.timeout(120)

DEFAULTS = RelaySettings()
MOST_AMPLIFICATION = 3
BUDGET, BURST = DEFAULTS.unauthenticated_answers_per_second, DEFAULTS.unauthenticated_answers_burst
NETWORKS, RATE, FLOOD_SECONDS = 64, 10 * BUDGET, 8.0
FEWEST_NETWORKS = 16
"""Below it a machine is too slow for this to be a flood."""
UNTIL_BURSTS_ARE_SPENT = 1.0
WAYS = (Transport.UDP, Transport.TCP)
NEW_CALLS, NEW_CALL_SECONDS = 20, 5.0
"""By each way."""
NEWCOMERS = "127.200.{}.1"
"""Each call's parties are of a network of their own."""
HASH_SEED = "1"
"""Networks share the slots of the relay's table by their hashes. With this one none of those here has the
slot of another; by chance one newcomer's network in sixty has that of a network that floods."""
CHANNEL = 0x4000
AUDIO, AUDIO_BYTES, VIDEO_BYTES = 0, 172, 1172
HEAD = struct.Struct(">Id")
"""Of every packet: its number, and when it was sent."""
PACKETS_PER_SECOND = 200
"""Of which every fourth is audio."""
TICK_SECONDS = 0.005


@dataclass
class Evidence:
    """What was seen of one flood."""

    flooded: Flooded
    sent: list[int]
    """Packets of the established call, by sender."""
    lost: list[int]
    slowest: float
    """Seconds that one of them took at most."""
    new_calls: dict[Transport, list[float]]
    """Seconds from the first request to media both ways; infinite for one that did not begin."""
    relay_cpu: float
    """Share of a core while the flood was on."""

    def __str__(self) -> str:
        flooded = self.flooded
        return (
            f"flood: {flooded.rate:.0f}/s from {len(flooded.sent)} networks, {flooded.unsent} unsent, "
            f"{flooded.cpu_seconds / flooded.seconds:.0%} of a core; "
            f"answers: {sum(flooded.answered)}, at most {max(flooded.answered)} a network, "
            f"{flooded.answered_bytes / flooded.sent_bytes:.2f} of the bytes, "
            f"at worst {flooded.worst_factor:.2f}; "
            f"relay: {self.relay_cpu:.0%} of a core; call: lost {self.lost} of {self.sent}, "
            f"slowest {self.slowest * 1000:.0f} ms; "
            f"new calls, in seconds: {self.told()}"
        )

    def told(self) -> dict[str, str]:
        return {
            way.value: " ".join(f"{seconds:.2f}" for seconds in sorted(took))
            for way, took in self.new_calls.items()
        }


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONHASHSEED", HASH_SEED)
        seen = asyncio.run(_flooded_relay(tmp_path_factory.mktemp("flood")))
    print(f"\n{seen}")
    return seen


def test_every_network_sends_ten_times_what_is_answered(evidence: Evidence) -> None:
    flooded = evidence.flooded
    assert len(flooded.sent) >= FEWEST_NETWORKS
    assert min(flooded.sent) >= 0.9 * RATE * flooded.seconds
    assert flooded.seconds >= 6
    assert flooded.unsent == 0


def test_an_established_call_loses_at_most_one_packet_in_a_thousand(evidence: Evidence) -> None:
    for sent, lost in zip(evidence.sent, evidence.lost, strict=True):
        assert sent >= 0.9 * PACKETS_PER_SECOND * evidence.flooded.seconds
        assert lost <= sent / 1000, str(evidence)


@pytest.mark.parametrize("transport", WAYS)
def test_every_new_call_begins_within_five_seconds(evidence: Evidence, transport: Transport) -> None:
    took = evidence.new_calls[transport]
    assert len(took) == NEW_CALLS
    assert max(took) <= NEW_CALL_SECONDS, str(evidence)


def test_no_network_has_more_answers_than_its_budget(evidence: Evidence) -> None:
    flooded = evidence.flooded
    assert max(flooded.answered) <= BURST + BUDGET * (flooded.seconds + LINGER_SECONDS)
    assert min(flooded.answered) > 0


def test_no_answer_is_more_than_three_times_as_long_as_its_request(evidence: Evidence) -> None:
    assert 1 < evidence.flooded.worst_factor <= MOST_AMPLIFICATION
    assert evidence.flooded.answered_bytes <= MOST_AMPLIFICATION * evidence.flooded.sent_bytes


async def _flooded_relay(folder: Path) -> Evidence:
    async with AsyncExitStack() as stack:
        listen = [f"--listen={way}://127.0.0.1:0" for way in WAYS]
        relay = await stack.enter_async_context(relay_command(folder, *listen))
        prefer(relay.process.pid)
        listener = relay.listeners[0]
        alice = await stack.enter_async_context(RawTurn(listener, login("established", "alice")))
        bob = await stack.enter_async_context(RawTurn(listener, login("established", "bob")))
        await connect(alice, bob)
        over = asyncio.Event()
        talking = [asyncio.create_task(talk(one, over)) for one in (alice, bob)]
        hearing = [asyncio.create_task(hear(one)) for one in (bob, alice)]
        flood = await stack.enter_async_context(
            flooding(listener, networks=NETWORKS, rate=RATE, seconds=FLOOD_SECONDS)
        )
        cpu, began = cpu_seconds(relay.process.pid), time.monotonic()
        # Not to wait for anything: what is asked is how a flood is stood that goes on.
        await asyncio.sleep(UNTIL_BURSTS_ARE_SPENT)
        new = [
            new_call(way, address, NEWCOMERS.format(number), f"new{number}{way}")
            for way, address in zip(WAYS, relay.listeners, strict=True)
            for number in range(NEW_CALLS)
        ]
        took = await asyncio.gather(*new)
        flooded = await flood.result()
        share = (cpu_seconds(relay.process.pid) - cpu) / (time.monotonic() - began)
        over.set()
        sent = await asyncio.gather(*talking)
        async with asyncio.timeout(PATIENCE_SECONDS):
            heard = await asyncio.gather(*hearing)
        new_calls = {way: took[at * NEW_CALLS :][:NEW_CALLS] for at, way in enumerate(WAYS)}
        lost = [there - count for there, (count, _) in zip(sent, heard, strict=True)]
        return Evidence(flooded, sent, lost, max(way for _, way in heard), new_calls, share)


def login(session_id: str, party: str) -> TurnCredential:
    return CredentialSecrets((SECRET.encode(),)).issue(session_id, party, int(time.time()) + 3600)


async def connect(one: RawTurn, other: RawTurn) -> None:
    await asyncio.gather(one.allocate(), other.allocate())
    codes = await asyncio.gather(one.bind(CHANNEL, other.relayed), other.bind(CHANNEL, one.relayed))
    assert list(codes) == [0, 0]


async def talk(client: RawTurn, over: asyncio.Event) -> int:
    """Audio and video at an even pace until it is over; how many packets that were."""
    began, sent = time.monotonic(), 0
    while not over.is_set():
        while sent < (time.monotonic() - began) * PACKETS_PER_SECOND:
            size = AUDIO_BYTES if sent % 4 == AUDIO else VIDEO_BYTES
            client.send_on(CHANNEL, HEAD.pack(sent, time.monotonic()).ljust(size, b"\0"))
            sent += 1
        await asyncio.sleep(TICK_SECONDS)
    client.send_on(CHANNEL, b"")
    return sent


async def hear(client: RawTurn) -> tuple[int, float]:
    """How many different packets come before the empty one that ends them, and the longest way of one."""
    numbers, slowest = set(), 0.0
    while payload := (await client.arrived.get()).payload:
        number, sent_at = HEAD.unpack_from(payload)
        numbers.add(number)
        slowest = max(slowest, time.monotonic() - sent_at)
    return len(numbers), slowest


async def new_call(way: Transport, listener: Address, ip: str, session_id: str) -> float:
    """Both parties allocate, bind, and hear each other."""
    began = time.monotonic()
    try:
        async with (
            asyncio.timeout(NEW_CALL_SECONDS),
            RawTurn(listener, login(session_id, "alice"), transport=way, ip=ip) as alice,
            RawTurn(listener, login(session_id, "bob"), transport=way, ip=ip) as bob,
        ):
            await connect(alice, bob)
            for one, other in ((alice, bob), (bob, alice)):
                one.send_on(CHANNEL, b"hello")
                assert (await other.hears()).payload == b"hello"
    except TimeoutError:
        return float("inf")
    return time.monotonic() - began


def cpu_seconds(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
