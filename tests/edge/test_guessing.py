"""Guessing invitations: each network has so many guesses, and nobody elsewhere has fewer for it."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from auth.invitation import NONCE_BYTES
from auth.throttle import FailureTable
from broker.core.clock import Now
from broker.shell.gateway.edge import GUESS_WINDOW_SECONDS, GUESSES_PER_SOURCE
from tests.edge.bench_wire import Answer, Wire
from tests.edge.edge_bench import Bench, edge_bench

ELSEWHERE = "127.9.9.9"
GUESSES = 3000
Make = Callable[[Bench, Wire], Awaitable[str]]
NETWORKS = 3


def throttle(bench: Bench) -> None:
    """The bound on guesses as the product has it; that on requests is another test's."""
    bench.edge.guesses = FailureTable(GUESSES_PER_SOURCE, GUESS_WINDOW_SECONDS, max_entries=16_384)


def clock_of(bench: Bench, *, later_seconds: float) -> None:
    """What the gateway takes for the time; the core's clock goes on."""
    clock = bench.edge.clock

    def later() -> Now:
        now = clock()
        return Now(now.wall_ms, now.monotonic_seconds + later_seconds)

    bench.edge.clock = later


async def guesses(bench: Bench, texts: list[str], sources: list[str]) -> list[Answer]:
    answers: list[Answer] = []
    for at in range(0, len(texts), 50):
        batch = texts[at : at + 50]
        asked = [bench.redeem(text, source=sources[(at + n) % len(sources)]) for n, text in enumerate(batch)]
        answers += await asyncio.gather(*asked)
    return answers


async def test_of_thousands_of_guesses_each_network_has_fifty_and_a_guest_elsewhere_comes_in(
    tmp_path: Path,
) -> None:
    async with edge_bench(tmp_path) as bench, bench.insider("alice") as alice:
        good = [await bench.invitation(alice) for _ in range(3)]
        sources = [f"127.1.{network}.{host}" for host in range(1, 100) for network in range(NETWORKS)]
        throttle(bench)
        answers = await guesses(bench, [secrets.token_urlsafe(75) for _ in range(GUESSES)], sources)
        codes = Counter(answer.code for answer in answers)
        assert codes["INVITATION_INVALID"] == NETWORKS * GUESSES_PER_SOURCE
        assert codes["INVITATION_THROTTLED"] == GUESSES - NETWORKS * GUESSES_PER_SOURCE
        assert {a.status for a in answers if a.code == "INVITATION_THROTTLED"} == {429}
        assert (await bench.redeem(good[0], source=ELSEWHERE)).status == 200
        refused = await bench.redeem(good[1], source=sources[0])
        assert (refused.status, refused.code) == (429, "INVITATION_THROTTLED")
        clock_of(bench, later_seconds=GUESS_WINDOW_SECONDS * 1.25)
        assert (await bench.redeem(good[1], source=sources[0])).status == 200
        assert bench.records("visit.opened")[0]["fields"]["invitation"]


def made(alice: Wire) -> str:
    """The id of the last invitation."""
    created = [frame for frame in alice.frames if frame["type"] == "invitation.created"][-1]
    return str(created["invitation"]["invitation_id"])


async def used(bench: Bench, alice: Wire) -> str:
    secret = await bench.invitation(alice)
    assert (await bench.redeem(secret, source=ELSEWHERE)).status == 200
    return secret


async def revoked(bench: Bench, alice: Wire) -> str:
    secret = await bench.invitation(alice)
    invitation_id = made(alice)
    await alice.send(json.dumps({"type": "invitation.revoke", "invitation_id": invitation_id}))
    await alice.until("invitation.gone", invitation_id=invitation_id)
    return secret


async def replaced(bench: Bench, alice: Wire) -> str:
    secret = await bench.invitation(alice)
    invitation_id = made(alice)
    await alice.send(json.dumps({"type": "invitation.reissue", "ref": "2", "invitation_id": invitation_id}))
    await alice.until("invitation.created", ref="2")
    return secret


async def expired(bench: Bench, alice: Wire) -> str:
    claim = bench.edge.signer.verify(await bench.invitation(alice), time.time())
    nonce = secrets.token_bytes(NONCE_BYTES)
    return bench.edge.signer.sign(claim.invitation_id, claim.issue, int(time.time()) - 1, nonce)


async def altered(bench: Bench, alice: Wire) -> str:
    secret = await bench.invitation(alice)
    return secret[:-5] + ("A" if secret[-5] != "A" else "B") + secret[-4:]


@pytest.mark.parametrize("make", [used, revoked, replaced, expired, altered])
async def test_what_was_good_once_and_is_tried_again_counts_as_a_guess(tmp_path: Path, make: Make) -> None:
    async with edge_bench(tmp_path) as bench, bench.insider("alice") as alice:
        text = await make(bench, alice)
        throttle(bench)
        codes = [a.code for a in await guesses(bench, [text] * (GUESSES_PER_SOURCE + 5), ["127.0.0.1"])]
        assert Counter(codes) == {"INVITATION_INVALID": GUESSES_PER_SOURCE, "INVITATION_THROTTLED": 5}


async def test_good_invitations_and_other_mistakes_cost_no_guess(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench, bench.insider("alice") as alice:
        throttle(bench)
        for _ in range(GUESSES_PER_SOURCE + 1):
            assert (await bench.redeem(await bench.invitation(alice))).status == 200
        bad = await bench.invitation(alice)
        for _ in range(GUESSES_PER_SOURCE + 1):
            nameless = await bench.redeem(bad, name="\u202e")
            assert (nameless.status, nameless.code) == (400, "TEXT_INVALID")
        assert (await bench.redeem(bad)).status == 200
