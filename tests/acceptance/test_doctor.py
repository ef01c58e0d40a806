"""`turngate doctor` on a host: before the first start, beside a running edge, after it, and where things are
wrong."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from broker.cli.doctor import edge_runs
from broker.shell.doctor import relay_facts
from broker.shell.doctor.examination import Examined, examine
from broker.shell.doctor.finding import Verdict
from broker.shell.tls import make_demo_certificate
from config.loading import load_settings
from tests.acceptance.served_edge import Addresses, ServedEdge

pytestmark = pytest.mark.timeout(120)


@dataclass(frozen=True)
class Told:
    """What a doctor said."""

    verdicts: dict[str, str]
    found: dict[str, str]

    def of(self, verdict: str) -> set[str]:
        return {check for check, one in self.verdicts.items() if one == verdict}


def doctor(edge: ServedEdge, *flags: str) -> Told:
    """In this process; `flags` are settings."""
    settings = load_settings(edge.config, edge.environment, flags)
    findings = list(examine(Examined(settings, edge_runs(settings.data_directory), None)))
    assert all(bool(each.change) == (each.verdict is not Verdict.WELL) for each in findings)
    return Told({one.check: one.verdict for one in findings}, {one.check: one.found for one in findings})


def command(edge: ServedEdge, *arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "broker.cli.main", "doctor", "--config", str(edge.config), *arguments]
    return subprocess.run(
        line, capture_output=True, text=True, timeout=100, env=edge.environment, check=False
    )


def addresses() -> Addresses:
    return Addresses(inside="127.0.0.2", outside="127.0.0.3", relay_transports=("udp", "tcp"))


@pytest.fixture
def edge(tmp_path: Path) -> ServedEdge:
    """It has never run."""
    return ServedEdge(tmp_path, addresses())


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedEdge]:
    with ServedEdge(tmp_path_factory.mktemp("running"), addresses()) as edge:
        yield edge


@pytest.fixture(scope="module")
def left_behind(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Data directories of an edge that ran once, and of the same when it had run again."""
    folder = tmp_path_factory.mktemp("ran")
    edge = ServedEdge(folder)
    for name in ("once", "twice"):
        with edge:
            edge.stop()
        shutil.copytree(edge.data, folder / name)
    return folder / "once", folder / "twice"


@pytest.fixture
def stopped(edge: ServedEdge, left_behind: tuple[Path, Path]) -> ServedEdge:
    """It ran twice."""
    shutil.copytree(left_behind[1], edge.data)
    return edge


def test_before_the_first_start_every_port_is_free_and_packets_pass_at_them(edge: ServedEdge) -> None:
    told = doctor(edge)
    assert told.of("ill") == set()
    relay = edge.addresses.relay_port
    for transport in ("udp", "tcp"):
        trial = f"relay both ways, {transport}: 127.0.0.2:{relay} and 127.0.0.3:{relay}"
        assert told.found[trial] == "Packets pass it from inside to outside and back."
    assert told.found[f"port tcp 127.0.0.2:{edge.addresses.inside_port}"] == "It is free."
    assert not edge.data.exists()


def test_beside_a_running_edge_its_ports_and_ways_answer(running: ServedEdge) -> None:
    told = doctor(running)
    assert told.of("ill") == set()
    ports = {check: found for check, found in told.found.items() if check.startswith("port ")}
    assert len(ports) == 7
    assert set(ports.values()) == {"The edge answers."}
    ways = {check: found for check, found in told.found.items() if check.startswith("way ")}
    assert len(ways) == 6
    assert set(ways.values()) == {"The relay answers."}
    trials = [found for check, found in told.found.items() if check.startswith("relay both ways")]
    assert len(trials) == 2
    assert all("at free ports of the same addresses" in found for found in trials)
    heads = f"heads file {running.data / 'record-heads.txt'}"
    assert {"record", "data directory", heads} <= told.of("well")
    assert "defect" not in running.log()


