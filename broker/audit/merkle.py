"""The Merkle tree of RFC 9162 section 2.1 (the same hashes as RFC 6962), in the form that only ever grows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Frontier:
    """The roots of the perfect subtrees that a tree of `size` leaves is made of, largest first: one for each
    bit set in `size`. It is all that is needed to append and to know the root."""

    size: int = 0
    nodes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 0 or len(self.nodes) != self.size.bit_count():
            raise ValueError("not the frontier of a tree of this size")

    def extended(self, leaves: Iterable[bytes]) -> Frontier:
        """The frontier after these leaf hashes were appended; this one stays as it is."""
        nodes, size = list(self.nodes), self.size
        for leaf in leaves:
            node, carry = leaf, size
            # Adding one carries through the low set bits; each carry joins two perfect subtrees of one
            # height.
            while carry & 1:
                node = node_hash(nodes.pop(), node)
                carry >>= 1
            nodes.append(node)
            size += 1
        return Frontier(size, tuple(nodes))

    @property
    def root(self) -> bytes:
        if not self.nodes:
            return EMPTY_ROOT
        root = self.nodes[-1]
        for left in reversed(self.nodes[:-1]):
            root = node_hash(left, root)
        return root

    def to_bytes(self) -> bytes:
        """The nodes, joined; the size is kept beside."""
        return b"".join(self.nodes)

    @staticmethod
    def from_bytes(size: int, joined: bytes) -> Frontier:
        """Raises ValueError when the bytes are not as many as a tree of this size needs."""
        if len(joined) % HASH_BYTES:
            raise ValueError("not a sequence of hashes")
        return Frontier(size, tuple(joined[at : at + HASH_BYTES] for at in range(0, len(joined), HASH_BYTES)))
