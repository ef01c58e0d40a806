"""`turngate check`, `ports` and `user hash`: results on stdout, mistakes on stderr, one line each."""

from __future__ import annotations

from pathlib import Path

import pytest
from argon2 import PasswordHasher
from typer.testing import CliRunner

from broker.cli.demo_house import write_people
from broker.cli.main import app
from broker.cli.ports import open_ports
from broker.shell.tls import make_demo_certificate
from config.reference import SAMPLE_FILE
from config.settings import Settings

SECRET = "correct-horse-battery-staple-0123456789"


@pytest.fixture
def turngate(monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("TURNGATE_INVITATIONS__SECRET", SECRET)
    return CliRunner()


@pytest.fixture
def complete(tmp_path: Path) -> list[str]:
    """Flags of a configuration that a service would start with."""
    (tmp_path / "policy.toml").write_text("revision = 1\n", encoding="utf-8")
    certificate, key = make_demo_certificate(tmp_path, ["localhost"])
    certificate.rename(tmp_path / "certificate.pem")
    key.rename(tmp_path / "key.pem")
    write_people(tmp_path / "people.ldif")
    settings = {
        "tls.certificate_file": "certificate.pem",
        "tls.private_key_file": "key.pem",
        "directory.ldif_file": "people.ldif",
        "policy.file": "policy.toml",
    }
    return [part for path, name in settings.items() for part in ("--set", f"{path}={tmp_path / name}")]


def test_a_complete_configuration_passes_and_nothing_shows_the_secret(
    turngate: CliRunner, complete: list[str]
) -> None:
    result = turngate.invoke(app, ["check", "--config", str(SAMPLE_FILE), *complete])
    assert (result.exit_code, result.stdout, result.stderr) == (0, "The configuration is complete.\n", "")


def test_a_first_run_is_told_everything_a_service_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TURNGATE_INVITATIONS__SECRET", raising=False)
    result = CliRunner().invoke(app, ["check"])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert [line.split(": ")[1] for line in result.stderr.splitlines()] == [
        "tls.certificate_file",
        "tls.private_key_file",
        "directory.ldif_file",
        "policy.file",
        "invitations.secret_file",
    ]


def test_a_directory_and_a_certificate_that_would_not_load_are_told(
    turngate: CliRunner, complete: list[str], tmp_path: Path
) -> None:
    (tmp_path / "people.ldif").write_text("version: 1\n\nnonsense\n", encoding="utf-8")
    (tmp_path / "certificate.pem").write_text("", encoding="utf-8")
    result = turngate.invoke(app, ["check", *complete])
    assert result.exit_code == 1
    places = [line.split(": ")[1] for line in result.stderr.splitlines()]
    assert places == ["directory.ldif_file", "tls.certificate_file"]


def test_administrators_without_a_second_factor_are_told(
    turngate: CliRunner, complete: list[str], tmp_path: Path
) -> None:
    complete += ["--set", "admin.operator_group=operators"]
    result = turngate.invoke(app, ["check", *complete])
    assert result.exit_code == 1
    assert result.stderr.splitlines()[0].split(": ")[1] == "admin.second_factors_file"
    enrolled = tmp_path / "second-factors"
    line = "carol:JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
    for lines, places in (
        ([line], []),
        ([line, "olga:JBSWY3DP"], ["admin.second_factors[1]"]),
        ([line, line.upper()], ["admin.second_factors"]),
    ):
        enrolled.write_text("\n".join(lines))
        enrolled.chmod(0o600)
        result = turngate.invoke(app, ["check", *complete, "--set", f"admin.second_factors_file={enrolled}"])
        assert [told.split(": ")[1] for told in result.stderr.splitlines()] == places
        assert "JBSWY" not in result.output
    enrolled.chmod(0o644)
    result = turngate.invoke(app, ["check", *complete, "--set", f"admin.second_factors_file={enrolled}"])
    assert "chmod 600" in result.stderr


def test_a_service_refuses_the_pairing_of_a_relay_that_runs_alone(
    turngate: CliRunner, complete: list[str]
) -> None:
    result = turngate.invoke(app, ["check", *complete, "--set", "relay.pairing=any"])
    assert result.exit_code == 1
    assert result.stderr.splitlines()[0].split(": ")[1] == "relay.pairing"


def test_wrong_settings_are_one_line_each_and_exit_with_1(turngate: CliRunner) -> None:
    result = turngate.invoke(app, ["check", "--set", "calls.ring_timeout_seconds=0", "--set", "cals.x=1"])
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "--set: cals: is no setting; did you mean calls?",
        "--set: calls.ring_timeout_seconds: 0 is below the least allowed 5",
    ]