def test_after_a_stop_it_finds_the_record_as_it_was_signed_and_leaves_nothing_behind(
    stopped: ServedEdge,
) -> None:
    before = sorted(path.name for path in stopped.data.iterdir())
    told = doctor(stopped)
    key = stopped.audit("key").stdout.strip()
    assert told.found["signing key"] == f"Whoever verifies the record has to have {key}."
    assert told.verdicts["record"] == "well"
    # Reading a database of this kind makes these two, as every reading of the record does.
    after = {path.name for path in stopped.data.iterdir()} - {"turngate.sqlite-shm", "turngate.sqlite-wal"}
    assert sorted(after) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can look at somebody else's directory")
def test_root_leaves_the_files_of_the_services_user_to_that_user(stopped: ServedEdge) -> None:
    nobody = pwd.getpwnam("nobody")
    for path in (stopped.data, *stopped.data.rglob("*")):
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    told = doctor(stopped)
    assert told.found["data directory"].startswith(f"{stopped.data} is nobody's alone")
    owners = {path.stat().st_uid for path in stopped.data.rglob("*")}
    assert owners == {nobody.pw_uid}


def test_text_for_people_has_a_line_for_each_finding_what_to_change_and_a_sum(edge: ServedEdge) -> None:
    done = command(edge, "--login", "alice\x1b[31m")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    told = "look  login alice\\x1b[31m: Nobody has this login, or nobody whom the filter lets through."
    assert lines[lines.index(told) + 1].startswith("      -> Check the spelling")
    assert "\x1b" not in done.stdout
    assert lines[-1].startswith("0 ill, ")
    for secret in ("TURNGATE_INVITATIONS__SECRET", "TURNGATE_RELAY__SECRETS"):
        assert edge.environment[secret].strip('[]"') not in done.stdout + done.stderr


def test_programs_read_json_and_the_exit_status(edge: ServedEdge) -> None:
    done = command(edge, "--json", "--login", "ALICE", "--set", "outside.origin=https://meet.example")
    assert (done.returncode, done.stderr) == (1, "")
    findings = json.loads(done.stdout)["findings"]
    assert all(set(each) == {"check", "verdict", "found", "change"} for each in findings)
    assert [each["check"] for each in findings if each["verdict"] == "ill"] == ["certificate: name"]
    found = {each["check"]: each["found"] for each in findings}
    assert found["login ALICE"] == "State: active; groups: external-communication."


def test_ports_that_somebody_else_has_are_ill(edge: ServedEdge) -> None:
    page, relay = edge.addresses.inside_port, edge.addresses.relay_port
    with (
        socket.create_server(("127.0.0.2", page)),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
    ):
        datagrams.bind(("127.0.0.3", relay))
        told = doctor(edge)
    assert told.of("ill") == {f"port tcp 127.0.0.2:{page}", f"port udp 127.0.0.3:{relay}"}


def test_another_edge_that_has_the_ports_is_called_one(running: ServedEdge, tmp_path: Path) -> None:
    told = doctor(running, f"data_directory={tmp_path / 'elsewhere'}")
    assert told.found[f"port tcp 127.0.0.2:{running.addresses.inside_port}"] == (
        "Another edge has it: the service cannot start."
    )


def test_settings_that_the_running_edge_does_not_have_yet_are_ill(running: ServedEdge) -> None:
    told = doctor(running, "inside.address=127.0.0.4")
    found = told.found[f"port tcp 127.0.0.4:{running.addresses.inside_port}"]
    assert found == "The edge runs and does not listen here, where [inside] has it."


def test_an_edge_that_has_stopped_answering_is_ill(running: ServedEdge) -> None:
    assert running.process is not None
    running.process.send_signal(signal.SIGSTOP)
    try:
        told = doctor(running)
    finally:
        running.process.send_signal(signal.SIGCONT)
    ports = {verdict for check, verdict in told.verdicts.items() if check.startswith("port ")}
    assert ports == {"ill"}


