"""The second factor at the admin listener with a real edge: guessed, repeated, missing, made on the host."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pyotp
import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from auth.second_factor import parse_account
from broker.cli.main import app
from broker.client.http import read_notice
from broker.core.clock import Now
from broker.core.events import Stopping
from tests.edge.bench_house import BenchHouse, password_of, with_house
from tests.edge.bench_wire import Answer
from tests.edge.edge_bench import edge_bench, running_bench
from tests.edge.record_faults import failing_commits

GUESSES = 10_000
AT_ONCE = 50
LONG_ENOUGH_SECONDS = 3600


def error_of(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.code


def enrolling(house: BenchHouse, *lines: str) -> BenchHouse:
    admin = house.settings.admin.model_copy(update={"second_factors": tuple(map(SecretStr, lines))})
    return replace(house, settings=house.settings.model_copy(update={"admin": admin}))


@pytest.mark.parametrize("guessed", ["code", "password"])
async def test_ten_thousand_guesses_are_as_good_as_a_few(tmp_path: Path, guessed: str) -> None:
    async with edge_bench(tmp_path) as bench:
        right = {"password": password_of("carol"), "code": bench.new_code("carol")}
        statuses: list[int] = []

        async def guess(numbers: range) -> None:
            for number in numbers:
                wrong = {guessed: f"{number:06}"} if f"{number:06}" != right["code"] else {guessed: "1"}
                answer = await bench.post_admin_sign_in("carol", "operator", **(right | wrong))
                statuses.append(answer.status)

        async with asyncio.TaskGroup() as tasks:
            for first in range(AT_ONCE):
                tasks.create_task(guess(range(first, GUESSES, AT_ONCE)))
        allowed = bench.house.settings.sign_in.max_failures_per_login
        assert len(statuses) == GUESSES
        assert sorted(statuses) == [401] * allowed + [429] * (GUESSES - allowed)
        assert bench.records("admin.signed_in") == []
        locked = await bench.post_admin_sign_in("carol", "operator", code=bench.new_code("carol"))
        assert error_of(locked) == (429, "SIGN_IN_THROTTLED")
        assert (await bench.post_admin_sign_in("bob", "auditor")).status == 200

        code, now = bench.new_code("carol"), bench.edge.clock()
        bench.edge.clock = lambda: Now(now.wall_ms, now.monotonic_seconds + LONG_ENOUGH_SECONDS)
        assert (await bench.post_admin_sign_in("carol", "operator", code=code)).status == 200


async def test_nobody_learns_whether_it_was_the_password_or_the_code(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench:
        answers = [
            await bench.post_admin_sign_in("carol", "operator", code="000000"),
            await bench.post_admin_sign_in("carol", "operator", code=""),
            await bench.post_admin_sign_in("carol", "operator", "wrong"),
            await bench.post_admin_sign_in("bob", "auditor", "wrong", code="000000"),
            await bench.post_admin_sign_in("carol", "operator", code=bench.new_code("bob")),
            await bench.post_admin_sign_in("nobody", "operator", "wrong"),
        ]
        assert {str(answer.steady) for answer in answers} == {str(answers[0].steady)}
        assert error_of(answers[0]) == (401, "SIGN_IN_REFUSED")
        assert all(answer.cookies == [] for answer in answers)


async def test_a_code_that_was_used_is_refused_in_a_race_and_after_a_restart(tmp_path: Path) -> None:
    house = with_house(tmp_path)
    async with running_bench(house) as bench:
        code = bench.new_code("carol")
        racing = (bench.post_admin_sign_in("carol", "operator", code=code) for _ in range(3))
        answers = await asyncio.gather(*racing)
        assert sorted(answer.status for answer in answers) == [200, 401, 401]
        wrong = await bench.post_admin_sign_in("bob", "operator", "wrong")
        assert all(answer.steady == wrong.steady for answer in answers if answer.status == 401)
    async with running_bench(house) as bench:
        again = await bench.post_admin_sign_in("carol", "operator", code=code)
        assert error_of(again) == (401, "SIGN_IN_REFUSED")
        assert (await bench.post_admin_sign_in("carol", "operator")).status == 200


async def test_a_code_is_used_up_by_a_sign_in_that_could_not_be_put_on_record(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench:
        code = bench.new_code("carol")
        with failing_commits(bench):
            failed = await bench.post_admin_sign_in("carol", "operator", code=code)
            assert error_of(failed) == (503, "AUDIT_UNAVAILABLE")
            assert failed.cookies == []
        assert (await bench.post_admin_sign_in("carol", "operator", code=code)).status == 401


async def test_who_is_not_enrolled_does_not_sign_in_and_the_record_says_why_to_us_alone(
    tmp_path: Path,
) -> None:
    line = "bob:JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
    async with running_bench(enrolling(with_house(tmp_path), line)) as bench:
        refused = await bench.post_admin_sign_in("carol", "operator")
        wrong = await bench.post_admin_sign_in("carol", "operator", "wrong")
        assert refused.steady == wrong.steady
        assert error_of(refused) == (401, "SIGN_IN_REFUSED")
        bench.edge.driver.submit(Stopping())
        codes = {record["fields"]["code"] for record in await bench.recorded("auth.refused", 2)}
        assert codes == {"not_enrolled", "wrong"}


async def test_another_page_signs_nobody_in_and_uses_no_code_up(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench:
        body = {
            "login": "carol",
            "password": password_of("carol"),
            "code": bench.new_code("carol"),
            "role": "operator",
            "notice_acknowledged": True,
        }
        url = f"{bench.admin}/api/sign-in"
        for origin in (bench.inside, bench.outside, "https://evil.example", "null"):
            refused = await bench.http("POST", url, body, headers={"Origin": origin})
            assert error_of(refused) == (403, "ORIGIN_REFUSED")
            assert refused.cookies == []
        for other in (bench.inside, bench.outside):
            assert (await bench.http("POST", f"{other}/api/sign-in", body)).status in (400, 404)
        own = await bench.http("POST", url, body, headers={"Origin": bench.admin})
        assert own.status == 200
        name, _, token = own.cookies[0].split(";")[0].partition("=")
        for origin, cookies in (
            (bench.inside, [name, "__Host-tg-inside"]),
            (bench.outside, [name, "__Host-tg-guest"]),
        ):
            for cookie in cookies:
                answer = await bench.http("GET", f"{origin}/ws", headers={"Cookie": f"{cookie}={token}"})
                assert answer.status == 401
        inside = await bench.token_of("carol")
        for cookie in (name, "__Host-tg-inside"):
            headers = {"Cookie": f"{cookie}={inside}"}
            answer = await bench.http("GET", f"{bench.admin}/api/sessions", headers=headers)
            assert error_of(answer) == (401, "NOT_SIGNED_IN")


async def test_what_the_command_line_enrols_signs_in(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["admin", "enrol", "carol"])
    assert result.exit_code == 0
    line = result.stdout.strip()
    uri = next(text for text in result.stderr.splitlines() if text.startswith("otpauth://"))
    made = pyotp.parse_uri(uri)
    assert isinstance(made, pyotp.TOTP)
    assert parse_account(line)[1].secret == made.secret
    async with running_bench(enrolling(with_house(tmp_path), line)) as bench:
        code = made.at(bench.edge.clock().wall_seconds)
        assert (await bench.post_admin_sign_in("carol", "operator", code=code)).status == 200


@pytest.mark.parametrize("login", ["", " ", "x" * 257, "a\x1b[2Jb", "a\nb"])
def test_nobody_is_enrolled_under_a_login_that_the_settings_would_not_take(login: str) -> None:
    result = CliRunner().invoke(app, ["admin", "enrol", login])
    assert (result.exit_code, result.stdout) == (2, "")


async def test_the_notice_can_be_read_before_signing_in(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench:
        for origin in (bench.admin, bench.inside):
            notice = await read_notice(origin, bench.house.ca_file)
            assert notice == bench.house.settings.sign_in.notice_text
