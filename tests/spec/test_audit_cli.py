"""`turngate audit`: what an investigator types and reads."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import typer
from sqlalchemy import create_engine
from typer.testing import CliRunner, Result

from auth.personal import Personal
from broker.audit.checkpoint import SigningKey
from broker.audit.heads_file import HeadsFile
from broker.audit.ledger import Ledger
from broker.audit.places import NODE
from broker.audit.record import Draft, JsonValue
from broker.audit.schema import metadata
from broker.cli import audit

HOSTILE = "\x1b[2J\u202eEve\n2026-01-01 faked line"


class Command:
    """The sub-command, over the data directory of an edge that has stopped."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.database = data / "turngate.sqlite"
        self.heads = data / "record-heads.txt"
        self._app = typer.Typer()
        self._app.command("other")(lambda: None)
        audit.register(self._app)

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(self._app, ["audit", *arguments])

    def configured(self, command: str, *arguments: str) -> Result:
        return self.run(command, "--set", f"data_directory={self.data}", *arguments)

    def tamper(self, statement: str) -> None:
        with closing(sqlite3.connect(self.database)) as connection, connection:
            connection.execute(statement)


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.setenv("TURNGATE_INVITATIONS__SECRET", "correct-horse-battery-staple-0123456789")
    command = Command(tmp_path)
    key = SigningKey.load_or_create(NODE, tmp_path / "record-key.pem")
    engine = create_engine(f"sqlite:///{command.database}")
    metadata.create_all(engine)
    ledger, heads = Ledger(NODE, key, bytes), HeadsFile(command.heads)
    decision: dict[str, JsonValue] = {"id": "d-1", "determining_rules": ["R-017"], "policy_revision": 41}
    opened = Draft(
        "connection.opened",
        "c-1",
        {"party": "g-1", "external": True, "decisions": [decision]},
        {"party.name": Personal(HOSTILE), "party.address": Personal("203.0.113.7")},
    )
    counts = {"in": 120, "out": 4500}
    closed = Draft(
        "connection.closed", "c-1", {"party": "g-1", "reason": "left\x1b", "bytes": counts, "packets": counts}
    )
    for number, draft in enumerate((Draft("node.started"), opened, closed, Draft("node.stopped"))):
        with engine.begin() as connection:
            appended = ledger.append(connection, [(1_767_225_600_000 + 1000 * number, draft)])
        ledger.adopt(appended)
        heads.offer(appended.head_note, float(number))
    heads.close()
    engine.dispose()
    return command


def test_a_connection_is_listed_with_parties_rule_and_traffic(command: Command) -> None:
    result = command.configured("list")
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        "connection c-1 external 2026-01-01T00:00:01.000Z to 2026-01-01T00:00:02.000Z: closed (left\\x1b)",
        '    party "\\x1b[2J\\u202eEve\\n2026-01-01 faked line" [g-1] 203.0.113.7',
        "    allowed by R-017 of policy 41 (decision d-1)",
        "    bytes in 120, out 4500; packets in 120, out 4500",
    ]


@pytest.mark.parametrize(
    "arguments", [("list",), ("list", "--json"), ("show", "c-1"), ("show", "c-1", "--json")]
)
def test_nothing_that_was_written_by_strangers_reaches_a_terminal_raw(
    command: Command, arguments: tuple[str, ...]
) -> None:
    result = command.run(*arguments, "--database", str(command.database))
    assert result.exit_code == 0
    assert "Eve" in result.output
    assert all(character.isprintable() or character == "\n" for character in result.output)
    assert "\n2026" not in result.output


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (("--address", "203.0.113.7"), 1),
        (("--person", HOSTILE), 1),
        (("--person", "Eve"), 0),
        (("--since", "2026-01-01T00:00:02Z"), 1),
        (("--since", "2026-01-01T00:00:03Z"), 0),
        (("--until", "2026-01-01T00:00:01"), 0),
        (("--until", "2026-01-01T02:00:02+02:00"), 1),
        (("--session", "c-1", "--type", "connection", "--limit", "5"), 1),
        (("--type", "call"), 0),
    ],
)
def test_filters_narrow_the_list(command: Command, filters: tuple[str, ...], found: int) -> None:
    result = command.run("list", "--json", "--database", f"sqlite:///{command.database}", *filters)
    assert [json.loads(line)["session_id"] for line in result.output.splitlines()] == ["c-1"] * found


def test_a_session_is_shown_with_its_records(command: Command) -> None:
    lines = command.configured("show", "c-1").output.splitlines()
    opened = "2 2026-01-01T00:00:01.000Z connection.opened: A person's signalling connection was admitted."
    assert f"  {opened}" in lines
    assert "      party.address: 203.0.113.7" in lines
    assert any("connection.closed" in line for line in lines)
    as_json = json.loads(command.configured("show", "c-1", "--json").output)
    assert [record["seq"] for record in as_json["records"]] == [2, 3]


def test_a_sound_record_verifies_with_exit_status_0(command: Command) -> None:
    result = command.configured("verify")
    assert (result.exit_code, result.output) == (0, "sound: all 4 records are as they were signed\n")


def test_verification_needs_nothing_but_database_public_key_and_heads(
    command: Command, tmp_path: Path
) -> None:
    key = command.configured("key").output.strip()
    assert key.startswith(f"{NODE}+")
    (tmp_path / "record-key.pem").unlink()
    result = command.run(
        "verify",
        "--database",
        str(command.database),
        "--public-key",
        key,
        "--heads",
        str(command.heads),
        "--json",
    )
    assert (result.exit_code, json.loads(result.output)["proven"]) == (0, 4)


def test_an_altered_record_is_named_with_exit_status_1(command: Command) -> None:
    command.tamper("UPDATE records SET body = CAST(replace(body, 'g-1', 'g-2') AS BLOB) WHERE seq = 3")
    result = command.configured("verify")
    assert result.exit_code == 1
    assert "NOT SOUND, first bad record: 3" in result.stdout
    assert "proven: records 1 to 2" in result.stdout
    as_json = command.configured("verify", "--json")
    assert (as_json.exit_code, json.loads(as_json.stdout)["first_bad_seq"]) == (1, 3)


def test_a_cut_off_end_is_shown_by_the_file_of_heads(command: Command) -> None:
    for table, column in (("records", "seq"), ("personal", "seq"), ("heads", "size")):
        command.tamper(f"DELETE FROM {table} WHERE {column} > 2")
    assert "first bad record: 3" in command.configured("verify").stdout


def test_without_a_file_of_heads_the_blind_spot_is_said(command: Command) -> None:
    command.heads.unlink()
    result = command.configured("verify")
    assert result.exit_code == 0
    assert "cannot be seen" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("list", "--since", "yesterday\x1b"),
        ("list", "--type", "whatever\x1b"),
        ("list", "--database", "/nowhere/record.db"),
        ("list", "--database", "nonsense://"),
        ("list", "--database", __file__),
        ("show", "c-2\x1b"),
        ("verify", "--public-key", "nonsense"),
        ("verify", "--heads", "/nowhere/heads"),
        ("key", "--set", "audit.signing_key_file=/nowhere/key.pem"),
    ],
)
def test_a_mistake_ends_with_one_line_and_exit_status_1(command: Command, arguments: tuple[str, ...]) -> None:
    result = command.configured(*arguments)
    assert (result.exit_code, result.stdout, len(result.stderr.splitlines())) == (1, "", 1)
    assert result.stderr.strip().isprintable()