def test_a_new_certificate_that_is_not_shown_yet_is_to_be_looked_at(
    running: ServedEdge, tmp_path: Path
) -> None:
    file, key = make_demo_certificate(tmp_path, ["127.0.0.1", "127.0.0.2", "127.0.0.3"])
    told = doctor(running, f"tls.certificate_file={file}", f"tls.private_key_file={key}")
    assert told.verdicts[f"port tcp 127.0.0.2:{running.addresses.inside_port}"] == "look"


def test_addresses_that_this_machine_does_not_have_are_ill(edge: ServedEdge) -> None:
    told = doctor(edge, "outside.address=192.0.2.77")
    assert told.found[f"port tcp 192.0.2.77:{edge.addresses.outside_port}"] == (
        "No interface of this machine has this address."
    )


def test_a_host_that_is_not_this_machine_is_looked_at_from_where_clients_are(
    edge: ServedEdge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_facts, "TRIAL_SECONDS", 1.0)
    told = doctor(edge, "outside.relay_host=192.0.2.77")
    relay = edge.addresses.relay_port
    check = f"relay both ways, udp: 127.0.0.2:{relay} and 192.0.2.77:{relay}"
    assert told.verdicts[check] == "look"
    assert told.found[check].endswith("A host belongs to something in front of this machine.")


def test_a_relay_that_answers_and_passes_nothing_is_ill(
    edge: ServedEdge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_facts, "TRIAL_SECONDS", 1.0)
    monkeypatch.setattr(relay_facts, "_BINDING", b"\xffnothing that a relay knows")
    told = doctor(edge)
    trials = {check for check in told.verdicts if check.startswith("relay both ways")}
    assert told.of("ill") == trials
    assert {told.found[check] for check in trials} == {
        "Packets do not pass from inside to outside and back: it answers, and forwards nothing."
    }


def test_a_record_that_was_cut_off_is_ill(stopped: ServedEdge) -> None:
    with closing(sqlite3.connect(stopped.database)) as database:
        (last,) = database.execute("SELECT max(seq) FROM records").fetchone()
        database.execute("DELETE FROM personal WHERE seq = ?", (last,))
        database.execute("DELETE FROM records WHERE seq = ?", (last,))
        database.commit()
    assert doctor(stopped).of("ill") == {"record"}


def test_a_database_that_was_put_back_is_behind_the_heads_that_left(
    stopped: ServedEdge, left_behind: tuple[Path, Path]
) -> None:
    for name in ("turngate.sqlite-wal", "turngate.sqlite-shm"):
        (stopped.data / name).unlink(missing_ok=True)
    shutil.copy(left_behind[0] / "turngate.sqlite", stopped.database)
    told = doctor(stopped)
    heads = f"heads file {stopped.data / 'record-heads.txt'}"
    assert told.of("ill") == {heads}
    assert "records, and the database ends after " in told.found[heads]


def test_another_key_in_its_place_is_ill(stopped: ServedEdge) -> None:
    (stopped.data / "record-key.pem").unlink()
    key = stopped.folder / "key.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(key)], check=True)
    key.chmod(0o600)
    told = doctor(stopped, f"audit.signing_key_file={key}")
    assert {"record"} <= told.of("ill")


def test_a_data_directory_that_others_may_enter_and_a_readable_people_file_are_ill(
    stopped: ServedEdge,
) -> None:
    stopped.data.chmod(0o755)
    (stopped.folder / "people.ldif").chmod(0o644)
    told = doctor(stopped)
    assert told.of("ill") == {"data directory", f"secrets: {stopped.folder / 'people.ldif'}"}


def test_a_stop_that_is_latched_is_told(stopped: ServedEdge) -> None:
    (stopped.data / "emergency" / "stop-zone:hr").touch()
    told = doctor(stopped)
    assert told.verdicts["emergency stop"] == "look"
    assert told.found["emergency stop"] == "Communication is stopped: zone:hr."


def test_mistakes_of_the_settings_are_findings_and_the_rest_is_looked_at_all_the_same(
    edge: ServedEdge,
) -> None:
    (edge.folder / "policy.toml").write_text("revision = 0\n")
    told = doctor(edge)
    assert told.of("ill") == {"settings: policy.toml: revision"}
    assert told.verdicts["certificate: name"] == "well"