def test_files_that_are_absent_or_are_no_files_are_told(
    turngate: CliRunner, complete: list[str], tmp_path: Path
) -> None:
    (tmp_path / "people.ldif").unlink()
    complete += ["--set", f"policy.file={tmp_path}", "--set", f"audit.heads_file={tmp_path}/absent/heads"]
    result = turngate.invoke(app, ["check", *complete])
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "settings: directory.ldif_file: names a file that does not exist",
        "settings: audit.heads_file: names a file in a directory that does not exist",
        "settings: policy.file: names something that is not a file",
    ]


def test_a_file_that_the_service_makes_itself_may_be_absent(
    turngate: CliRunner, complete: list[str], tmp_path: Path
) -> None:
    result = turngate.invoke(app, ["check", *complete, "--set", f"audit.signing_key_file={tmp_path}/new.key"])
    assert result.exit_code == 0


def test_a_private_key_that_others_may_read_is_told(
    turngate: CliRunner, complete: list[str], tmp_path: Path
) -> None:
    (tmp_path / "key.pem").chmod(0o644)
    result = turngate.invoke(app, ["check", *complete])
    assert result.stderr == (
        "settings: tls.private_key_file: names a key that others than its owner may use (chmod 600)\n"
    )


def test_mistakes_in_the_policy_are_told_with_their_place(
    turngate: CliRunner, complete: list[str], tmp_path: Path
) -> None:
    (tmp_path / "policy.toml").write_text("revision = 0\nzoens = 1\n", encoding="utf-8")
    result = turngate.invoke(app, ["check", *complete])
    assert result.exit_code == 1
    assert [line.split(": ")[:2] for line in result.stderr.splitlines()] == [
        ["policy.toml", "revision"],
        ["policy.toml", "zoens"],
    ]


def test_the_ports_of_a_first_run_are_all_on_loopback() -> None:
    rows = list(open_ports(Settings()))
    assert {row.direction for row in rows} == {"in"}
    assert {row.address for row in rows} == {"127.0.0.1"}
    assert [(row.protocol, row.port) for row in rows] == [
        ("tcp", 8443),
        ("tcp", 9443),
        ("tcp", 7443),
        ("udp", 3478),
    ]


def test_ports_prints_a_line_for_each_port_without_cutting_any(turngate: CliRunner) -> None:
    result = turngate.invoke(app, ["ports", "--set", "inside.address=2001:db8:1111:2222:3333:4444:5555:6666"])
    assert result.exit_code == 0
    assert "2001:db8:1111:2222:3333:4444:5555:6666" in result.stdout
    assert len(result.stdout.splitlines()) == 1 + len(list(open_ports(Settings())))


def test_user_hash_prints_a_hash_of_the_password_from_standard_input(turngate: CliRunner) -> None:
    result = turngate.invoke(app, ["user", "hash"], input="hunter2\nignored\n")
    assert result.exit_code == 0
    assert PasswordHasher().verify(result.stdout.strip().removeprefix("{ARGON2}"), "hunter2")


@pytest.mark.parametrize("password", ["", "\n", "x" * 1025])
def test_user_hash_refuses_a_password_that_is_empty_or_too_long(turngate: CliRunner, password: str) -> None:
    result = turngate.invoke(app, ["user", "hash"], input=password)
    assert (result.exit_code, result.stdout) == (1, "")


def test_the_version_is_printed(turngate: CliRunner) -> None:
    result = turngate.invoke(app, ["--version"])
    assert (result.exit_code, result.stdout.split()[0]) == (0, "turngate")


def test_a_recovery_account_whose_hash_is_none_is_named_and_not_quoted(
    turngate: CliRunner, complete: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "recovery.accounts"
    file.write_text("safe-1:{ARGON2}nonsense-canary\nsafe-2:plain-canary\n")
    file.chmod(0o600)
    flags = [*complete, "--set", f"emergency.recovery_accounts_file={file}"]
    result = turngate.invoke(app, ["check", "--config", str(SAMPLE_FILE), *flags])
    assert result.exit_code == 1
    lines = result.stderr.splitlines()
    assert [line.split(": ")[1] for line in lines] == [
        "emergency.recovery_accounts[0]",
        "emergency.recovery_accounts[1]",
    ]
    assert "canary" not in result.stderr
