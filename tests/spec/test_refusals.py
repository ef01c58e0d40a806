"""Refused strangers: counted per prefix and minute in a table of fixed size."""

from __future__ import annotations

from auth.personal import Personal
from broker.core.events import EntryRefused, Stopping
from broker.core.refusals import FLUSH_SECONDS, OVERFLOW
from tests.spec.outcome import Outcome
from tests.spec.playbook import RULES, Playbook


def refused(prefix: str, code: str = "wrong", kind: str = "auth.refused") -> EntryRefused:
    return EntryRefused(kind, code, Personal(prefix))


def counts(outcome: Outcome) -> dict[tuple[str, str], int]:
    return {
        (record.personal["source.prefix"].reveal(), str(record.fields["code"])): int(
            str(record.fields["count"])
        )
        for record in outcome.records
    }


def test_refusals_of_a_minute_are_one_record_for_each_prefix_and_code() -> None:
    play = Playbook()
    for prefix, code in [("10.7.1.0/24", "wrong")] * 3 + [
        ("10.7.1.0/24", "unknown"),
        ("10.7.2.0/24", "wrong"),
    ]:
        assert (play >> refused(prefix, code)).commands == []
    assert play.later(FLUSH_SECONDS - 1).commands == []
    flushed = play.later(1)
    assert counts(flushed) == {
        ("10.7.1.0/24", "wrong"): 3,
        ("10.7.1.0/24", "unknown"): 1,
        ("10.7.2.0/24", "wrong"): 1,
    }
    assert flushed.effects == []
    assert play.later(FLUSH_SECONDS).commands == []


def test_a_new_minute_starts_with_the_next_refusal() -> None:
    play = Playbook()
    play >> refused("a")
    play.later(FLUSH_SECONDS)
    play.wait(1000)
    play >> refused("b")
    assert play.later(FLUSH_SECONDS - 1).commands == []
    assert counts(play.later(1)) == {("b", "wrong"): 1}


def test_any_number_of_strangers_takes_a_fixed_number_of_rows() -> None:
    play = Playbook()
    strangers = 1000
    for number in range(strangers):
        play >> refused(f"prefix-{number}")
    flushed = counts(play.later(FLUSH_SECONDS))
    assert len(flushed) == RULES.refusal_table_rows + 1
    assert flushed[(OVERFLOW.reveal(), "wrong")] == strangers - RULES.refusal_table_rows
    assert sum(flushed.values()) == strangers


def test_a_prefix_that_is_in_the_table_is_counted_there_even_when_the_table_is_full() -> None:
    play = Playbook()
    for number in range(RULES.refusal_table_rows + 1):
        play >> refused(f"prefix-{number}")
    play >> refused("prefix-0")
    assert counts(play.later(FLUSH_SECONDS))[("prefix-0", "wrong")] == 2


def test_nothing_of_the_last_minute_is_lost_when_the_edge_stops() -> None:
    play = Playbook()
    play >> refused("a")
    stopped = play >> Stopping()
    assert stopped.record_types == ["auth.refused", "node.stopped"]
