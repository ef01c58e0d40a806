"""`turngate emergency` in a process of its own, against a real edge."""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from auth.passwords import hash_password
from broker.client.administration import OPERATOR, RECOVERY, StopNotLifted, lift_stop
from broker.shell import writer
from config.emergency import EmergencySettings
from tests.edge.bench_house import BenchHouse, password_of, with_house
from tests.edge.edge_bench import Bench, edge_bench, running_bench, until
from tests.edge.record_faults import failing_commits
from tests.edge.test_policy_reload import talking

ROOT = Path(__file__).parent.parent.parent
RECOVERY_PASSWORDS = {"safe-1": "canary-password-in-the-safe", "safe-2": "canary-password-in-the-bank"}


@dataclass
class Told:
    status: int
    out: str
    err: str


async def run(*arguments: str, given: str = "", limits: Callable[[], None] | None = None) -> Told:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "broker.cli.main", "emergency", *arguments,
        cwd=ROOT, preexec_fn=limits,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate(given.encode())
    assert process.returncode is not None
    return Told(process.returncode, out.decode(), err.decode())


async def here(bench: Bench, command: str, *arguments: str) -> Told:
    return await run(command, *arguments, "--data-directory", str(bench.house.settings.data_directory))


async def lift(bench: Bench, login: str, *arguments: str, scope: str = "all", password: str = "") -> Told:
    origin, port = bench.admin, bench.house.settings.admin.port
    settings = ("--set", f"admin.origin={origin}", "--set", f"admin.port={port}")
    who = ("--scope", scope, "--login", login, "--ca-file", str(bench.house.ca_file))
    return await run(
        "lift",
        *who,
        *arguments,
        *settings,
        given=f"{password or password_of(login)}\n{bench.new_code(login)}\n",
    )


def with_recovery_accounts(folder: Path) -> BenchHouse:
    house = with_house(folder)
    lines = (SecretStr(f"{name}:{hash_password(text)}") for name, text in RECOVERY_PASSWORDS.items())
    emergency = EmergencySettings(recovery_accounts=tuple(lines))
    return replace(house, settings=house.settings.model_copy(update={"emergency": emergency}))


# --- stopping and rehearsing --------------------------------------------------------------------------------


async def test_a_stop_ends_what_is_open_and_says_what_that_was(tmp_path: Path) -> None:
    async with (
        edge_bench(tmp_path) as bench,
        bench.insider("alice") as alice,
        bench.insider("bob") as bob,
        bench.guest(alice) as guest,
    ):
        await talking(alice, guest)
        told = await here(bench, "stop", "--reason", "leak")
        assert told.status == 0, told
        assert "STOPPED: all" in told.out
        assert "ended: calls 1, shares 0, connections 3, visits 1" in told.out
        for wire in (alice, bob, guest):
            await wire.until("error", code="EMERGENCY_STOP")
            await wire.closed()
        assert (await bench.recorded("emergency.stopped"))[0]["fields"]["how"] == "latch"

        again = await here(bench, "stop")
        assert again.status == 0
        assert "was latched already" in again.out
        status = await here(bench, "status", "--json")
        assert status.status == 3
        (stop,) = json.loads(status.out)["status"]["stops"]
        assert (stop["scope"], stop["reason"]) == ("all", "leak")


async def test_a_stop_of_one_person_leaves_the_others(tmp_path: Path) -> None:
    async with (
        edge_bench(tmp_path) as bench,
        bench.insider("alice") as alice,
        bench.insider("bob") as bob,
    ):
        told = await here(bench, "stop", "--scope", "user:alice")
        assert told.status == 0, told
        assert "connections 1" in told.out
        await alice.closed()
        await bob.heard()


async def test_a_zone_that_only_the_edge_can_know_to_be_none_is_no_success(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench:
        told = await here(bench, "stop", "--scope", "zone:nowhere")
        assert told.status == 1
        assert "NO SUCH ZONE" in told.err


async def test_a_stop_needs_no_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "RETRY_SECONDS", 0.05)
    async with edge_bench(tmp_path) as bench, bench.insider("alice") as alice:
        with failing_commits(bench):
            told = await here(bench, "stop")
            assert told.status == 0, told
            assert "connections 1" in told.out
            await alice.closed()
            assert bench.records("emergency.stopped") == []
        assert len(await bench.recorded("emergency.stopped")) == 1


