"""The break-glass account with a real edge: for when the directory is gone, on record, and an alarm."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from auth.directory import DirectoryUnavailable
from auth.passwords import hash_password
from auth.second_factor import account_line
from broker.client.administration import BREAK_GLASS
from tests.edge.bench_house import NO_CHAT, POLICY, SECOND_FACTORS, BenchHouse, password_of, with_house
from tests.edge.edge_bench import Bench, running_bench, until
from tests.edge.test_admin_listener import Desk
from tests.edge.test_emergency_cli import here, lift
from tests.edge.test_policy_reload import revision

NAME = "safe"


def with_glass(folder: Path, *, second_factor: bool = False) -> BenchHouse:
    house = with_house(folder)
    more: dict[str, object] = {"break_glass_account": SecretStr(f"{NAME}:{hash_password(password_of(NAME))}")}
    if second_factor:
        more["second_factors"] = (SecretStr(account_line(NAME, SECOND_FACTORS["carol"])),)
    admin = house.settings.admin.model_copy(update=more)
    return replace(house, settings=house.settings.model_copy(update={"admin": admin}))


async def breaks_it(bench: Bench) -> Desk:
    answer = await bench.post_admin_sign_in(NAME, BREAK_GLASS, bearer=True)
    assert answer.status == 200, answer
    return Desk(bench, answer.json["token"])


async def test_it_signs_in_without_a_directory_does_the_work_of_two_roles_and_raises_the_alarm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_bench(with_glass(tmp_path)) as bench, bench.insider("alice") as alice:

        async def gone(*_: str) -> None:
            raise DirectoryUnavailable("gone")

        for method in ("get", "find", "check"):
            monkeypatch.setattr(bench.edge.directory, method, gone)
        assert (await bench.post_admin_sign_in("carol", "operator")).status == 503
        desk = await breaks_it(bench)
        assert (await desk.get("/api/me")).json["role"] == BREAK_GLASS
        await until(lambda: bench.edge.driver.alarm_holds("break_glass_used"))
        (alarm,) = (await desk.get("/api/alarms")).json["alarms"]
        assert (alarm["alarm"], alarm["detail"]) == ("break_glass_used", "still signed in")
        rows = (await desk.get("/api/sessions")).json["sessions"]
        assert (await desk.post("/api/sessions/end", {"session_id": rows[0]["id"]})).status == 200
        assert await alice.closed() == 4403
        stricter = revision(2, POLICY + NO_CHAT)
        assert (await desk.post("/api/policy/apply", {"text": stricter})).json["revision"] == 2
        assert (await desk.post("/api/emergency/stop", {"scope": "modality:screen"})).status == 200
        (signed_in,) = bench.records("admin.signed_in")
        told = signed_in["fields"]
        assert (told["user"], told["role"], told["method"]) == ("b-safe", "break_glass", "password")
        raised = {one["fields"]["alarm"]: one["seq"] for one in await bench.recorded("alarm.raised", 2)}
        assert raised["break_glass_used"] > signed_in["seq"]
        assert (await desk.post("/api/sign-out", {})).status == 204
        assert bench.edge.driver.alarm_holds("break_glass_used")


async def test_its_password_is_guessed_no_better_than_any_and_opens_no_other_door(tmp_path: Path) -> None:
    async with running_bench(with_glass(tmp_path)) as bench:
        answers = [
            await bench.post_admin_sign_in(NAME, BREAK_GLASS, "wrong"),
            await bench.post_admin_sign_in("nobody", BREAK_GLASS, "wrong"),
            await bench.post_admin_sign_in("carol", BREAK_GLASS),
            await bench.post_admin_sign_in(NAME, "recovery"),
            await bench.post_admin_sign_in(NAME, "operator"),
        ]
        assert {str(answer.steady) for answer in answers} == {str(answers[0].steady)}
        assert answers[0].status == 401
        assert (await bench.post_sign_in(NAME, password_of(NAME))).status == 401
        assert not bench.edge.driver.alarm_holds("break_glass_used")
        statuses = [(await bench.post_admin_sign_in(NAME, BREAK_GLASS, "wrong")).status for _ in range(6)]
        assert statuses[-2:] == [429, 429]
        assert (await bench.post_admin_sign_in(NAME, BREAK_GLASS)).status == 429


async def test_it_is_one_of_the_two_who_lift_a_stop_from_the_command_line(tmp_path: Path) -> None:
    async with running_bench(with_glass(tmp_path)) as bench:
        assert (await here(bench, "stop")).status == 0
        asked = await lift(bench, "carol")
        assert (asked.status, "asked: all" in asked.out) == (0, True), asked
        assert bench.house.settings.sign_in.notice_text in asked.err
        approved = await lift(bench, NAME, "--role", "break_glass")
        assert (approved.status, approved.out) == (0, "lifted: all\n"), approved


async def test_where_a_second_factor_is_enrolled_for_it_its_code_is_needed(tmp_path: Path) -> None:
    async with running_bench(with_glass(tmp_path, second_factor=True)) as bench:
        assert (await bench.post_admin_sign_in(NAME, BREAK_GLASS, code="")).status == 401
        code = bench.new_code("carol")
        assert (await bench.post_admin_sign_in(NAME, BREAK_GLASS, code=code)).status == 200
        assert (await bench.post_admin_sign_in(NAME, BREAK_GLASS, code=code)).status == 401


async def test_a_house_without_the_account_has_none(tmp_path: Path) -> None:
    async with running_bench(with_house(tmp_path)) as bench:
        for login in (NAME, "carol", ""):
            assert (await bench.post_admin_sign_in(login, BREAK_GLASS)).status in (400, 401)
