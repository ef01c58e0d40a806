"""What fuzzing starts from: published vectors, and what clients really say.

`python -m tests.fuzz.seeds` writes them to `corpus/`.
"""

from __future__ import annotations

from pathlib import Path

from relay.stun import attributes as a
from relay.stun import channel_data
from relay.stun.framing import padded
from relay.stun.message import Field, MessageClass, Method, build
from relay.turn.authentication import OFFERED
from relay.vocabulary import Address
from tests.fuzz import plane_pair
from tests.fuzz.people_seeds import ENTRY, GUEST, SECOND_FACTOR, SECURITY_KEY
from tests.fuzz.script import INTEGRITIES, Attributes, Kind, Script, Step, encode, join
from tests.wire import test_stun_sha256 as sha256_vectors
from tests.wire import test_stun_vectors as vectors
from tests.wire.test_planes_corpus import LINES, octets

FOLDER = Path(__file__).parent
TID = bytes(range(12))
SHA1, SHA256 = INTEGRITIES
CHOSE_SHA256, CHOSE_MD5, BROKEN_NONCE, OTHERS_NONCE, WRONG_REALM, WITHOUT_LOGIN = 8, 16, 24, 32, 64, 128
ALICE, BOB, ALICE_TCP, ALICE2, BOB2_TLS, CAROL, BOB_BRIEFLY, GUESSER = range(8)
EVERYBODY = 0xFF
NO_SWEEP, WOKEN = 0x8000, 0x4000

LOGIN: list[Field] = [
    (a.USERNAME, b"1900007200:s1:alice"),
    (a.REALM, b"turngate"),
    (a.NONCE, b"obMatJos2gAAA"),
]
UDP: Field = (a.REQUESTED_TRANSPORT, 17)
PEER: Field = (a.XOR_PEER_ADDRESS, Address("198.18.0.1", 50000))
PEER6: Field = (a.XOR_PEER_ADDRESS, Address("2001:db8::1", 50000))


def message(
    method: int,
    *fields: Field,
    kind: MessageClass = MessageClass.REQUEST,
    key: bytes | None = None,
    **how: bool,
) -> bytes:
    return build(method, kind, TID, fields, key=key, **how)


STUN: dict[str, bytes] = {
    "rfc5769-2.1-request": vectors.REQUEST,
    "rfc5769-2.2-ipv4-response": vectors.IPV4_RESPONSE,
    "rfc5769-2.3-ipv6-response": vectors.IPV6_RESPONSE,
    "rfc5769-2.4-long-term": vectors.LONG_TERM_REQUEST,
    "rfc8489-b.1-userhash": sha256_vectors.B1_REQUEST,
    "binding": message(Method.BINDING, (a.SOFTWARE, b"Coturn-4.6.1"), with_fingerprint=True),
    "allocate-bare": message(Method.ALLOCATE, UDP, (a.LIFETIME, 800), (a.SOFTWARE, b"Coturn-4.6.1")),
    "allocate-signed": message(Method.ALLOCATE, UDP, (a.EVEN_PORT, True), *LOGIN, key=b"key"),
    "allocate-sha256": message(
        Method.ALLOCATE,
        UDP,
        *LOGIN,
        (a.PASSWORD_ALGORITHMS, OFFERED),
        (a.PASSWORD_ALGORITHM, OFFERED[0]),
        key=b"key",
        sha256=True,
        with_fingerprint=True,
    ),
    "challenge": message(
        Method.ALLOCATE,
        (a.ERROR_CODE, 401),
        *LOGIN[1:],
        (a.PASSWORD_ALGORITHMS, OFFERED),
        kind=MessageClass.ERROR,
    ),
    "allocated": message(
        Method.ALLOCATE,
        (a.XOR_RELAYED_ADDRESS, Address("198.18.0.1", 50000)),
        (a.LIFETIME, 600),
        (a.XOR_MAPPED_ADDRESS, Address("2001:db8::7", 40000)),
        (a.RESERVATION_TOKEN, b"12345678"),
        (a.ADDRESS_ERROR_CODE, (2, 440)),
        kind=MessageClass.SUCCESS,
        key=b"key",
    ),
    "elsewhere": message(
        Method.ALLOCATE,
        (a.ERROR_CODE, 300),
        (a.ALTERNATE_SERVER, Address("192.0.2.9", 3478)),
        kind=MessageClass.ERROR,
    ),
    "unknown-attributes": message(
        Method.REFRESH, (a.ERROR_CODE, 420), (a.UNKNOWN_ATTRIBUTES, (0x7ABC, 0x001E)), kind=MessageClass.ERROR
    ),
    "permission": message(Method.CREATE_PERMISSION, PEER, PEER6, *LOGIN, key=b"key"),
    "bind": message(Method.CHANNEL_BIND, (a.CHANNEL_NUMBER, 0x4000), PEER, *LOGIN, key=b"key"),
    "send": message(
        Method.SEND, PEER, (a.DATA, b"hello"), (a.DONT_FRAGMENT, True), kind=MessageClass.INDICATION
    ),
    "data": message(Method.DATA, PEER6, (a.DATA, b""), kind=MessageClass.INDICATION),
}