async def test_a_stop_needs_no_room_on_the_disk_for_its_note(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench, bench.insider("alice") as alice:
        data = str(bench.house.settings.data_directory)
        no_room = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # noqa: E731
        told = await run("stop", "--reason", "leak", "--data-directory", data, limits=no_room)
        assert told.status == 0, told
        await alice.closed()


async def test_a_stop_without_an_edge_holds_from_the_next_start(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench:
        house = bench.house
    told = await here(bench, "stop")
    assert (told.status, "no edge runs" in told.out) == (0, True)
    async with running_bench(house) as bench:
        refused = await bench.post_sign_in("alice", password_of("alice"))
        assert refused.code == "EMERGENCY_STOP"
        assert "STOPPED: all" in (await here(bench, "status")).out


async def test_a_drill_says_what_would_end_and_ends_nothing(tmp_path: Path) -> None:
    async with (
        edge_bench(tmp_path) as bench,
        bench.insider("alice") as alice,
        bench.insider("bob") as bob,
    ):
        call_id = await talking(alice, bob)
        for scope, counts in (("all", "calls 1, shares 0, connections 2"), ("user:carol", "calls 0")):
            told = await here(bench, "drill", "--scope", scope)
            assert told.status == 0, told
            assert f"a stop of {scope} would end: {counts}" in told.out
        await bench.settled(alice, bob)
        assert "call.ended" not in alice.types + bob.types
        assert call_id in {one.id for one in bench.edge.driver.live_sessions()[0]}
        drilled = [record["fields"]["scope"] for record in await bench.recorded("emergency.drilled", 2)]
        assert drilled == ["all", "user"]  # whom is personal
        status = await here(bench, "status")
        assert (status.status, "nothing is stopped" in status.out) == (0, True)
        assert "last drill: user:carol" in status.out


# --- lifting ------------------------------------------------------------------------------------------------


async def test_two_administrators_lift_a_stop_and_one_does_not(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench:
        assert (await here(bench, "stop")).status == 0
        asked = await lift(bench, "carol")
        assert asked.status == 0, asked
        assert "another administrator has to approve until" in asked.out
        same = await lift(bench, "carol", "--role", "policy_administrator")
        assert (same.status, "SECOND_PERSON" in same.err) == (1, True), same
        assert (await here(bench, "status")).status == 3

        approved = await lift(bench, "bob", "--role", "policy_administrator")
        assert (approved.status, approved.out) == (0, "lifted: all\n"), approved
        assert (await bench.post_sign_in("alice", password_of("alice"))).status == 200
        await until(lambda: not bench.edge.driver.stops)
        assert (await here(bench, "status")).status == 0
        (record,) = await bench.recorded("emergency.lifted")
        assert record["fields"]["requested_by"] == await bench.party("carol")
        signed_out = {record["fields"]["reason"] for record in await bench.recorded("admin.signed_out", 3)}
        assert signed_out == {"signed_out"}


async def test_a_lift_is_refused_to_who_is_nobody_here_and_of_what_is_not_stopped(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench:
        tls = bench.house.ca_file
        with pytest.raises(StopNotLifted, match="NOT_STOPPED"):
            await lift_stop(bench.admin, bench.credentials("carol"), OPERATOR, "all", tls)
        assert (await here(bench, "stop")).status == 0
        for login, password, role in (
            ("carol", "wrong", OPERATOR),
            ("alice", password_of("alice"), OPERATOR),
            ("bob", password_of("bob"), "auditor"),
            ("carol", password_of("carol"), RECOVERY),
        ):
            with pytest.raises(StopNotLifted):
                await lift_stop(bench.admin, bench.credentials(login, password), role, "all", tls)
        refused = await lift(bench, "carol", password="wrong")
        assert (refused.status, refused.out, "SIGN_IN_REFUSED" in refused.err) == (1, "", True)


async def test_an_administrator_and_a_recovery_account_lift_a_stop(tmp_path: Path) -> None:
    async with running_bench(with_recovery_accounts(tmp_path)) as bench:
        assert (await here(bench, "stop")).status == 0
        secret = RECOVERY_PASSWORDS["safe-1"]
        asked = await lift(bench, "safe-1", "--recovery", password=secret)
        assert (asked.status, "asked: all" in asked.out) == (0, True), asked
        same = await lift(bench, "safe-1", "--recovery", password=secret)
        assert (same.status, "SECOND_PERSON" in same.err) == (1, True), same
        approved = await lift(bench, "carol")
        assert (approved.status, approved.out) == (0, "lifted: all\n"), approved


async def test_a_lift_that_the_disk_does_not_take_is_not_told_as_one_that_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with edge_bench(tmp_path) as bench:
        assert (await here(bench, "stop")).status == 0
        assert (await lift(bench, "carol")).status == 0
        monkeypatch.setattr(bench.edge.effects.latches, "remove", lambda scope: False)
        failed = await lift(bench, "bob", "--role", "policy_administrator")
        assert failed.status == 1
        assert "could not remove the latch" in failed.err
        assert (await here(bench, "status")).status == 3
