"""`turngate emergency`: what somebody types at 3 a.m., with and without an edge on the data directory."""

from __future__ import annotations

import json
import os
import resource
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner, Result

from auth.local_accounts import LocalAccounts
from broker.cli import emergency_files
from broker.cli.main import app
from broker.shell.data_lock import data_lock
from config.emergency import EmergencySettings

HOSTILE = "\x1b[2J\u202eEve\nnothing is stopped"
POLICY = """revision = 1
[[zones]]
id = "finance"
networks = ["10.0.0.0/8"]
attribute = "ou=finance"
sensitivity = "high"
"""
ENDED = {"calls": 1, "shares": 0, "connections": 2, "visits": 1}
STOPPED: dict[str, Any] = {
    "scope": "all", "since_ms": 1_795_813_294_123, "how": "latch", "by": None, "told_by": "ann", "reason":
    "leak", "known": True, "settled": True, "ended": ENDED, "packets": 4711, "last_packet_ms":
    1_795_813_294_120, "lift": None,
}  # fmt: skip
"""A stop as the edge tells of it."""


class Command:
    """The sub-command over the data directory of an edge that has stopped, with no settings."""

    def __init__(self, data: Path) -> None:
        self.data = data
        if data.exists():
            (data / "lock").touch()
        self.folder = data / "emergency"

    def run(self, *arguments: str, **more: Any) -> Result:
        return CliRunner().invoke(app, ["emergency", *arguments, "--data-directory", str(self.data)], **more)

    def latches(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir()) if self.folder.exists() else []

    def note(self, name: str) -> Any:
        return json.loads((self.folder / name).read_text())

    def said(self, *stops: dict[str, Any], drill: object = None) -> None:
        self.said_text(json.dumps({"stops": stops, "drill": drill}))

    def said_text(self, text: str) -> None:
        self.folder.mkdir(exist_ok=True)
        (self.folder / "status.json").write_text(text)


@pytest.fixture
def here(tmp_path: Path) -> Command:
    return Command(tmp_path)


