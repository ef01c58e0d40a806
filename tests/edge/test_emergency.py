"""The red button with a real edge: by console and by file, without directory or database, across restarts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from auth.directory import DirectoryUnavailable
from auth.passwords import hash_password
from broker.core.answers import RETURN_AFTER_SECONDS, RETURN_SPREAD_SECONDS
from broker.core.client_frames import CallAccept, CallInvite, ChatSend
from broker.policy.stop import parse_scope
from broker.shell.latches import Latches, latch_name
from tests.edge.bench_house import BenchHouse, password_of, with_house
from tests.edge.bench_wire import Wire
from tests.edge.edge_bench import Bench, edge_bench, running_bench, until
from tests.edge.record_faults import failing_commits, full_disk
from tests.edge.test_admin_listener import OPERATOR, POLICY_ADMINISTRATOR, Desk, desk

SERVICE_UNAVAILABLE = 503
STOPPED = "EMERGENCY_STOP"


def folder_of(house: BenchHouse) -> Path:
    return house.settings.data_directory / "emergency"


@asynccontextmanager
async def two_talking(bench: Bench) -> AsyncIterator[tuple[Wire, Wire, str]]:
    """Alice and her guest in a call."""
    async with bench.insider("alice") as host, bench.guest(host) as guest:
        await host.send(CallInvite(ref="c", to=guest.you, media=["audio"]))
        call_id = str((await host.until("call.created"))["call_id"])
        await guest.until("call.ring")
        await guest.send(CallAccept(call_id=call_id))
        await host.until("call.accepted")
        await guest.until("call.accepted")
        yield host, guest, call_id


async def assert_cut_off(*wires: Wire) -> None:
    """Each was told why its call ended and when to come back, and is disconnected."""
    for wire in wires:
        ended = await wire.until("call.ended")
        assert (ended["reason"], ended["code"]) == ("emergency_stop", STOPPED)
        told = await wire.until("error", code=STOPPED)
        least, most = RETURN_AFTER_SECONDS, RETURN_AFTER_SECONDS + RETURN_SPREAD_SECONDS
        assert least <= told["return_after_seconds"] < most
        assert await wire.closed() == 4000 + SERVICE_UNAVAILABLE


async def stop(here: Desk, scope: str = "all") -> dict[str, Any]:
    answer = await here.post("/api/emergency/stop", {"scope": scope, "reason": "a test"})
    assert answer.status == 200, answer
    found: dict[str, Any] = answer.json
    return found


async def lift_by_two(one: Desk, other: Desk, scope: str = "all") -> None:
    assert (await one.post("/api/emergency/lift", {"scope": scope})).json["stops"]
    assert not (await other.post("/api/emergency/lift", {"scope": scope})).json["stops"]


async def assert_nothing_opens(bench: Bench) -> None:
    refused = await bench.post_sign_in("bob", password_of("bob"))
    assert (refused.status, refused.code) == (SERVICE_UNAVAILABLE, STOPPED)
    (seconds,) = [value for name, value in refused.headers if name == "Retry-After"]
    assert int(seconds) == refused.json["return_after_seconds"]


async def test_the_console_stops_everything_and_two_administrators_lift_it(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench:
        operator, other = await desk(bench, OPERATOR), await desk(bench, POLICY_ADMINISTRATOR)
        async with two_talking(bench) as (host, guest, call_id):
            told = await stop(operator)
            assert bench.edge.media.counted(call_id) is None
            await assert_cut_off(host, guest)
            old_token = host.token
        (stopped,) = told["stops"]
        assert stopped["ended"] == {"calls": 1, "shares": 0, "connections": 2, "visits": 1}
        await assert_nothing_opens(bench)
        same = await operator.post("/api/emergency/lift", {"scope": "all"})
        assert same.json["stops"][0]["lift"]["login"] == "carol"
        again = await operator.post("/api/emergency/lift", {"scope": "all"})
        assert (again.status, again.code) == (409, "SECOND_PERSON")
        lifted = await other.post("/api/emergency/lift", {"scope": "all"})
        assert lifted.json["stops"] == []
        assert list(folder_of(bench.house).glob("stop*")) == []
        # What was signed in before the stop is not signed in after it.
        answer = await bench.http(
            "GET", f"{bench.inside}/api/me", headers={"Authorization": f"Bearer {old_token}"}
        )
        assert answer.json["signed_in"] is False
        async with bench.insider("alice") as alice, bench.insider("bob") as bob:
            await alice.send(ChatSend(ref="1", to=bob.you, text="again"))
            await bob.until("chat.message", text="again")
        types = [r["type"] for r in bench.records() if r["type"].startswith("emergency.")]
        assert types == [
            "emergency.stopped",
            "emergency.requested",
            "emergency.effective",
            "emergency.lift_requested",
            "emergency.lift_refused",
            "emergency.lifted",
        ]


@pytest.mark.parametrize("name", ["stop", "stop-all", "STOP", "stop.txt", "stop-nonsense"])
async def test_touching_a_file_stops_everything(tmp_path: Path, name: str) -> None:
    async with edge_bench(tmp_path) as bench, two_talking(bench) as (host, guest, _):
        (folder_of(bench.house) / name).touch()
        await assert_cut_off(host, guest)
        await until(lambda: json.loads((folder_of(bench.house) / "status.json").read_text())["stops"] != [])
        (record,) = await bench.recorded("emergency.stopped")
        assert (record["fields"]["scope"], record["fields"]["how"]) == ("all", "latch")


async def test_a_file_stops_one_modality_and_leaves_the_rest(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench, two_talking(bench) as (host, guest, _):
        (folder_of(bench.house) / latch_name(parse_scope("modality:call"))).touch()
        assert (await host.until("call.ended"))["reason"] == "emergency_stop"
        await host.send(ChatSend(ref="1", to=guest.you, text="still here"))
        await guest.until("chat.message", text="still here")
        await host.send(CallInvite(ref="c2", to=guest.you, media=["audio"]))
        assert (await host.until("error", ref="c2"))["code"] == STOPPED


async def test_a_stop_needs_no_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with edge_bench(tmp_path) as bench, two_talking(bench) as (host, guest, _):
        operator = await desk(bench, OPERATOR)

        async def gone(_: str) -> None:
            raise DirectoryUnavailable("gone")

        monkeypatch.setattr(bench.edge.directory, "get", gone)
        assert (await operator.get("/api/emergency")).status == SERVICE_UNAVAILABLE
        await stop(operator)
        await assert_cut_off(host, guest)
        assert (await operator.post("/api/emergency/lift", {"scope": "all"})).status == SERVICE_UNAVAILABLE


@pytest.mark.parametrize("by", ["console", "file"])
@pytest.mark.parametrize("fault", [failing_commits, full_disk])
async def test_a_stop_needs_no_database(tmp_path: Path, fault: Any, by: str) -> None:
    async with edge_bench(tmp_path) as bench, two_talking(bench) as (host, guest, call_id):
        operator, other = await desk(bench, OPERATOR), await desk(bench, POLICY_ADMINISTRATOR)
        for here in (operator, other):
            await here.get("/api/emergency")
        with fault(bench):
            if by == "console":
                await stop(operator)
            else:
                (folder_of(bench.house) / "stop").touch()
            await assert_cut_off(host, guest)
            assert bench.edge.media.counted(call_id) is None
            assert len(list(folder_of(bench.house).glob("stop*"))) == 1
            # A lift is an opening: it is not possible before the record is.
            refused = await operator.post("/api/emergency/lift", {"scope": "all"})
            assert (refused.status, refused.code) == (SERVICE_UNAVAILABLE, "AUDIT_UNAVAILABLE")
        await until(lambda: bench.edge.driver.healthy)
        await bench.recorded("emergency.effective")
        (closed,) = await bench.recorded("call.closed")
        assert closed["fields"]["reason"] == "emergency_stop"
        await lift_by_two(operator, other)
        async with bench.insider("alice"):
            pass


async def test_a_stop_survives_a_restart_and_so_does_what_the_record_knows_of_it(tmp_path: Path) -> None:
    house = with_house(tmp_path)
    async with running_bench(house) as bench:
        token = await bench.token_of("alice")
        await stop(await desk(bench, OPERATOR))
    async with running_bench(house) as bench:
        await assert_nothing_opens(bench)
        assert bench.records("emergency.latch_missing") == []
    for path in folder_of(house).glob("stop*"):
        path.unlink()
    async with running_bench(house) as bench:
        await assert_nothing_opens(bench)
        assert len(await bench.recorded("emergency.latch_missing")) == 1
        await until(lambda: len(list(folder_of(house).glob("stop*"))) == 1)
        assert b"turngate_emergency_latches_missed 1.0" in bench.edge.metrics.text()
        await lift_by_two(await desk(bench, OPERATOR), await desk(bench, POLICY_ADMINISTRATOR))
    async with running_bench(house) as bench:
        assert bench.edge.driver.stops == {}
        answer = await bench.http(
            "GET", f"{bench.inside}/api/me", headers={"Authorization": f"Bearer {token}"}
        )
        assert answer.json["signed_in"] is False


async def test_a_latch_put_there_while_no_edge_runs_holds_from_the_first_moment(tmp_path: Path) -> None:
    house = with_house(tmp_path)
    async with running_bench(house) as bench:
        token = await bench.token_of("alice")
    (folder_of(house) / "stop").touch()
    async with running_bench(house) as bench:
        await assert_nothing_opens(bench)
        answer = await bench.http(
            "GET", f"{bench.inside}/api/me", headers={"Authorization": f"Bearer {token}"}
        )
        assert answer.json["signed_in"] is False
        assert len(await bench.recorded("emergency.stopped")) == 1


async def test_a_latch_removed_by_hand_comes_back_and_is_on_record(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench:
        await stop(await desk(bench, OPERATOR))
        for path in folder_of(bench.house).glob("stop*"):
            path.unlink()
        await bench.recorded("emergency.latch_missing")
        await until(lambda: len(list(folder_of(bench.house).glob("stop*"))) == 1)
        await assert_nothing_opens(bench)


async def test_a_lift_whose_file_stayed_is_no_lift_even_if_the_file_is_gone_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = with_house(tmp_path)
    async with running_bench(house) as bench:
        operator, other = await desk(bench, OPERATOR), await desk(bench, POLICY_ADMINISTRATOR)
        await stop(operator)
        monkeypatch.setattr(Latches, "remove", lambda *_: False)
        await operator.post("/api/emergency/lift", {"scope": "all"})
        assert (await other.post("/api/emergency/lift", {"scope": "all"})).json["stops"]
        await bench.recorded("emergency.lift_failed")
        await assert_nothing_opens(bench)
        monkeypatch.undo()
    for path in folder_of(house).glob("stop*"):
        path.unlink()
    async with running_bench(house) as bench:
        await assert_nothing_opens(bench)
        await lift_by_two(await desk(bench, OPERATOR), await desk(bench, POLICY_ADMINISTRATOR))


async def test_recovery_accounts_lift_a_stop_when_the_directory_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = with_house(tmp_path)
    names = ("safe-one", "safe-two")
    accounts = tuple(SecretStr(f"{name}:{hash_password(password_of(name))}") for name in names)
    emergency = house.settings.emergency.model_copy(update={"recovery_accounts": accounts})
    house = replace(house, settings=house.settings.model_copy(update={"emergency": emergency}))
    async with running_bench(house) as bench:

        async def gone(*_: str) -> None:
            raise DirectoryUnavailable("gone")

        for method in ("get", "find", "check"):
            monkeypatch.setattr(bench.edge.directory, method, gone)
        (folder_of(house) / "stop").touch()
        await until(lambda: bool(bench.edge.driver.stops))
        desks = []
        for name in names:
            answer = await bench.post_admin_sign_in(name, "recovery", bearer=True)
            assert answer.status == 200, answer
            desks.append(Desk(bench, answer.json["token"]))
        assert (await desks[0].get("/api/sessions")).status == 403
        assert (await desks[0].get("/api/emergency")).json["stops"][0]["scope"] == "all"
        await lift_by_two(desks[0], desks[1])
        answers = [await bench.post_admin_sign_in(name, "recovery", "wrong") for name in (names[0], "nobody")]
        assert answers[0].steady == answers[1].steady
        assert answers[0].status == 401
        (lifted,) = await bench.recorded("emergency.lifted")
        assert (lifted["fields"]["requested_by"], lifted["fields"]["user"]) == ("r-safe-one", "r-safe-two")


async def test_somebody_of_the_directory_is_no_recovery_account(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench:
        assert (await bench.post_admin_sign_in("carol", "recovery")).status == 401


@pytest.mark.parametrize("scope", ["zone:nowhere", "peer:nobody", "modality:fax", "nonsense", "user:\x1b[2J"])
async def test_a_scope_that_would_stop_nothing_is_refused(tmp_path: Path, scope: str) -> None:
    async with edge_bench(tmp_path) as bench:
        operator = await desk(bench, OPERATOR)
        for verb in ("stop", "drill"):
            answer = await operator.post(f"/api/emergency/{verb}", {"scope": scope})
            assert (answer.status, answer.code) == (422, "SCOPE_INVALID")
        assert bench.edge.driver.stops == {}


async def test_a_drill_by_file_or_console_ends_nothing(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench, two_talking(bench) as (host, guest, _):
        operator = await desk(bench, OPERATOR)
        told = (await operator.post("/api/emergency/drill", {"scope": "all"})).json["drill"]
        assert told["would_end"] == {"calls": 1, "shares": 0, "connections": 2, "visits": 1}
        (folder_of(bench.house) / "drill-all").touch()
        await bench.recorded("emergency.drilled", 2)
        assert not (folder_of(bench.house) / "drill-all").exists()
        await bench.settled(host, guest)
        assert "call.ended" not in host.types
        assert bench.edge.driver.stops == {}


async def test_a_client_that_does_not_obey_is_only_refused(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench:
        tokens = [await bench.token_of(login) for login in ("alice", "bob")]
        await stop(await desk(bench, OPERATOR), "modality:chat")
        await stop(await desk(bench, OPERATOR))
        await bench.recorded("emergency.effective", 2)
        await bench.recorded("alarm.raised")
        before = len(bench.records())
        for _ in range(20):
            for token in tokens:
                answer = await bench.http(
                    "GET", f"{bench.inside}/ws", headers={"Authorization": f"Bearer {token}"}
                )
                assert answer.status == 401
        assert len(bench.records()) == before, "knocking again leaves no trace of its own"


async def test_a_stop_during_sign_ins_lets_none_of_them_in(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench:
        operator = await desk(bench, OPERATOR)
        async with asyncio.TaskGroup() as tasks:
            asked = [
                tasks.create_task(bench.post_sign_in(login, password_of(login), bearer=True))
                for login in ("alice", "bob", "carol")
            ]
            await stop(operator)
        for answer in (task.result() for task in asked):
            if answer.status == 200:  # it was there first
                token = answer.json["token"]
                me = await bench.http(
                    "GET", f"{bench.inside}/api/me", headers={"Authorization": f"Bearer {token}"}
                )
                assert me.json["signed_in"] is False
            else:
                assert answer.code == STOPPED