CHANNEL: dict[str, bytes] = {
    "empty": channel_data.build(0x4000, b""),
    "rtp": channel_data.build(0x4001, b"\x80\x6f\x00\x01" + bytes(20)),
    "padded": padded(channel_data.build(0x4FFF, b"abc")),
    "legacy": channel_data.build(0x7FFE, b"legacy"),
    "cut-off": channel_data.build(0x4000, b"cut off")[:-1],
}

CALL = b"".join(
    map(padded, (STUN["allocate-bare"], CHANNEL["rtp"], STUN["send"], CHANNEL["empty"], STUN["bind"]))
)
FRAMING: dict[str, bytes] = {
    "whole": b"\xff\xff\x00" + CALL,
    "in-pieces": b"\x08\x00\x05\x01\x20\x40\x80\xfe" + CALL,
    "over-the-limit": b"\x00\x20\x02\x40\x80" + CALL,
    "one-at-a-time": b"\x08\x00\x11\x80" + CALL,
    "garbage-behind": b"\x08\x00\x01\x80" + CALL + b"GET / HTTP/1.1\r\n",
    "ends-early": b"\x08\x00\x01\x80" + CALL[:-5],
}


# --- scripts: what a datagram leaves open, the scene fills in -------------------------------------------


def says(
    actor: int, method: int, *attributes: tuple[int, bytes], how: int | None = None, kind: int = SHA1
) -> Step:
    """A request, signed unless `how` is negative; by default as oneself and well."""
    signs = [] if how is not None and how < 0 else [(kind, bytes((actor if how is None else how,)))]
    return Step(actor, Kind.DATAGRAM, datagram=join(message(method), [*attributes, *signs]))


def plain(*fields: Field) -> Attributes:
    return [(attribute.number, attribute.pack(value, TID)) for attribute, value in fields]


def peer(actor: int) -> tuple[int, bytes]:
    return a.XOR_PEER_ADDRESS.number, bytes((actor,))


def allocates(actor: int, *fields: Field, **how: int) -> Step:
    return says(actor, Method.ALLOCATE, *plain(UDP, *fields), **how)


def permits(actor: int, *peers: int) -> Step:
    return says(actor, Method.CREATE_PERMISSION, *map(peer, peers))


def binds(actor: int, number: int, other: int) -> Step:
    return says(actor, Method.CHANNEL_BIND, *plain((a.CHANNEL_NUMBER, number)), peer(other))


def refreshes(actor: int, lifetime: int) -> Step:
    return says(actor, Method.REFRESH, *plain((a.LIFETIME, lifetime)))


def sends(actor: int, other: int) -> Step:
    head = message(Method.SEND, kind=MessageClass.INDICATION)
    return Step(actor, Kind.DATAGRAM, datagram=join(head, [peer(other), *plain((a.DATA, b"payload"))]))


def on_channel(actor: int, number: int) -> Step:
    return Step(actor, Kind.DATAGRAM, datagram=channel_data.build(number, b"payload"))