@contextmanager
def silent_edge(here: Command, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process that holds the data directory and says nothing; nobody waits five seconds for it."""
    monkeypatch.setattr(emergency_files, "PATIENCE_SECONDS", 0.1)
    with data_lock(here.data):
        yield


# --- stop ---------------------------------------------------------------------------------------------------


def test_stop_without_anything_else_latches_everything_and_needs_no_settings(
    here: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TURNGATE_NO_SUCH_SECTION__FIELD", "a mistake in the settings")
    monkeypatch.setenv("LOGNAME", "ann")
    result = here.run("stop", "--reason", "leak")
    assert result.exit_code == 0, result.output
    assert "the stop holds from its next start" in result.stdout
    assert here.note("stop-all") == {"by": "ann", "reason": "leak"}
    assert stat.S_IMODE((here.folder / "stop-all").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("scope", "name"),
    [
        ("zone:finance", "stop-zone:finance"),
        ("peer:partner.example", "stop-peer:partner.example"),
        ("user:jörg smith", "stop-user:j%C3%B6rg%20smith"),
        ("modality:video", "stop-modality:video"),
    ],
)
def test_stop_of_one_scope_latches_that_one(here: Command, scope: str, name: str) -> None:
    assert here.run("stop", "--scope", scope).exit_code == 0
    assert here.latches() == [name]


@pytest.mark.parametrize("scope", ["", "everything", "zone:", "zone:a/b", "user:\x1b[2J", "modality:smell"])
def test_what_is_no_scope_stops_nothing_and_says_what_would(here: Command, scope: str) -> None:
    result = here.run("stop", "--scope", scope)
    assert (result.exit_code, result.stdout, here.latches()) == (2, "", [])
    assert "zone:NAME" in result.stderr or "audio" in result.stderr
    assert "\x1b" not in result.stderr


def test_a_stop_that_is_latched_stays_whose_it_was(here: Command) -> None:
    here.folder.mkdir()
    (here.folder / "stop").touch()
    result = here.run("stop", "--reason", "again")
    assert result.exit_code == 0
    assert "was latched already" in result.stdout
    assert here.latches() == ["stop"]


def test_a_data_directory_that_is_not_there_is_not_made(here: Command) -> None:
    nowhere = Command(here.data / "nowhere")
    for command in ("stop", "status", "drill"):
        result = nowhere.run(command)
        assert result.exit_code == 2
        assert "No such file or directory" in result.stderr
    assert not nowhere.data.exists()


def test_a_directory_that_no_edge_ever_had_gives_no_all_clear(here: Command) -> None:
    """Such as /var, which the default of the settings is to somebody whose working directory is /."""
    (here.data / "lock").unlink()
    for command in ("status", "drill", "stop"):
        result = here.run(command)
        assert result.exit_code == 1
        assert "NO EDGE HAS EVER RUN" in result.output
    assert here.latches() == ["stop-all"]


def test_settings_with_mistakes_are_told_with_the_way_around_them(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["emergency", "stop", "--set", "chat.no_such_field=1"])
    assert result.exit_code == 2
    assert "chat.no_such_field" in result.stderr
    assert "--data-directory" in result.stderr


def configured(here: Command, *arguments: str, policy: str = POLICY) -> Result:
    """The same with settings that name a policy."""
    file = here.data / "policy.toml"
    file.write_text(policy)
    settings = [f"data_directory={here.data}", f"policy.file={file}"]
    flags = [part for setting in settings for part in ("--set", setting)]
    return CliRunner().invoke(app, ["emergency", *arguments, *flags])


def test_a_zone_or_peer_that_the_policy_does_not_have_is_refused_with_those_it_has(here: Command) -> None:
    misspelt = configured(here, "stop", "--scope", "zone:finanze")
    assert (misspelt.exit_code, here.latches()) == (2, [])
    assert misspelt.stderr == "the policy has no zone finanze: it has finance\n"
    assert "it has none" in configured(here, "stop", "--scope", "peer:acme").stderr
    assert "no zone finanze" in configured(here, "drill", "--scope", "zone:finanze").stderr
    assert here.latches() == []


def test_known_names_and_those_that_nobody_can_know_are_latched(here: Command) -> None:
    for scope in ("zone:finance", "peer:a-domain.example", "user:whoever"):
        assert configured(here, "stop", "--scope", scope).exit_code == 0
    assert configured(here, "stop", "--scope", "zone:finanze", "--even-if-unknown").exit_code == 0
    assert len(here.latches()) == 4


def test_a_policy_file_that_cannot_be_read_stands_in_no_stops_way(here: Command) -> None:
    result = configured(here, "stop", "--scope", "zone:finanze", policy="revision = ?")
    assert (result.exit_code, here.latches()) == (0, ["stop-zone:finanze"])
    assert "is not known" in result.stderr


def test_a_full_disk_takes_the_note_and_not_the_stop(here: Command) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        result = here.run("stop", "--reason", "leak")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (result.exit_code, here.latches()) == (0, ["stop-all"])
    assert (here.folder / "stop-all").read_text() == ""
    assert here.run("status").exit_code == 3


def test_a_disk_that_takes_no_file_at_all_is_said_loudly(here: Command) -> None:
    here.folder.write_text("a file where the folder should be")
    result = here.run("stop")
    assert (result.exit_code, result.stderr.startswith("NOT STOPPED: all")) == (2, True)


@pytest.mark.parametrize("reason", ["x" * 10_000, "\U0001f6d1" * 1000, "\udc80 not text", HOSTILE])
def test_no_reason_is_so_long_or_odd_that_the_stop_or_its_author_is_lost(
    here: Command, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "ann")
    assert here.run("stop", "--reason", reason).exit_code == 0
    assert (here.folder / "stop-all").stat().st_size <= 4096
    result = here.run("status")
    assert "by ann" in result.stdout
    assert "no reason given" not in result.stdout
    assert not {"\x1b", "\u202e"} & set(result.stdout)


def test_an_edge_that_does_not_answer_is_said_loudly_and_the_latch_stays(
    here: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    with silent_edge(here, monkeypatch):
        result = here.run("stop")
    assert (result.exit_code, here.latches()) == (1, ["stop-all"])
    assert "THE EDGE HAS NOT SAID" in result.stderr


def test_what_the_edge_said_of_an_earlier_stop_is_no_answer(
    here: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.said(STOPPED)
    with silent_edge(here, monkeypatch):
        assert here.run("stop").exit_code == 1


def test_the_edges_answer_is_printed(here: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    here.said(STOPPED)
    (here.folder / "stop-all").touch()
    with silent_edge(here, monkeypatch):
        result = here.run("stop")
    assert result.exit_code == 0
    assert "ended: calls 1, shares 0, connections 2, visits 1" in result.stdout
    assert "packets of the calls: 4711, the last at: 2026-11-27T21:01:34.120Z" in result.stdout


def test_a_stop_that_covers_nobody_is_no_success(here: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --data-directory no policy is read: that there is no such zone only the edge can say."""
    here.said(STOPPED | {"scope": "zone:finanze", "known": False})
    (here.folder / "stop-zone:finanze").touch()
    with silent_edge(here, monkeypatch):
        result = here.run("stop", "--scope", "zone:finanze")
        assert result.exit_code == 1
        assert "NO SUCH ZONE" in result.stderr
        assert here.run("stop", "--scope", "zone:finanze", "--even-if-unknown").exit_code == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="takes root")
