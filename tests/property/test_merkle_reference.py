"""The growing tree against the recursive definition of RFC 9162 section 2.1.1."""

from __future__ import annotations

from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from broker.audit.merkle import Frontier, leaf_hash


def by_definition(entries: list[bytes]) -> bytes:
    """MTH of the RFC, word for word."""
    if not entries:
        return sha256(b"").digest()
    if len(entries) == 1:
        return sha256(b"\x00" + entries[0]).digest()
    split = 1
    while split * 2 < len(entries):
        split *= 2
    return sha256(b"\x01" + by_definition(entries[:split]) + by_definition(entries[split:])).digest()


@given(st.lists(st.lists(st.binary(max_size=3), max_size=20), max_size=12))
def test_growing_in_batches_gives_the_defined_root_after_each(batches: list[list[bytes]]) -> None:
    frontier, entries = Frontier(), list[bytes]()
    for batch in batches:
        frontier = frontier.extended(map(leaf_hash, batch))
        entries += batch
        assert (frontier.size, frontier.root) == (len(entries), by_definition(entries))
        assert Frontier.from_bytes(frontier.size, frontier.to_bytes()) == frontier
