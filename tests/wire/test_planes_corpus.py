"""The portable plane decodes as `planes.txt` says; `relay/native/rows` is tested with the same file.

So is every plane as a whole: `tests/contract/test_plane_corpus.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from relay.planes.row import Row, SessionTally
from relay.planes.token_bucket import TokenBucket
from relay.stun import channel_data
from relay.stun.malformed import MalformedError
from relay.vocabulary import Address, FiveTuple, Leg, Route, Transport

LINES = [
    line.split()
    for line in Path(__file__).with_name("planes.txt").read_text().splitlines()
    if not line.startswith("#")
]
NEGOTIATED, AUDIO = frozenset({0, 96, 111}), frozenset({0, 111})
PLENTY = 1 << 20


def octets(text: str) -> bytes:
    pieces = (piece.partition("x") for piece in text.strip("-").split("."))
    return b"".join(bytes.fromhex(digits) * int(times or 1) for digits, _, times in pieces)


def class_of(payload: bytes) -> str:
    client = Leg(FiveTuple(Transport.UDP, Address("192.0.2.1", 1), Address("192.0.2.2", 2)), 0x4000)
    session = SessionTally()
    route = Route(client, client, "s", NEGOTIATED, AUDIO, PLENTY, ("all is reserve",))
    row = Row(route, session, lambda *_: None, None)
    # Offsets are a decoder's, too: what stands around a payload is none of it.
    buffer = b"\x16" + payload + b"\x16"
    if not row.admits(buffer, 1, len(payload), 0.0):
        (reason,) = row.counters().drops
        return reason.value
    row.use_limiters({"all is reserve": TokenBucket(0, PLENTY, reserve=PLENTY)})
    if session.dtls_bytes:
        return "dtls"
    return "urgent" if row.admits(buffer, 1, len(payload), 0.0) else "bulk"


def test_no_two_lines_have_one_name() -> None:
    assert len({line[1] for line in LINES}) == len(LINES)


@pytest.mark.parametrize(
    ("data", "expected"),
    [line[2:] for line in LINES if line[0] == "payload"],
    ids=[line[1] for line in LINES if line[0] == "payload"],
)
def test_a_payload_is_of_its_class(data: str, expected: str) -> None:
    assert class_of(octets(data)) == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [(line[2], line[3:]) for line in LINES if line[0] == "datagram"],
    ids=[line[1] for line in LINES if line[0] == "datagram"],
)
def test_a_datagram_is_what_its_head_says(data: str, expected: list[str]) -> None:
    datagram = octets(data)
    if expected[0] in ("none", "request", "cut"):
        with pytest.raises(MalformedError, match="cut off" if expected[0] == "cut" else "not"):
            channel_data.parse(datagram)
    else:
        channel, payload = expected
        assert channel_data.parse(datagram) == (int(channel, 16), octets(payload))
