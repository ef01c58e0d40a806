"""Changes to an input that keep its form, so that what is behind the form is tried too.

A generator of numbers is passed in; the same numbers make the same changes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random
from typing import Any, Final

from relay.stun import attributes as a
from relay.stun import channel_data
from relay.stun.integrity import fingerprint
from relay.stun.message import HEADER_LENGTH, Field, MessageClass, Method, build
from relay.turn.authentication import OFFERED
from relay.vocabulary import Address
from tests.fuzz.script import (
    INTEGRITIES,
    MAX_STEPS,
    OPENABLE,
    Attributes,
    Kind,
    Step,
    decode,
    encode,
    join,
    split,
)

Mutation = Callable[[bytes, Random], bytes]

TID: Final = bytes(range(12))
TYPICAL: Final[list[Field]] = [
    (a.USERNAME, b"1900007200:s1:alice"),
    (a.REALM, b"turngate"),
    (a.NONCE, b"obMatJos2gAAA"),
    (a.CHANNEL_NUMBER, 0x4000),
    (a.CHANNEL_NUMBER, 0x4001),
    (a.CHANNEL_NUMBER, 0x4FFF),
    (a.CHANNEL_NUMBER, 0x7FFE),
    (a.LIFETIME, 0),
    (a.LIFETIME, 600),
    (a.LIFETIME, 0xFFFFFFFF),
    (a.XOR_PEER_ADDRESS, Address("198.18.0.1", 49152)),
    (a.XOR_PEER_ADDRESS, Address("2001:db8:1::1", 49152)),
    (a.DATA, b""),
    (a.DATA, b"\x80\x00payload"),
    (a.REQUESTED_ADDRESS_FAMILY, 1),
    (a.REQUESTED_ADDRESS_FAMILY, 2),
    (a.ADDITIONAL_ADDRESS_FAMILY, 2),
    (a.EVEN_PORT, False),
    (a.EVEN_PORT, True),
    (a.REQUESTED_TRANSPORT, 17),
    (a.REQUESTED_TRANSPORT, 6),
    (a.DONT_FRAGMENT, True),
    (a.RESERVATION_TOKEN, bytes(8)),
    (a.MOBILITY_TICKET, b""),
    (a.PASSWORD_ALGORITHM, OFFERED[0]),
    (a.PASSWORD_ALGORITHM, OFFERED[1]),
    (a.PASSWORD_ALGORITHMS, OFFERED),
    (a.ALTERNATE_SERVER, Address("192.0.2.9", 3478)),
    (a.ERROR_CODE, 401),
    (a.UNKNOWN_ATTRIBUTES, (0x7ABC,)),
    (a.MESSAGE_INTEGRITY, bytes(20)),
    (a.MESSAGE_INTEGRITY_SHA256, bytes(32)),
    (a.SOFTWARE, b"fuzz"),
]
UNKNOWN: Final = (0x7ABC, 0x8ABC, 0x0001, 0x001E)
CLIENT_METHODS: Final = [method for method in Method if method is not Method.DATA]


def any_mutation(data: bytes, random: Random) -> bytes:
    """Bytes without any form."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 4))):
        at = random.randint(0, len(changed))
        match random.randrange(4):
            case 0:
                changed[at:at] = random.randbytes(random.choice((1, 2, 4)))
            case 1:
                del changed[at : at + random.choice((1, 2, 4, 16))]
            case 2:
                changed[at : at + 1] = bytes(
                    (random.choice((0, 1, 0x40, 0x7F, 0xFF, random.randrange(256))),)
                )
            case _:
                changed[at:at] = changed[random.randint(0, len(changed)) :][: random.choice((4, 8, 32))]
    return bytes(changed)


def message_mutation(data: bytes, random: Random) -> bytes:
    """Attributes change, and the header's length with them; at times a length lies."""
    attributes = split(data)
    if attributes is None:
        return _message(random) if random.randrange(8) == 0 else any_mutation(data, random)
    for _ in range(random.choice((1, 1, 2, 3))):
        at = random.randint(0, len(attributes))
        match random.randrange(6):
            case 0:
                attributes.insert(at, _attribute(random))
            case 1:
                del attributes[at : at + 1]
            case 2 if attributes:
                attributes.insert(at, random.choice(attributes))
            case 3 if at < len(attributes):
                number, value = attributes[at]
                attributes[at] = number, any_mutation(value, random)
            case 4 if at < len(attributes):
                attributes[at] = random.choice((*a.KNOWN, *UNKNOWN)), attributes[at][1]
            case _:
                random.shuffle(attributes)
    changed = join(data, attributes)
    match random.randrange(12):
        case 0:
            at = random.randrange(HEADER_LENGTH)
            return changed[:at] + bytes((random.randrange(256),)) + changed[at + 1 :]
        case 1 if len(changed) > HEADER_LENGTH:
            at = random.randrange(HEADER_LENGTH, len(changed), 4)
            return changed[: at + 3] + bytes((random.randrange(64),)) + changed[at + 4 :]
        case 2:
            kind = build(random.choice(CLIENT_METHODS), MessageClass(random.choice((0, 0, 1))), TID)[:2]
            return kind + changed[2:]
        case 3:
            return _marked(changed)
        case _:
            return changed