def test_root_leaves_a_file_that_the_edges_user_can_read_and_remove() -> None:
    user = 54_321
    with (
        tempfile.TemporaryDirectory() as outer
    ):  # which that user cannot enter, as with systemd's DynamicUser
        data = Path(outer) / "data"
        data.mkdir()
        here = Command(data)
        for path in (data, data / "lock"):
            os.chown(path, user, user)
        assert here.run("stop").exit_code == 0
        assert {path.stat().st_uid for path in (here.folder, here.folder / "stop-all")} == {user}
        assert os.geteuid() == 0


# --- status -------------------------------------------------------------------------------------------------


def test_status_says_by_its_exit_status_whether_something_is_stopped(here: Command) -> None:
    nothing = here.run("status")
    assert (nothing.exit_code, nothing.stdout.splitlines()[-1]) == (0, "nothing is stopped")
    here.run("stop", "--scope", "zone:finance", "--reason", "leak")
    something = here.run("status")
    assert something.exit_code == 3
    assert "LATCHED: zone:finance" in something.stdout
    assert "nothing is stopped" not in something.stdout


def test_a_stop_whose_file_was_removed_while_no_edge_runs_is_still_shown(here: Command) -> None:
    here.said(STOPPED)
    result = here.run("status")
    assert result.exit_code == 3
    assert "STOPPED: all since 2026-11-27T21:01:34.123Z, by ann (latch)" in result.stdout


def test_status_as_json(here: Command) -> None:
    here.said(STOPPED)
    here.run("stop", "--scope", "zone:finance", "--reason", HOSTILE)
    result = here.run("status", "--json")
    told = json.loads(result.stdout)
    assert result.exit_code == 3
    assert told["stopped"] == ["all", "zone:finance"]
    assert told["edge_running"] is False
    assert told["status"] == {"stops": [STOPPED], "drill": None}
    assert told["latches"][0]["reason"] == HOSTILE
    assert not {"\x1b", "\u202e"} & set(result.stdout)


def test_a_lift_that_waits_and_the_last_drill_are_shown(here: Command) -> None:
    lift = {"by": "u-1", "login": "carol", "until_ms": 1_795_814_194_000}
    drill = {"scope": "all", "at_ms": 1_795_813_294_123, "would_end": ENDED}
    here.said(STOPPED | {"lift": lift}, drill=drill)
    result = here.run("status")
    assert "carol wants it lifted; somebody else has to approve until 2026-11-27T21:16:34" in result.stdout
    assert "last drill: all at 2026-11-27T21:01:34.123Z would have ended calls 1" in result.stdout


