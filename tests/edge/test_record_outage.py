"""What happens while the record cannot be written: nothing opens, everything closes, nobody else notices."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from broker.core.events import Event
from broker.core.gate import Recorded
from broker.shell import writer
from broker.shell.effects import Effects
from tests.edge.bench_house import password_of
from tests.edge.bench_wire import Wire
from tests.edge.edge_bench import Bench, edge_bench
from tests.edge.record_faults import failing_commits, full_database, full_disk, held_commits

OPENS = {
    "welcome",
    "guest.welcome",
    "presence.changed",
    "chat.accepted",
    "chat.message",
    "invitation.created",
    "lobby.waiting",
    "lobby.admitted",
    "call.created",
    "call.ring",
    "call.accepted",
}
FAULTS = {"broken": failing_commits, "full": full_disk}
Fault = Callable[[Bench], AbstractContextManager[None]]


@pytest.fixture(params=FAULTS)
def fault(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Fault:
    monkeypatch.setattr(writer, "RETRY_SECONDS", 0.05)
    return FAULTS[request.param]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Recorded]:
    """Everything that was ever let out with effects that open."""
    let_out: list[Recorded] = []
    real = Effects.open

    def watched(self: Effects, recorded: Recorded) -> list[Event]:
        if recorded.effects:
            let_out.append(recorded)
        return real(self, recorded)

    monkeypatch.setattr(Effects, "open", watched)
    return let_out


def chat(to: str, ref: str, text: str = "hello") -> str:
    return json.dumps({"type": "chat.send", "ref": ref, "to": to, "text": text})


def invite(to: str, ref: str) -> str:
    return json.dumps({"type": "call.invite", "ref": ref, "to": to, "media": ["audio"]})


async def call_between(caller: Wire, callee: Wire) -> str:
    """An active call; its id."""
    await caller.send(invite(callee.you, "call"))
    call_id = str((await callee.until("call.ring"))["call_id"])
    await callee.send(json.dumps({"type": "call.accept", "call_id": call_id}))
    await caller.until("call.accepted")
    await callee.until("call.accepted")
    return call_id


def since(wire: Wire, mark: int) -> list[dict[str, object]]:
    return [frame for frame in wire.frames[mark:] if frame.get("code") != "BAD_FRAME"]


async def test_nothing_opens_and_only_who_asked_is_told(
    tmp_path: Path, fault: Fault, opened: list[Recorded]
) -> None:
    async with (
        edge_bench(tmp_path) as bench,
        bench.insider("alice") as alice,
        bench.insider("bob") as bob,
        bench.insider("carol") as carol,
        bench.guest(alice) as guest,
        bench.guest(alice, admitted=False) as waiting,
    ):
        wires = (alice, bob, carol, guest, waiting)
        await bench.settled(*wires)
        secret = await bench.invitation(alice, redemptions=2)
        await bench.settled(*wires)
        marks = {wire: len(wire.received) for wire in wires}
        before = len(bench.records())
        opened.clear()
        with fault(bench):
            await alice.send(chat(bob.you, "r1"))
            assert await alice.until("error", ref="r1", code="AUDIT_UNAVAILABLE")
            await alice.send(invite(bob.you, "r2"))
            assert await alice.until("error", ref="r2", code="AUDIT_UNAVAILABLE")
            asked = {"guest_name": "Gustav Guest", "purpose": "A talk"}
            await alice.send(json.dumps({"type": "invitation.create", "ref": "r3", **asked}))
            assert await alice.until("error", ref="r3", code="AUDIT_UNAVAILABLE")
            signing_in = await bench.post_sign_in("carol", password_of("carol"))
            redeeming = await bench.redeem(secret)
            for answer in (signing_in, redeeming):
                assert (answer.status, answer.code, answer.cookies) == (503, "AUDIT_UNAVAILABLE", [])
            assert (await bench.http("GET", f"{bench.admin}/healthz")).status == 503
            await bench.settled(*wires)
            assert opened == []
            for wire in wires:
                news = since(wire, marks[wire])
                assert not {str(frame["type"]) for frame in news} & OPENS
                assert not [frame for frame in news if frame["type"] == "error"] or wire is alice
                # That the call is over is all that a callee may hear of one that never rang.
                assert {frame["type"] for frame in news} <= {"error", "call.ended"}
            assert len(bench.records()) == before
        await bench.recorded("record.resumed")
        assert (await bench.http("GET", f"{bench.admin}/healthz")).status == 200
        # Nothing was used up by what did not happen, and everything works again.
        assert (await bench.redeem(secret)).status == 200
        assert (await bench.redeem(secret)).status == 200
        await alice.send(chat(bob.you, "r1"))
        assert await bob.until("chat.message")
        assert await call_between(alice, bob)


async def test_the_record_says_when_it_was_away_and_that_nothing_is_missing(
    tmp_path: Path, fault: Fault
) -> None:
    async with (
        edge_bench(tmp_path) as bench,
        bench.insider("alice") as alice,
        bench.insider("bob") as bob,
    ):
        with fault(bench):
            await alice.send(chat(bob.you, "r1"))
            await alice.until("error", ref="r1")
            await bob.socket.close()
            await alice.until("presence.status", status="offline")
        (resumed,) = await bench.recorded("record.resumed")
        assert resumed["fields"]["entries_missed"] == 0
        kinds = [record["type"] for record in bench.records()]
        assert kinds[-3:] == ["record.unavailable", "connection.closed", "record.resumed"]


async def test_whoever_closes_during_the_outage_need_not_wait(tmp_path: Path, fault: Fault) -> None:
    async with (
        edge_bench(tmp_path) as bench,
        bench.insider("alice") as alice,
        bench.insider("bob") as bob,
        bench.insider("carol") as carol,
        bench.guest(alice) as guest,
    ):
        call_id = await call_between(alice, guest)
        await bench.settled(alice, guest)
        with fault(bench):
            await carol.send(chat(bob.you, "r1"))
            await carol.until("error", code="AUDIT_UNAVAILABLE")
            await alice.send(json.dumps({"type": "call.hang_up", "call_id": call_id}))
            assert (await guest.until("call.ended"))["reason"] == "hung_up"
            assert (await alice.until("call.ended"))["reason"] == "hung_up"
            await alice.send(json.dumps({"type": "lobby.refuse", "guest": guest.you}))
            assert await guest.closed() == 4401
            out = await bench.http(
                "POST", f"{bench.inside}/api/sign-out", headers={"Authorization": f"Bearer {bob.token}"}
            )
            assert out.status == 204
            assert await bob.closed() == 4401
        closed = await bench.recorded("call.closed")
        assert [record["fields"]["reason"] for record in closed] == ["hung_up"]
        assert len(await bench.recorded("visit.closed")) == len(await bench.recorded("auth.ended")) == 1


async def test_an_admitted_call_outlives_the_outage_only_as_long_as_it_is_granted(
    tmp_path: Path, fault: Fault
) -> None:
    async with (
        edge_bench(tmp_path) as bench,
        bench.insider("alice") as alice,
        bench.insider("bob") as bob,
    ):
        house = bench.edge.driver._house
        house.rules = replace(house.rules, outage_grace_seconds=0.5)  # type: ignore[arg-type]
        call_id = await call_between(alice, bob)
        await bench.settled(alice, bob)
        with fault(bench):
            await alice.send(chat(bob.you, "r1"))
            await alice.until("error", ref="r1")
            assert "call.ended" not in alice.types, "the grace has only begun"
            for party in (alice, bob):
                ended = await party.until("call.ended", call_id=call_id)
                assert ended["reason"] == "record_unavailable"
        (closed,) = await bench.recorded("call.closed")
        assert closed["fields"]["reason"] == "record_unavailable"


async def test_who_connects_during_the_outage_is_told_and_can_come_back(tmp_path: Path, fault: Fault) -> None:
    async with edge_bench(tmp_path) as bench, bench.insider("alice") as alice:
        tokens = [await bench.token_of("bob") for _ in range(2)]
        bob = await bench.party("bob")
        with fault(bench):
            await alice.send(chat(bob, "r1"))
            await alice.until("error", ref="r1")
            async with bench.wire(bench.inside, tokens[0], hello=False) as early:
                await early.hello()
                assert await early.closed() == 4503
                assert {frame["code"] for frame in early.frames} == {"AUDIT_UNAVAILABLE"}
        await bench.recorded("record.resumed")
        async with bench.wire(bench.inside, tokens[0]) as back:
            assert back.you == bob
        await alice.heard()
        assert not alice.socket.closed


async def test_a_database_that_may_not_grow_refuses_what_does_not_fit(tmp_path: Path) -> None:
    async with (
        edge_bench(tmp_path) as bench,
        bench.insider("alice") as alice,
        bench.insider("bob") as bob,
    ):
        with full_database(bench):
            await alice.send(chat(bob.you, "r1", "x" * 4000))
            assert await alice.until("error", ref="r1", code="AUDIT_UNAVAILABLE")
            await bench.settled(bob)
            assert "chat.message" not in bob.types
        await alice.send(chat(bob.you, "r2", "x" * 4000))
        await bob.until("chat.message")


@dataclass
class Ticking:
    """How late the event loop ever was."""

    largest_gap_seconds: float = 0.0


@asynccontextmanager
async def ticking() -> AsyncIterator[Ticking]:
    seen = Ticking()

    async def tick() -> None:
        last = time.perf_counter()
        while True:
            await asyncio.sleep(0.001)
            now = time.perf_counter()
            seen.largest_gap_seconds = max(seen.largest_gap_seconds, now - last)
            last = now

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(tick())
        yield seen
        task.cancel()


async def test_a_slow_disk_delays_what_opens_and_nothing_else(tmp_path: Path, opened: list[Recorded]) -> None:
    delay_seconds = 0.6
    async with (
        edge_bench(tmp_path) as bench,
        bench.insider("alice") as alice,
        bench.insider("bob") as bob,
        bench.insider("carol") as carol,
    ):
        call_id = await call_between(alice, bob)
        await bench.settled(alice, bob, carol)
        opened.clear()
        with held_commits(bench) as release:
            async with ticking() as seen:
                held_at = time.perf_counter()
                await carol.send(chat(bob.you, "r1"))
                await carol.heard()
                # Frames inside a grant, statuses and ends do not wait for the disk.
                await alice.send(json.dumps({"type": "call.hang_up", "call_id": call_id}))
                await alice.until("call.ended")
                await bob.until("call.ended")
                out = await bench.http(
                    "POST", f"{bench.inside}/api/sign-out", headers={"Authorization": f"Bearer {alice.token}"}
                )
                assert out.status == 204
                assert await alice.closed() == 4401
                assert await bob.until("presence.status", status="offline")
                closed_after = time.perf_counter() - held_at
                await asyncio.sleep(max(0.0, delay_seconds - closed_after))
                assert opened == []
                assert "chat.message" not in bob.types
                assert "chat.accepted" not in carol.types
                release.set()
                await carol.until("chat.accepted")
                await bob.until("chat.message")
        assert closed_after < delay_seconds
        assert seen.largest_gap_seconds < delay_seconds / 3
        assert bench.edge.driver.healthy
        assert bench.records("record.unavailable") == []


async def test_what_has_ended_while_its_record_was_awaited_never_opens(
    tmp_path: Path, opened: list[Recorded]
) -> None:
    async with (
        edge_bench(tmp_path) as bench,
        bench.insider("alice") as alice,
        bench.insider("bob") as bob,
    ):
        await bench.settled(alice, bob)
        opened.clear()
        with held_commits(bench) as release:
            await alice.send(invite(bob.you, "r1"))
            await alice.heard()
            call = next(iter(bench.edge.driver._house.calls))
            await alice.send(json.dumps({"type": "call.cancel", "call_id": call}))
            ended = await alice.until("call.ended")
            assert (ended["ref"], ended["reason"]) == ("r1", "cancelled")
            release.set()
            await bench.settled(alice, bob)
        assert opened == []
        assert not {"call.created", "call.ring"} & {*alice.types, *bob.types}
        assert len(await bench.recorded("call.closed")) == 1
