"""Doctor: what the clock, the disk, the ports, the relay, the record and the files are told to be."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path

import pytest

from auth.directory import EntryState
from broker.audit.checkpoint import SigningKey
from broker.shell.doctor.clock import KernelClock, judge_against_directory, judge_kernel
from broker.shell.doctor.configuration import (
    LdifFacts,
    SecretFile,
    judge_ldif,
    judge_policy,
    judge_secret_files,
    judge_settings,
    judge_stops,
)
from broker.shell.doctor.disk import FolderFacts, RoomFacts, judge_data_directory, judge_disk
from broker.shell.doctor.finding import Finding, Verdict
from broker.shell.doctor.ports import PortFacts, PortState, judge_port
from broker.shell.doctor.record import HeadsFacts, KeyFacts, LedgerFacts, judge_heads, judge_key, judge_ledger
from broker.shell.doctor.relay import PathFacts, TrialFacts, judge_path, judge_trial
from config.errors import ConfigurationError

WELL, LOOK, ILL = Verdict
GIB = 1 << 30


class TestClock:
    def test_one_that_is_kept_right_is_well(self) -> None:
        assert judge_kernel(KernelClock(True, 0.0123)).found == (
            "It is synchronised; the system takes it for right within 0.012 s."
        )

    def test_one_that_nothing_keeps_right_is_to_be_looked_at(self) -> None:
        assert judge_kernel(KernelClock(False, 16)).verdict is LOOK
        assert judge_kernel(None).verdict is LOOK

    @pytest.mark.parametrize(
        ("ahead", "verdict"), [(5, WELL), (-5, WELL), (6, LOOK), (-300, LOOK), (301, ILL)]
    )
    def test_a_difference_from_the_directory_counts_either_way(self, ahead: float, verdict: Verdict) -> None:
        assert judge_against_directory("s: clock", ahead).verdict is verdict

    def test_it_is_told_who_is_ahead(self) -> None:
        assert judge_against_directory("c", -60).found == (
            "This machine's clock is 60 s behind the server's."
        )
        assert judge_against_directory("c", 60).found == "This machine's clock is 60 s ahead of the server's."


def folder(**facts: object) -> FolderFacts:
    room = RoomFacts(50 * GIB, 100 * GIB, 10**6, 10**6)
    whole = FolderFacts(Path("/data"), "directory", "turngate", 0o40700, True, room, 0.004)
    return dataclasses.replace(whole, **facts)  # type: ignore[arg-type]


def data(**facts: object) -> list[Finding]:
    return list(judge_data_directory(folder(**facts)))


class TestDataDirectory:
    def test_one_that_is_the_services_alone_is_well(self) -> None:
        assert [one.verdict for one in data()] == [WELL]

    @pytest.mark.parametrize("mode", [0o750, 0o701, 0o777])
    def test_one_that_others_may_enter_is_ill(self, mode: int) -> None:
        (found,) = data(mode=0o40000 | mode)
        assert (found.verdict, found.change) == (ILL, "chmod 700 /data")
        assert f"mode {mode:04o}" in found.found

    def test_one_that_cannot_be_written_is_ill(self) -> None:
        assert [one.verdict for one in data(writable=False)] == [ILL]

    def test_one_that_is_not_there_yet_is_made_at_the_start(self) -> None:
        assert [one.verdict for one in data(kind="missing")] == [LOOK]
        assert [one.verdict for one in data(kind="other")] == [ILL]


def disk(**facts: object) -> dict[str, Verdict]:
    return {found.check.rpartition(": ")[2]: found.verdict for found in judge_disk(folder(**facts))}


class TestDisk:
    @pytest.mark.parametrize(
        ("room", "verdict"),
        [
            (RoomFacts(GIB - 1, 10 * GIB, 10**6, 10**6), ILL),
            (RoomFacts(GIB, 10 * GIB, 10**6, 10**6), WELL),
            (RoomFacts(4 * GIB, 100 * GIB, 10**6, 10**6), LOOK),
            (RoomFacts(5 * GIB, 100 * GIB, 10**6, 10**6), WELL),
            (RoomFacts(50 * GIB, 100 * GIB, 9_999, 10**6), ILL),
            (RoomFacts(50 * GIB, 100 * GIB, 49_999, 10**6), LOOK),
            (RoomFacts(50 * GIB, 100 * GIB, 0, 0), WELL),
        ],
    )
    def test_room_and_inodes_run_out_before_the_record_does(self, room: RoomFacts, verdict: Verdict) -> None:
        assert disk(room=room)["room"] is verdict

    @pytest.mark.parametrize(("seconds", "verdict"), [(0.05, WELL), (0.051, LOOK)])
    def test_a_slow_disk_is_to_be_looked_at(self, seconds: float, verdict: Verdict) -> None:
        assert disk(sync_seconds=seconds)["speed"] is verdict

    def test_what_was_not_measured_is_not_told(self) -> None:
        assert disk(room=None, sync_seconds=None) == {}


def port(state: PortState, runs: bool | None, **more: object) -> Finding:
    facts = PortFacts("[inside]", "tcp 192.0.2.1:443", state)
    return judge_port(dataclasses.replace(facts, **more), runs)  # type: ignore[arg-type]


class TestPorts:
    def test_a_free_one_is_well_until_an_edge_runs(self) -> None:
        assert port(PortState.FREE, runs=False).verdict is WELL
        found = port(PortState.FREE, runs=True)
        assert (found.verdict, found.change) == (ILL, "Start it again: settings are read at start.")

    @pytest.mark.parametrize("runs", [True, None])
    def test_one_where_the_edge_answers_is_well(self, runs: bool | None) -> None:
        assert port(PortState.TAKEN, runs=runs, answers=True).verdict is WELL

    def test_one_that_somebody_else_has_is_ill(self) -> None:
        found = port(PortState.TAKEN, runs=False)
        assert (found.verdict, found.found) == (ILL, "Another program has it: the service cannot start.")
        assert port(PortState.TAKEN, runs=False, answers=True).found.startswith("Another edge has it")

    @pytest.mark.parametrize("runs", [True, None])
    def test_one_that_does_not_answer_as_an_edge_is_ill(self, runs: bool | None) -> None:
        assert port(PortState.TAKEN, runs=runs).verdict is ILL

    def test_an_address_that_no_interface_has_is_ill(self) -> None:
        found = port(PortState.NO_SUCH_ADDRESS, runs=False)
        assert (found.verdict, found.change) == (ILL, "Give it to one, or correct [inside].")

    def test_one_that_could_not_be_tried_is_to_be_looked_at(self) -> None:
        assert port(PortState.NOT_ALLOWED, runs=False).verdict is LOOK

    def test_an_edge_that_says_it_is_not_well_is_ill(self) -> None:
        assert port(PortState.TAKEN, runs=True, answers=True, health=503).verdict is ILL
        assert port(PortState.TAKEN, runs=True, answers=True, health=200).verdict is WELL

    def test_an_edge_that_shows_an_older_certificate_is_to_be_looked_at(self) -> None:
        found = port(PortState.TAKEN, runs=True, answers=True, shows_file=False)
        assert found.verdict is LOOK
        assert "SIGHUP" in found.change


def path(**facts: object) -> Finding:
    whole = PathFacts("outside", "turn:relay.example:3478?transport=udp", answers=True, host_is_here=True)
    return judge_path(dataclasses.replace(whole, **facts))  # type: ignore[arg-type]


def trial(**facts: object) -> Finding:
    whole = TrialFacts("udp", "10.0.0.1:3478", "192.0.2.1:3478", "", hosts_are_here=True, as_configured=True)
    return judge_trial(dataclasses.replace(whole, **facts))  # type: ignore[arg-type]


class TestRelay:
    def test_a_way_where_the_relay_answers_is_well(self) -> None:
        assert path().verdict is WELL

    def test_silence_at_an_address_of_this_machine_is_ill(self) -> None:
        assert path(answers=False).verdict is ILL

    def test_silence_at_an_address_in_front_of_it_cannot_be_judged_from_here(self) -> None:
        found = path(answers=False, host_is_here=False)
        assert found.verdict is LOOK
        assert "outside.relay_host" in found.change

    def test_a_host_without_address_is_ill_and_the_setting_is_the_one_it_came_from(self) -> None:
        assert path(answers=False, unresolved=True).change == "Correct outside.relay_host, or DNS."
        tls = path(url="turns:edge.example:443?transport=tcp", answers=False, unresolved=True)
        assert tls.change == "Correct outside.origin, or DNS."

    def test_packets_both_ways_are_well_and_it_is_told_what_was_tried(self) -> None:
        assert trial().found == "Packets pass it from inside to outside and back."
        assert trial(as_configured=False).found == (
            "Packets pass a relay at free ports of the same addresses from inside to outside and back."
        )

    def test_packets_that_do_not_pass_are_ill(self) -> None:
        found = trial(failure="it answers, and forwards nothing")
        assert found.verdict is ILL
        assert trial(failure="it answers not", hosts_are_here=False).verdict is LOOK


KEY = SigningKey.from_seed("turngate", bytes(32))
GOOD = KeyFacts(KEY.verifier)
NOTE = KEY.sign(7, bytes(32))


def heads(ledger: LedgerFacts | None = None, key: KeyFacts = GOOD, **facts: object) -> list[Finding]:
    whole = HeadsFacts("heads.txt", last=NOTE, same_size=NOTE)
    told = dataclasses.replace(whole, **facts)  # type: ignore[arg-type]
    return list(judge_heads(told, ledger or LedgerFacts(9), key))


class TestRecord:
    def test_the_public_key_is_told_as_verifiers_have_it(self) -> None:
        assert judge_key(GOOD).found == f"Whoever verifies the record has to have {KEY.verifier}."

    def test_a_key_that_cannot_be_used_is_ill_and_one_that_is_made_later_is_not(self) -> None:
        assert judge_key(KeyFacts(None, "it holds no key")).verdict is ILL
        assert judge_key(KeyFacts(None, is_missing=True)).verdict is LOOK

    def test_an_end_that_the_key_did_not_sign_is_ill(self) -> None:
        assert judge_ledger(LedgerFacts(9)).found == "Its end, 9 records, is what its key signed last."
        assert judge_ledger(LedgerFacts(problem="the frontier is wrong")).verdict is ILL
        assert judge_ledger(LedgerFacts(is_missing=True)).verdict is LOOK

    def test_a_last_head_that_the_record_has_too_is_well(self) -> None:
        assert [one.verdict for one in heads()] == [WELL]

    def test_a_head_beyond_the_end_of_the_record_is_ill(self) -> None:
        (found,) = heads(LedgerFacts(5), same_size=None)
        assert (found.verdict, found.found) == (
            ILL,
            "Its last head is of 7 records, and the database ends after 5.",
        )

    def test_another_head_of_that_size_is_ill(self) -> None:
        (found,) = heads(same_size=KEY.sign(7, bytes([1]) * 32))
        assert found.verdict is ILL
        assert found.found.endswith("the database has another one of that size.")

    def test_a_head_of_another_key_is_ill(self) -> None:
        (found,) = heads(last=SigningKey.from_seed("turngate", bytes([1]) * 32).sign(7, bytes(32)))
        assert found.verdict is ILL

    def test_a_file_that_cannot_be_written_is_ill_whatever_is_in_it(self) -> None:
        assert [one.verdict for one in heads(writable=False)] == [ILL, WELL]

    def test_an_empty_file_of_a_record_is_to_be_looked_at(self) -> None:
        assert [one.verdict for one in heads(last=None)] == [LOOK]
        assert heads(LedgerFacts(0), last=None) == []

    def test_without_a_key_nothing_is_told_of_heads(self) -> None:
        assert heads(key=KeyFacts(None, "broken")) == []


class TestConfiguration:
    def test_each_mistake_is_a_finding_of_its_own(self) -> None:
        mistakes = [ConfigurationError("settings", "policy.file", "is needed: without it nothing")]
        (found,) = judge_settings(mistakes)
        assert (found.check, found.verdict) == ("settings: policy.file", ILL)
        assert found.found == "Is needed: without it nothing."
        assert [one.verdict for one in judge_settings([])] == [WELL]

    def test_a_mistake_in_the_policy_is_told_with_its_file(self) -> None:
        (found,) = judge_settings([ConfigurationError("policy.toml", "rules[1]", "is wrong")])
        assert found.check == "settings: policy.toml: rules[1]"

    def test_a_policy_without_rules_allows_nothing(self) -> None:
        assert judge_policy(4, 0).verdict is LOOK
        assert judge_policy(4, 1).found == "Revision 4, 1 rule."

    @pytest.mark.parametrize(("mode", "verdict"), [(0o600, WELL), (0o640, WELL), (0o604, ILL), (0o660, ILL)])
    def test_a_secret_is_its_owners(self, mode: int, verdict: Verdict) -> None:
        files = [SecretFile("tls.private_key_file", "/k", 0o100000 | mode), SecretFile("x", "/x", 0o100600)]
        assert [one.verdict for one in judge_secret_files(files)] == [verdict]

    def test_a_directory_in_a_file_where_nobody_can_sign_in_is_ill(self) -> None:
        states = Counter({EntryState.ACTIVE: 2, EntryState.LOCKED: 1})
        assert judge_ldif(LdifFacts(states=states)).found == "2 active, 1 locked; 2 can sign in."
        assert judge_ldif(LdifFacts(states=states, without_password=2)).verdict is ILL
        assert judge_ldif(LdifFacts("line 3: nonsense")).verdict is ILL

    def test_a_stop_is_named(self) -> None:
        found = judge_stops(["all", "zone:hr"])
        assert (found.verdict, found.found) == (LOOK, "Communication is stopped: all, zone:hr.")
        assert judge_stops([]).verdict is WELL