def after(seconds: int) -> Step:
    return Step(0, Kind.TIME, seconds)


CALLING = [
    binds(ALICE, 0x4000, BOB),
    permits(BOB, ALICE),
    sends(BOB, ALICE),
    after(1),
    on_channel(ALICE, 0x4000),
]
STORIES: dict[str, tuple[int, int, list[Step]]] = {
    "handshake": (
        0,
        0,
        [says(ALICE, Method.BINDING, how=-1), allocates(ALICE, how=-1), allocates(ALICE), allocates(ALICE)],
    ),
    "call": (EVERYBODY, 0, [*CALLING, sends(BOB, ALICE), refreshes(ALICE, 600), refreshes(BOB, 0)]),
    "streams": (
        EVERYBODY,
        0,
        [
            binds(ALICE_TCP, 0x4001, BOB),
            binds(BOB, 0x4001, ALICE_TCP),
            on_channel(BOB, 0x4001),
            on_channel(ALICE_TCP, 0x4001),
            Step(ALICE_TCP, Kind.HANG_UP),
            on_channel(BOB, 0x4001),
        ],
    ),
    "held": (
        EVERYBODY,
        0,
        [
            permits(ALICE, BOB),
            *[sends(ALICE, BOB)] * 5,
            binds(BOB, 0x4FFF, ALICE),
            after(1 | NO_SWEEP | WOKEN),
        ],
    ),
    "expiry": (EVERYBODY, 0, [*CALLING, after(119), refreshes(BOB, 600), after(1 | NO_SWEEP), *CALLING]),
    "channel-over-before-the-sweep": (
        EVERYBODY,
        0,
        [
            refreshes(ALICE, 600),
            refreshes(BOB, 600),
            *CALLING,
            after(300 | NO_SWEEP),
            refreshes(ALICE, 600),
            refreshes(BOB, 600),
            after(299 | NO_SWEEP),
            on_channel(ALICE, 0x4000),
            binds(ALICE, 0x4000, BOB),
        ],
    ),
    "late-on-a-stream": (EVERYBODY, 0, [after(120 | NO_SWEEP), allocates(ALICE_TCP), allocates(BOB)]),
    "admission-over-before-the-sweep": (
        0,
        0,
        [Step(BOB, Kind.ADMIT, 100), after(100 | NO_SWEEP), allocates(BOB)],
    ),
    "bound-later": (
        EVERYBODY,
        0,
        [
            permits(ALICE, BOB),
            permits(BOB, ALICE),
            sends(ALICE, BOB),
            sends(BOB, ALICE),
            binds(BOB, 0x4000, ALICE),
            sends(ALICE, BOB),
        ],
    ),
    "even-ports": (
        0,
        0,
        [
            allocates(ALICE, (a.EVEN_PORT, True), (a.ADDITIONAL_ADDRESS_FAMILY, 2)),
            allocates(ALICE, (a.EVEN_PORT, True)),
            says(ALICE_TCP, Method.ALLOCATE, *plain(UDP), (a.RESERVATION_TOKEN.number, b"?")),
            allocates(BOB, (a.EVEN_PORT, False), (a.LIFETIME, 3600)),
        ],
    ),
    "sha256": (
        0,
        0,
        [
            allocates(ALICE, how=ALICE | CHOSE_SHA256, kind=SHA256),
            allocates(BOB, how=BOB | CHOSE_MD5),
            allocates(ALICE2, kind=SHA256),
        ],
    ),
    "errors": (
        1 << ALICE,
        0,
        [
            allocates(CAROL),
            allocates(GUESSER),
            allocates(BOB, how=BOB | OTHERS_NONCE),
            allocates(BOB, how=BOB | BROKEN_NONCE),
            allocates(BOB, how=BOB | WRONG_REALM),
            allocates(BOB, how=BOB | WITHOUT_LOGIN),
            allocates(BOB, (a.MOBILITY_TICKET, b"")),
            allocates(BOB, (a.REQUESTED_ADDRESS_FAMILY, 2)),
            says(BOB, Method.ALLOCATE, (0x7ABC, b"")),
            says(BOB, Method.REFRESH),
            says(ALICE, Method.REFRESH, how=BOB),
            says(ALICE, Method.DATA),
            binds(ALICE, 0x5000, BOB),
            permits(ALICE, ALICE2, ALICE),
            sends(ALICE, CAROL),
            on_channel(ALICE, 0x4444),
            after(61),
            allocates(BOB_BRIEFLY),
        ],
    ),
    "foreign": (
        EVERYBODY,
        0,
        [
            binds(ALICE, 0x4000, ALICE_TCP),
            permits(ALICE_TCP, ALICE),
            on_channel(ALICE, 0x4000),
            binds(ALICE, 0x4001, ALICE),
            binds(ALICE, 0x4002, ALICE2),
            permits(BOB2_TLS, ALICE2),
            sends(BOB2_TLS, BOB),
        ],
    ),
    "amplifying": (0, 128, [allocates(ALICE, how=-1), allocates(ALICE), allocates(ALICE2, how=-1)]),
    "administrator": (
        EVERYBODY,
        32,
        [
            *CALLING,
            Step(BOB, Kind.ROTATE, 0),
            refreshes(ALICE, 600),
            Step(BOB, Kind.ALLOW, 111),
            Step(BOB, Kind.ALLOW, 0x80 | 111),
            Step(BOB, Kind.ALLOW, 0x100 | 111),
            Step(0, Kind.REVOKE, 1 << BOB),
            allocates(BOB),
            Step(0, Kind.REVOKE, 0),
            Step(ALICE, Kind.ADMIT, 100),
            Step(0, Kind.DRAIN),
            allocates(BOB),
            allocates(ALICE2),
            Step(ALICE2, Kind.END),
            after(100),
        ],
    ),
    "anybody": (
        EVERYBODY,
        2,
        [binds(CAROL, 0x4000, ALICE2), permits(ALICE2, CAROL), on_channel(CAROL, 0x4000)],
    ),
    "by-credential": (0, 4, [allocates(CAROL), refreshes(CAROL, 0), allocates(ALICE), Step(ALICE, Kind.END)]),
    "ipv6-legacy": (
        EVERYBODY,
        9,
        [binds(ALICE, 0x7FFE, BOB), permits(BOB, ALICE), on_channel(ALICE, 0x7FFE)],
    ),
    "full-and-flooded": (7, 16 | 64, [allocates(ALICE2), *[allocates(GUESSER)] * 4, says(BOB, 1, how=-1)]),
}
SERVER = {name: encode(Script(*story)) for name, story in STORIES.items()}
CORPUS = {
    name: channel_data.build(0x4000 | row & 1, octets(data)) if kind == "payload" else octets(data)
    for row, (kind, name, data, *_) in enumerate(LINES)
}
SHORT = {name: datagram for name, datagram in CORPUS.items() if len(datagram) < 2000}
PLANES = {name: plane_pair.join([datagram]) for name, datagram in SHORT.items()} | {
    "all-of-them": plane_pair.join(SHORT.values())
}
POLICY = {
    path.name: path.read_bytes() for path in (FOLDER.parent.parent / "config" / "samples").glob("policy-*")
}
LATCH = {
    "all": b"stop\n",
    "zone": b'stop-zone:finance\n{"by": "olga", "reason": "an incident"}',
    "quoted": b"stop-user:a%20b%C3%BC\n{}",
    "nonsense": b"STOP.txt\n\xff",
    "drill": b"drill-all\n",
}

SEEDS = {
    "stun": STUN,
    "channel": CHANNEL,
    "framing": FRAMING,
    "server": SERVER,
    "planes": PLANES,
    "policy": POLICY,
    "latch": LATCH,
    "second_factor": SECOND_FACTOR,
    "security_key": SECURITY_KEY,
    "guest": GUEST,
    "entry": ENTRY,
}


def main() -> None:
    for target, seeds in SEEDS.items():
        folder = FOLDER / "corpus" / target
        folder.mkdir(parents=True, exist_ok=True)
        for name, seed in seeds.items():
            (folder / name).write_bytes(seed)


if __name__ == "__main__":
    main()
