"""RFC 8489: integrity with SHA-256, the choice of password algorithms, and the attributes around them."""

from __future__ import annotations

import hashlib

import pytest

from relay.stun import attributes as a
from relay.stun.integrity import PasswordAlgorithm, long_term_key
from relay.stun.malformed import MalformedError
from relay.stun.message import Field, MessageClass, Method, build, packed_attribute, parse
from relay.vocabulary import Address

USERHASH = 0x001E
TID = bytes(range(12))

B1_REQUEST = bytes.fromhex(
    "000100902112a44278ad3433c6ad72c029da412e"
    "001e00204a3cf38fef6992bda952c6780417da0f24819415569e60b205c46e41407f1704"
    "001500296f624d61744a6f7332414141"
    "43662f2f3439396b39353464364f4c33346f4c39465354767936347341000000"
    "0014000b6578616d706c652e6f726700"
    "001d000400020000"
    "001c0020b5c7bf005b6c52a21c51c5e892f81924136296cb927c43149309278cc6518e65"
)
"""As erratum 6268 has it; the one printed in the RFC does not parse."""


def test_rfc8489_b_1_the_sample_request_verifies() -> None:
    message = parse(B1_REQUEST)
    username, realm = "マトリックス".encode(), b"example.org"
    userhash = dict(message.attributes)[USERHASH]
    assert userhash == hashlib.sha256(username + b":" + realm).digest()
    assert message.first(a.NONCE) == b"obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA"
    assert message.first(a.REALM) == realm
    assert message.first(a.PASSWORD_ALGORITHM) == (PasswordAlgorithm.SHA_256, b"")
    assert message.integrity_at is None
    assert message.verifies(long_term_key(username, realm, b"TheMatrIX", PasswordAlgorithm.SHA_256))
    assert not message.verifies(long_term_key(username, realm, b"TheMatrIX"))


def test_rfc8489_18_5_1_2_the_sha256_key_of_the_example() -> None:
    key = long_term_key(b"user", b"realm", b"pass", PasswordAlgorithm.SHA_256)
    assert key == hashlib.sha256(b"user:realm:pass").digest()
    assert len(key) == 32


def test_rfc8489_14_6_what_is_built_with_sha256_verifies_and_has_no_sha1() -> None:
    datagram = build(Method.REFRESH, MessageClass.REQUEST, TID, [(a.LIFETIME, 600)], key=b"k", sha256=True)
    message = parse(datagram)
    assert message.integrity_at is None
    assert message.sha256_at == len(datagram) - 36
    assert message.verifies(b"k")
    assert not message.verifies(b"other")
    assert not parse(datagram[:-1] + bytes((datagram[-1] ^ 1,))).verifies(b"k")


@pytest.mark.parametrize("length", [16, 20, 28])
def test_rfc8489_14_6_a_truncated_value_is_read_and_does_not_verify(length: int) -> None:
    whole = build(Method.REFRESH, MessageClass.REQUEST, TID, key=b"k", sha256=True)
    cut = whole[:20] + packed_attribute(0x001C, whole[24 : 24 + length])
    message = parse(cut[:2] + (len(cut) - 20).to_bytes(2, "big") + cut[4:])
    assert message.sha256_at == 20
    assert not message.verifies(b"k")


@pytest.mark.parametrize("length", [0, 4, 12, 17, 18, 19, 36])
def test_rfc8489_14_6_a_value_of_another_length_is_malformed(length: int) -> None:
    body = packed_attribute(0x001C, bytes(length))
    head = build(Method.REFRESH, MessageClass.REQUEST, TID)
    with pytest.raises(MalformedError):
        parse(head[:2] + len(body).to_bytes(2, "big") + head[4:] + body)


def test_rfc8489_14_5_of_two_integrities_sha256_counts() -> None:
    """A relay on the way that strips or breaks the stronger one is found out."""
    sha1 = build(Method.REFRESH, MessageClass.REQUEST, TID, [(a.LIFETIME, 600)], key=b"k")
    wrong = packed_attribute(0x001C, bytes(32))
    both = parse(sha1[:2] + (len(sha1) - 20 + 36).to_bytes(2, "big") + sha1[4:] + wrong)
    assert both.integrity_at is not None
    assert both.sha256_at is not None
    assert not both.verifies(b"k")


@pytest.mark.parametrize("sha256", [False, True])
def test_rfc8489_14_6_attributes_after_the_integrity_are_ignored(sha256: bool) -> None:
    signed = build(Method.REFRESH, MessageClass.REQUEST, TID, [(a.LIFETIME, 600)], key=b"k", sha256=sha256)
    more = (
        packed_attribute(0x000D, bytes(4))
        + packed_attribute(0x7ABC, b"")
        + packed_attribute(0x0008, bytes(20))
    )
    message = parse(signed[:2] + (len(signed) - 20 + len(more)).to_bytes(2, "big") + signed[4:] + more)
    assert message.attributes == ((0x000D, (600).to_bytes(4, "big")),)
    assert message.unknown() == ()
    assert message.verifies(b"k")


def test_rfc8489_14_11_and_12_password_algorithms_and_their_parameters() -> None:
    offered = ((2, b""), (1, b""), (77, b"par"))
    fields: list[Field] = [(a.PASSWORD_ALGORITHMS, offered), (a.PASSWORD_ALGORITHM, (77, b"par"))]
    datagram = build(Method.ALLOCATE, MessageClass.REQUEST, TID, fields)
    assert bytes.fromhex("800200100002000000010000004d0003") + b"par\0" in datagram
    message = parse(datagram)
    assert message.first(a.PASSWORD_ALGORITHMS) == offered
    assert message.first(a.PASSWORD_ALGORITHM) == (77, b"par")


@pytest.mark.parametrize(
    "value", [b"\x00", b"\x00\x02\x00", b"\x00\x02\x00\x01", b"\x00\x02\x00\x00\x00\x01"]
)
def test_rfc8489_14_11_algorithms_that_are_cut_off_are_malformed(value: bytes) -> None:
    with pytest.raises(MalformedError):
        a.PASSWORD_ALGORITHMS.unpack(value, TID)
    with pytest.raises(MalformedError):
        a.PASSWORD_ALGORITHM.unpack(value, TID)


@pytest.mark.parametrize("value", [b"", bytes.fromhex("0002000000010000")])
def test_rfc8489_14_12_one_algorithm_is_exactly_one(value: bytes) -> None:
    with pytest.raises(MalformedError):
        a.PASSWORD_ALGORITHM.unpack(value, TID)


@pytest.mark.parametrize(
    ("address", "packed"),
    [
        (Address("192.0.2.7", 3478), "00010d96c0000207"),
        (Address("2001:db8::7", 3478), "00020d9620010db8000000000000000000000007"),
    ],
)
def test_rfc8489_14_15_an_alternate_server_is_written_unmasked(address: Address, packed: str) -> None:
    assert a.ALTERNATE_SERVER.pack(address, TID).hex() == packed
    assert a.ALTERNATE_SERVER.unpack(bytes.fromhex(packed), TID) == address
