"""The administrators' command: run when something begins to need a person, and when it does not any more."""

from __future__ import annotations

import asyncio
import fcntl
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TextIO

import pytest
import structlog

from broker.core.commands import SoundAlarm
from broker.shell import alarm_hook
from broker.shell.alarm_hook import MAX_WAITING, AlarmHook
from tests.edge.bench_house import POLICY, with_house
from tests.edge.edge_bench import running_bench, until
from tests.edge.test_admin_listener import AUDITOR, OPERATOR, desk

RAISED = SoundAlarm("policy_refused", "raised", "The policy file cannot be used; the old policy goes on.")


def command(folder: Path, body: str) -> Path:
    """A program of the administrators'."""
    path = folder / "notify"
    path.write_text(f"#!{sys.executable}\nimport json, os, sys, time\nFOLDER = {str(folder)!r}\n{body}\n")
    path.chmod(0o700)
    return path


TELL = """
with open(os.path.join(FOLDER, "told"), "a") as file:
    said = {"arguments": sys.argv[1:], "input": sys.stdin.read(), "environment": sorted(os.environ)}
    file.write(json.dumps(said) + "\\n")
"""


def told(folder: Path) -> list[dict[str, object]]:
    path = folder / "told"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def is_free(held: TextIO) -> bool:
    """Whether every process that holds the lock has ended."""
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@asynccontextmanager
async def listening(program: Path | None) -> AsyncIterator[AlarmHook]:
    hook = AlarmHook(program)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(hook.run())
        yield hook
        task.cancel()


async def test_a_policy_file_that_cannot_be_used_calls_somebody_until_it_can(tmp_path: Path) -> None:
    house = with_house(tmp_path)
    program = command(tmp_path, TELL)
    # The bench's certificate is good for a week: that is an alarm of its own.
    alarms = house.settings.alarms.model_copy(update={"command": program, "certificate_days": 14})
    house = replace(house, settings=house.settings.model_copy(update={"alarms": alarms}))
    async with running_bench(house) as bench:
        auditor, operator = await desk(bench, AUDITOR), await desk(bench, OPERATOR)
        await until(lambda: len(told(tmp_path)) == 1)
        house.under_policy("nonsense")
        await until(lambda: len(told(tmp_path)) == 2)
        assert told(tmp_path)[1]["arguments"] == ["policy_refused", "raised"]
        assert told(tmp_path)[1]["input"] == "The policy file cannot be used; the old policy goes on.\n"
        for here in (auditor, operator):
            rows = (await here.get("/api/alarms")).json["alarms"]
            assert [row["alarm"] for row in rows] == ["policy_refused", "certificate_expiring"]
        assert b'turngate_alarm{alarm="policy_refused"} 1.0' in bench.edge.metrics.text()
        house.under_policy(POLICY.replace("revision = 1", "revision = 2"))
        await until(lambda: len(told(tmp_path)) == 3)
        assert told(tmp_path)[2]["arguments"] == ["policy_refused", "cleared"]
        assert b'turngate_alarm{alarm="policy_refused"} 0.0' in bench.edge.metrics.text()
        assert len(await bench.recorded("alarm.cleared")) == 1


async def test_the_command_is_told_nothing_of_what_the_edge_was_started_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TURNGATE_INVITATIONS__SECRET", "canary")
    async with listening(command(tmp_path, TELL)) as hook:
        hook.sound(RAISED)
        await until(lambda: len(told(tmp_path)) == 1)
    environment = told(tmp_path)[0]["environment"]
    assert isinstance(environment, list)
    assert set(environment) <= {"PATH", "LC_CTYPE", "PWD"}


async def test_a_command_that_hangs_is_ended_and_the_next_alarm_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alarm_hook, "COMMAND_SECONDS", 0.3)
    body = "if sys.argv[2] == 'raised':\n    time.sleep(60)\n" + TELL
    async with listening(command(tmp_path, body)) as hook:
        with structlog.testing.capture_logs() as logs:
            hook.sound(RAISED)
            hook.sound(SoundAlarm(RAISED.name, "cleared", RAISED.sentence))
            await until(lambda: len(told(tmp_path)) == 1)
    assert told(tmp_path)[0]["arguments"] == ["policy_refused", "cleared"]
    assert [log["event"] for log in logs if log["log_level"] == "error"] == ["alarm.untold"]


async def test_what_a_command_that_hangs_has_started_is_ended_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alarm_hook, "COMMAND_SECONDS", 2.0)
    body = """
import fcntl
held = open(os.path.join(FOLDER, "held"), "w")
fcntl.flock(held, fcntl.LOCK_EX)
os.fork()
time.sleep(60)
"""
    async with listening(command(tmp_path, body)) as hook:
        with structlog.testing.capture_logs() as logs:
            hook.sound(RAISED)
            await until(lambda: "alarm.untold" in [log["event"] for log in logs])
    with (tmp_path / "held").open() as held:
        await until(lambda: is_free(held))


@pytest.mark.parametrize("fault", ["missing", "fails", "not a program"])
async def test_a_command_that_cannot_do_it_is_logged_and_harms_nothing(tmp_path: Path, fault: str) -> None:
    program = command(tmp_path, "sys.exit(3)")
    if fault == "missing":
        program = tmp_path / "nothing"
    elif fault == "not a program":
        program.chmod(0o600)
    async with listening(program) as hook:
        with structlog.testing.capture_logs() as logs:
            hook.sound(RAISED)
            await until(lambda: any(log["event"] == "alarm.untold" for log in logs))


async def test_more_alarms_than_anybody_can_be_told_push_out_the_oldest(tmp_path: Path) -> None:
    hook = AlarmHook(command(tmp_path, TELL))
    with structlog.testing.capture_logs() as logs:
        for number in range(MAX_WAITING + 2):
            hook.sound(SoundAlarm(f"alarm_{number}", "raised", "A test."))
    untold = [log["alarm"] for log in logs if log["event"] == "alarm.untold"]
    assert untold == ["alarm_0", "alarm_1"]


async def test_without_a_command_the_log_alone_is_told() -> None:
    hook = AlarmHook(None)
    with structlog.testing.capture_logs() as logs:
        hook.sound(RAISED)
    assert [(log["event"], log["log_level"]) for log in logs] == [("alarm.raised", "critical")]
