"""The tree against the hashes that Certificate Transparency publishes for it."""

from __future__ import annotations

import pytest

from broker.audit.merkle import EMPTY_ROOT, Frontier, leaf_hash

LEAVES = [
    bytes.fromhex(entry)
    for entry in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def test_the_root_of_nothing_is_the_hash_of_nothing() -> None:
    assert Frontier().root == EMPTY_ROOT == bytes.fromhex(ROOTS[0])


@pytest.mark.parametrize("size", range(9))
def test_the_published_roots_are_met(size: int) -> None:
    assert Frontier().extended(map(leaf_hash, LEAVES[:size])).root.hex() == ROOTS[size]


def test_extending_leaves_the_old_frontier_as_it_was() -> None:
    before = Frontier().extended([leaf_hash(b"a")])
    root = before.root
    before.extended([leaf_hash(b"b"), leaf_hash(b"c")])
    assert (before.size, before.root) == (1, root)


def test_a_frontier_survives_storage() -> None:
    frontier = Frontier().extended(map(leaf_hash, LEAVES[:7]))
    assert Frontier.from_bytes(7, frontier.to_bytes()) == frontier


@pytest.mark.parametrize(("size", "joined"), [(7, b"x" * 64), (2, b"x" * 31), (-1, b""), (0, b"x" * 32)])
def test_bytes_that_are_no_frontier_of_this_size_are_refused(size: int, joined: bytes) -> None:
    with pytest.raises(ValueError, match="not "):
        Frontier.from_bytes(size, joined)