def script_mutation(data: bytes, random: Random) -> bytes:
    """Steps come, go, change places and actors, and what arrives in them changes."""
    script = decode(data)
    steps = script.steps
    for _ in range(random.choice((1, 1, 2, 3))):
        at = random.randint(0, len(steps))
        match random.randrange(10):
            case 0:
                script.owners ^= 1 << random.randrange(8)
            case 1:
                script.variant ^= 1 << random.randrange(8)
            case 2:
                del steps[at : at + random.choice((1, 1, 4))]
            case 3 if steps:
                steps.insert(at, random.choice(steps))
            case 4 if at < len(steps):
                steps[at] = steps[at]._replace(actor=random.randrange(8))
            case 5 | 6 if at < len(steps) and steps[at].kind is Kind.DATAGRAM:
                steps[at] = steps[at]._replace(datagram=message_mutation(steps[at].datagram, random))
            case 7:
                kind = random.choice([kind for kind in Kind if kind is not Kind.DATAGRAM])
                argument = random.choice(
                    (0, 1, 2, 61, 121, 301, 601, 3600, 0x8078, 0x8258, 0xC001, random.randrange(65536))
                )
                steps.insert(at, Step(random.randrange(8), kind, argument))
            case _:
                steps.insert(at, Step(random.randrange(8), Kind.DATAGRAM, datagram=_datagram(random)))
    del steps[MAX_STEPS:]
    return encode(script)


def _datagram(random: Random) -> bytes:
    if random.randrange(4) == 0:
        channel = random.choice((0x4000, 0x4001, 0x4FFF, 0x7FFE))
        return channel_data.build(channel, random.randbytes(random.choice((0, 1, 12, 40))))
    return _message(random)


def _message(random: Random) -> bytes:
    """A request that is signed more often than not, or a Send indication."""
    method = random.choice(CLIENT_METHODS)
    kind = MessageClass.INDICATION if method is Method.SEND else MessageClass.REQUEST
    head = build(method, kind, random.randbytes(12))
    needed: dict[Method, list[a.Attribute[Any]]] = {
        Method.ALLOCATE: [a.REQUESTED_TRANSPORT],
        Method.SEND: [a.XOR_PEER_ADDRESS, a.DATA],
        Method.CREATE_PERMISSION: [a.XOR_PEER_ADDRESS],
        Method.CHANNEL_BIND: [a.CHANNEL_NUMBER, a.XOR_PEER_ADDRESS],
    }
    attributes: Attributes = []
    for attribute in needed.get(method, []):
        packed = [one.pack(value, TID) for one, value in TYPICAL if one is attribute]
        is_open = attribute is a.XOR_PEER_ADDRESS and random.randrange(8)
        attributes.append((attribute.number, random.randbytes(1) if is_open else random.choice(packed[:2])))
    for _ in range(random.choice((0, 0, 0, 1, 2))):
        attributes.insert(random.randint(0, len(attributes)), _attribute(random))
    if kind is MessageClass.REQUEST and random.randrange(8):
        attributes.append(
            (random.choice(INTEGRITIES), bytes((random.choice((0, 1, 2, 3, 4, 5, 6, 7)) | _how(random),)))
        )
    return join(head, attributes)


def _how(random: Random) -> int:
    """How somebody signs, most often well: see `Scene.login`."""
    return random.choice((0, 0, 0, 0, 8, 16, 24, 32, 64, 128))


def _attribute(random: Random) -> tuple[int, bytes]:
    match random.randrange(6):
        case 0:
            return random.choice(sorted(OPENABLE)), random.randbytes(1)
        case 1:
            return random.choice(UNKNOWN), random.randbytes(random.choice((0, 4)))
        case _:
            attribute, value = random.choice(TYPICAL)
            return attribute.number, attribute.pack(value, TID)


def _marked(message: bytes) -> bytes:
    """With a FINGERPRINT at its end, right for a message without anything left open."""
    covered = join(message, [*(split(message) or []), (a.FINGERPRINT.number, bytes(4))])[:-8]
    return (
        covered + a.FINGERPRINT.number.to_bytes(2, "big") + b"\0\4" + fingerprint(covered).to_bytes(4, "big")
    )


def text_mutation(data: bytes, random: Random) -> bytes:
    """Lines come and go, and what stands between quotes changes places."""
    lines = data.splitlines(keepends=True)
    words = re.findall(rb'"[^"\n]*"', data)
    for _ in range(random.choice((1, 1, 2, 4))):
        at = random.randint(0, len(lines))
        match random.randrange(4):
            case 0:
                del lines[at : at + random.choice((1, 2, 4))]
            case 1 if lines:
                lines.insert(at, random.choice(lines))
            case 2 if words and at < len(lines):
                word = random.choice(words)
                lines[at] = re.sub(rb'"[^"\n]*"', word.replace(b"\\", rb"\\"), lines[at], count=1)
            case _:
                lines[at : at + 1] = [any_mutation(b"".join(lines[at : at + 1]), random)]
    return b"".join(lines)


MUTATIONS: Final[dict[str, Mutation]] = {
    "stun": message_mutation,
    "channel": any_mutation,
    "framing": any_mutation,
    "server": script_mutation,
    "planes": any_mutation,
    "policy": text_mutation,
    "latch": any_mutation,
    "second_factor": any_mutation,
    "security_key": text_mutation,
    "guest": any_mutation,
    "entry": text_mutation,
}
