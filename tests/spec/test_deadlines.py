"""Deadlines come in order, once, and cancelled ones neither come nor stay."""

from __future__ import annotations

from broker.core.clock import COMPACT_ABOVE, Deadlines, Now

START = Now(0, 100.0)
LATER = Now(10_000, 110.0)


def due_keys(deadlines: Deadlines) -> list[str]:
    return [due.key for due in iter(lambda: deadlines.next_due(LATER), None)]


def test_what_is_due_comes_in_order_and_once() -> None:
    deadlines = Deadlines()
    for seconds in (5, 1, 3, 20):
        deadlines.add(START, seconds, "noun", str(seconds))
    assert due_keys(deadlines) == ["1", "3", "5"]
    assert due_keys(deadlines) == []
    assert deadlines.next_at() == 120.0


def test_a_cancelled_deadline_never_comes() -> None:
    deadlines = Deadlines()
    deadlines.add(START, 1, "noun", "a")
    deadlines.add(START, 2, "noun", "b")
    deadlines.cancel("noun", "a")
    assert due_keys(deadlines) == ["b"]


def test_deadlines_cancelled_early_do_not_pile_up() -> None:
    deadlines = Deadlines()
    for number in range(20 * COMPACT_ABOVE):
        deadlines.add(START, 3600, "noun", str(number))
        deadlines.cancel("noun", str(number))
    assert len(deadlines) <= 2 * COMPACT_ABOVE + 2
