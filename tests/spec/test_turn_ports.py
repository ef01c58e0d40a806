"""The ports of one session's address, RFC 8656 section 7.2."""

from __future__ import annotations

import sys
from itertools import pairwise
from random import Random
from types import FrameType
from typing import Any

import pytest

from relay.turn import address_pool
from relay.turn.address_pool import FIRST_PORT, LAST_PORT, PortPool
from relay.turn.events import Randomness

EVERY_PORT = set(range(FIRST_PORT, LAST_PORT + 1))
PAIRS = len(EVERY_PORT) // 2


@pytest.fixture
def pool() -> PortPool:
    seeded = Random(3)
    return PortPool(Randomness(seeded.randrange, seeded.randbytes))


def taken(pool: PortPool, **how: bool) -> int:
    port = pool.take(**how)
    assert port is not None
    return port


def test_7_2_every_port_is_given_once_until_there_is_none(pool: PortPool) -> None:
    ports = [taken(pool) for _ in EVERY_PORT]
    assert set(ports) == EVERY_PORT
    assert pool.take() is None
    pool.give_back(ports[5])
    assert taken(pool) == ports[5]


def test_7_2_fresh_ports_follow_no_order(pool: PortPool) -> None:
    ports = [taken(pool) for _ in range(2000)]
    upward = sum(one < other for one, other in pairwise(ports))
    assert 900 < upward < 1100
    assert 900 < sum(port & 1 for port in ports) < 1100
    quarters = [sum(port >> 12 == quarter for port in ports) for quarter in range(12, 16)]
    assert all(400 < count < 600 for count in quarters)


def test_7_2_a_released_port_rests_until_every_other_pair_has_been_used(pool: PortPool) -> None:
    last_used: dict[int, int] = {}
    for number in range(5 * PAIRS):
        port = taken(pool, even=number % 3 == 0)
        assert number - last_used.get(port, -PAIRS) >= PAIRS
        last_used[port] = number
        pool.give_back(port)


def test_7_2_even_ports_and_pairs_are_found_while_there_is_one(pool: PortPool) -> None:
    evens = {taken(pool, even=True) for _ in range(PAIRS)}
    assert evens == {port for port in EVERY_PORT if port % 2 == 0}
    assert pool.take(even=True) is None
    assert pool.take(with_next=True) is None
    assert taken(pool) % 2 == 1
    pool.give_back(50000)
    pool.give_back(50002)
    assert {taken(pool, even=True), taken(pool, even=True)} == {50000, 50002}


def test_7_2_both_halves_of_a_pair_come_back_by_themselves(pool: PortPool) -> None:
    pairs = [taken(pool, with_next=True) for _ in range(PAIRS)]
    assert len(set(pairs)) == PAIRS
    assert pool.take() is None
    pool.give_back(pairs[0] + 1)
    assert pool.take(with_next=True) is None
    assert pool.take(even=True) is None
    pool.give_back(pairs[0])
    assert taken(pool, with_next=True) == pairs[0]


@pytest.mark.parametrize("seed", range(20))
def test_7_2_what_is_given_is_free_and_what_is_free_is_given(seed: int) -> None:
    """Against a plain set, with most ports in use so that every case comes up."""
    seeded = Random(seed)
    pool = PortPool(Randomness(seeded.randrange, seeded.randbytes))
    used = {taken(pool) for _ in range(len(EVERY_PORT) - 6)}
    for _ in range(300):
        if seeded.random() < 0.5:
            port = seeded.choice(sorted(used)) if seeded.random() < 0.5 else min(used)
            pool.give_back(port)
            used.discard(port)
            continue
        even, with_next = seeded.random() < 0.5, seeded.random() < 0.3
        free = EVERY_PORT - used
        fitting = {
            port
            for port in free
            if (port % 2 == 0 or not (even or with_next)) and (not with_next or port + 1 in free)
        }
        got = pool.take(even=even, with_next=with_next)
        assert (got in fitting) if fitting else (got is None)
        if got is not None:
            used |= {got, got + 1} if with_next else {got}


@pytest.mark.parametrize("held", [0, 8000, 16000])
def test_7_2_the_effort_of_a_request_does_not_grow(pool: PortPool, held: int) -> None:
    """In lines of the pool that run, also when all ports have been used and most are in use."""
    for _ in range(2 * len(EVERY_PORT)):
        pool.give_back(taken(pool))
    for _ in range(held):
        taken(pool)
    lines = 0

    def count(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal lines
        if frame.f_code.co_filename != address_pool.__file__:
            return None
        lines += event == "line"
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        for _ in range(100):
            pool.give_back(taken(pool, even=True))
            pool.take(with_next=True)
    finally:
        sys.settrace(before)
    assert 0 < lines < 100 * 40