def test_hostile_text_in_what_the_edge_says_moves_no_cursor(here: Command) -> None:
    names = dict.fromkeys(("scope", "how", "told_by", "reason"), HOSTILE)
    here.said(STOPPED | names | {"lift": {"login": HOSTILE, "until_ms": 0}})
    result = here.run("status")
    assert result.exit_code == 3
    assert not {"\x1b", "\u202e"} & set(result.stdout)
    assert "nothing is stopped" not in result.stdout.splitlines()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "[" * 100_000,
        '{"stops": [{}], "drill": null}',
        '{"stops": [], "drill": {"scope": "\\ud800"}}',
        json.dumps({"stops": [STOPPED | {"since_ms": 10**30}], "drill": None}),
        json.dumps({"stops": [STOPPED | {"ended": {"calls": "\x1b"}}], "drill": None}),
    ],
)
def test_garbled_words_of_the_edge_are_no_crash_and_no_all_clear(here: Command, text: str) -> None:
    here.said_text(text)
    result = here.run("status")
    assert (result.exit_code, result.stderr) == (1, "what the edge says cannot be read\n")
    here.run("stop")
    assert here.run("status").exit_code == 3


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/etc/passwd")])
def test_words_of_the_edge_that_are_no_file_are_neither_read_nor_waited_for(here: Command, make: Any) -> None:
    here.folder.mkdir()
    make(here.folder / "status.json")
    assert here.run("status").exit_code == 1


# --- drill and lift and enrol -------------------------------------------------------------------------------


def test_a_drill_without_an_edge_says_so_and_leaves_no_file(here: Command) -> None:
    result = here.run("drill")
    assert (result.exit_code, here.latches()) == (1, [])
    assert "no edge runs on" in result.stderr


def test_a_drill_that_the_edge_does_not_answer_is_taken_back(
    here: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.said(drill={"scope": "all", "at_ms": 1, "would_end": ENDED})  # an earlier one
    with silent_edge(here, monkeypatch):
        result = here.run("drill")
    assert (result.exit_code, here.latches()) == (1, ["status.json"])
    assert "has not answered" in result.stderr


def test_lifting_takes_a_scope_a_person_and_an_edge() -> None:
    assert CliRunner().invoke(app, ["emergency", "lift", "--login", "ann"]).exit_code == 2
    arguments = ["emergency", "lift", "--scope", "all", "--login", "ann"]
    flags = ["--set", "admin.port=1", "--set", "admin.origin=https://127.0.0.1:1"]
    result = CliRunner().invoke(app, [*arguments, *flags], input="secret\n")
    assert result.exit_code == 1
    assert result.stderr.startswith("https://127.0.0.1:1: ")
    assert "secret" not in result.output


async def test_enrol_prints_a_line_that_the_settings_take_and_the_edge_knows() -> None:
    lines = []
    for name in ("anna", "b-2"):
        result = CliRunner().invoke(app, ["emergency", "enrol", name], input=f"password of {name}\n")
        assert result.exit_code == 0
        lines.append(SecretStr(result.stdout.strip()))
    accounts = LocalAccounts(
        EmergencySettings(recovery_accounts=tuple(lines)).recovery_accounts, "group", "r-"
    )
    try:
        assert await accounts.check("anna", "password of anna") is not None
        assert await accounts.check("anna", "password of b-2") is None
    finally:
        await accounts.close()


@pytest.mark.parametrize("name", ["", "a b", "a:b", "jörg", "x" * 65, "\x1b[2J"])
def test_enrol_takes_no_name_that_the_settings_would_not_and_no_empty_password(name: str) -> None:
    result = CliRunner().invoke(app, ["emergency", "enrol", name], input="password\n")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "1 to 64" in result.stderr
    assert CliRunner().invoke(app, ["emergency", "enrol", "anna"], input="\n").exit_code == 1
