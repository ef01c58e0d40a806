"""How bytes tell what happens to a TURN server: who owns an allocation at first, then step after step.

Any bytes are a script. A step is a head (who, and what kind of step) and two bytes of argument; for a
datagram that is its length, and it follows. A datagram may leave open what only the scene knows: `complete`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple, Protocol

from relay.stun import attributes as a
from relay.stun.address import MAGIC_COOKIE
from relay.stun.integrity import fingerprint
from relay.stun.message import HEADER_LENGTH, packed_attribute

MAX_STEPS = 48
MAX_DATAGRAM_BYTES = 1500


class Kind(IntEnum):
    """What a step does; the meaning of its argument."""

    DATAGRAM = 0
    """It arrives from the actor. The argument is its length."""
    TIME = 1
    """Seconds pass. With bit 15 nothing is swept afterwards, with bit 14 the server is woken first."""
    HANG_UP = 2
    """The actor's connection ends."""
    REVOKE = 3
    """From now on the actors of these bits are revoked: credential, session or user, by bits 8 and 9."""
    DRAIN = 4
    END = 5
    """The actor's session is over."""
    ADMIT = 6
    """The actor's session is open, for so many seconds."""
    ROTATE = 7
    """Another secret signs; with an argument the former ones are not in force any more."""
    ALLOW = 8
    """One party of the actor's session may send RTP of this payload type: bit 7 says which. With bit 8 it may
    no more."""


class Step(NamedTuple):
    actor: int
    kind: Kind
    argument: int = 0
    datagram: bytes = b""


@dataclass
class Script:
    owners: int = 0
    """A bit for each actor that has an allocation at the start."""
    variant: int = 0
    """Bits that choose the rules."""
    steps: list[Step] = field(default_factory=list)


def decode(data: bytes) -> Script:
    script = Script(*data[:2])
    at = 2
    while at < len(data) and len(script.steps) < MAX_STEPS:
        actor, number = data[at] & 7, data[at] >> 3
        kind = Kind(number) if number < len(Kind) else Kind.DATAGRAM
        argument = int.from_bytes(data[at + 1 : at + 3], "big")
        at += 3
        if kind is Kind.DATAGRAM:
            length = min(argument, MAX_DATAGRAM_BYTES)
            script.steps.append(Step(actor, kind, datagram=data[at : at + length]))
            at += length
        else:
            script.steps.append(Step(actor, kind, argument))
    return script


def encode(script: Script) -> bytes:
    parts = [bytes((script.owners, script.variant))]
    for actor, kind, argument, datagram in script.steps:
        number = len(datagram) if kind is Kind.DATAGRAM else argument
        parts.append(bytes((kind << 3 | actor,)) + number.to_bytes(2, "big") + datagram)
    return b"".join(parts)


# --- messages with something left open ----------------------------------------------------------------

Attributes = list[tuple[int, bytes]]
INTEGRITIES = (a.MESSAGE_INTEGRITY.number, a.MESSAGE_INTEGRITY_SHA256.number)
OPENABLE = {*INTEGRITIES, a.XOR_PEER_ADDRESS.number, a.RESERVATION_TOKEN.number, a.FINGERPRINT.number}
OPEN = 1
"""The length that says that a value is left open; really none of these attributes has it."""


class Facts(Protocol):
    """What a scene fills in."""

    def peer(self, actor: int, transaction_id: bytes) -> bytes:
        """The address of an actor's allocation, packed."""

    def token(self) -> bytes:
        """The latest RESERVATION-TOKEN."""

    def login(self, how: int) -> Attributes:
        """USERNAME, REALM, NONCE and what else goes with an integrity of these bits."""

    def integrity(self, how: int, covered: bytes, *, sha256: bool) -> bytes:
        """Its value over what comes before it."""


def split(datagram: bytes) -> Attributes | None:
    """The attributes of what has a STUN header, be their lengths right or not; None for anything else."""
    if len(datagram) < HEADER_LENGTH or datagram[0] > 3 or datagram[4:8] != MAGIC_COOKIE:
        return None
    found: Attributes = []
    at = HEADER_LENGTH
    while at + 4 <= len(datagram):
        length = int.from_bytes(datagram[at + 2 : at + 4], "big")
        found.append((int.from_bytes(datagram[at : at + 2], "big"), datagram[at + 4 : at + 4 + length]))
        at += 4 + (length + 3 & ~3)
    return found


def join(head: bytes, attributes: Attributes) -> bytes:
    """A message of the type and transaction id of this one, with these attributes and their length."""
    body = b"".join(packed_attribute(number, value) for number, value in attributes)
    return head[:2] + len(body).to_bytes(2, "big") + head[4:HEADER_LENGTH] + body


def complete(datagram: bytes, facts: Facts) -> bytes:
    """The datagram with everything filled in that it leaves open; as it stands if that is nothing.

    The byte of an XOR-PEER-ADDRESS names an actor. That of an integrity says who signs and how: the login is
    put before it.
    """
    attributes = split(datagram)
    if attributes is None or not any(_is_open(*one) for one in attributes):
        return datagram
    done: Attributes = []
    for number, value in attributes:
        if not _is_open(number, value):
            done.append((number, value))
        elif number == a.XOR_PEER_ADDRESS.number:
            done.append((number, facts.peer(value[0], datagram[8:HEADER_LENGTH])))
        elif number == a.RESERVATION_TOKEN.number:
            done.append((number, facts.token()))
        elif number == a.FINGERPRINT.number:
            covered = join(datagram, [*done, (number, bytes(4))])[:-8]
            done.append((number, fingerprint(covered).to_bytes(4, "big")))
        else:
            done += facts.login(value[0])
            covered = join(datagram, done)
            done.append((number, facts.integrity(value[0], covered, sha256=number == INTEGRITIES[1])))
    return join(datagram, done)


def _is_open(number: int, value: bytes) -> bool:
    return len(value) == OPEN and number in OPENABLE
