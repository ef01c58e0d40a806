"""The test vectors of RFC 5769 and RFC 8489, and what is built parses back."""

from __future__ import annotations

import pytest

from relay.stun import attributes as a
from relay.stun import channel_data
from relay.stun.integrity import long_term_key
from relay.stun.malformed import MalformedError
from relay.stun.message import Field, MessageClass, Method, build, parse
from relay.vocabulary import Address

PASSWORD = b"VOkJxbRl1RmTxUk/WvJxBt"

REQUEST = bytes.fromhex(
    "000100582112a442b7e7a701bc34d686fa87dfae"
    "802200105354554e207465737420636c69656e74"
    "002400046e0001ff80290008932ff9b151263b36"
    "000600096576746a3a68367659202020"
    "000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2"
    "80280004e57a3bcf"
)
IPV4_RESPONSE = bytes.fromhex(
    "0101003c2112a442b7e7a701bc34d686fa87dfae"
    "8022000b7465737420766563746f7220"
    "002000080001a147e112a643"
    "000800142b91f599fd9e90c38c7489f92af9ba53f06be7d7"
    "80280004c07d4c96"
)
IPV6_RESPONSE = bytes.fromhex(
    "010100482112a442b7e7a701bc34d686fa87dfae"
    "8022000b7465737420766563746f7220"
    "002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9"
    "00080014a382954e4be67bf11784c97c8292c275bfe3ed41"
    "80280004c8fb0b4c"
)
LONG_TERM_REQUEST = bytes.fromhex(
    "000100602112a44278ad3433c6ad72c029da412e"
    "00060012e3839ee38388e383aae38383e382afe382b90000"
    "0015001c662f2f3439396b39353464364f4c33346f4c394653547679363473 41".replace(" ", "")
    + "0014000b6578616d706c652e6f726700"
    "00080014f67024656dd64a3e02b8e0712e85c9a28ca89666"
)


def test_rfc5769_2_1_the_sample_request_verifies_with_its_password() -> None:
    message = parse(REQUEST)
    assert (message.method, message.message_class) == (Method.BINDING, MessageClass.REQUEST)
    assert message.first(a.USERNAME) == b"evtj:h6vY"
    assert message.first(a.SOFTWARE) == b"STUN test client"
    assert message.has_fingerprint
    assert message.verifies(PASSWORD)
    assert not message.verifies(PASSWORD[:-1])
    assert message.unknown() == (0x0024,)


@pytest.mark.parametrize(
    ("response", "address"),
    [
        pytest.param(IPV4_RESPONSE, Address("192.0.2.1", 32853), id="2.2-ipv4"),
        pytest.param(IPV6_RESPONSE, Address("2001:db8:1234:5678:11:2233:4455:6677", 32853), id="2.3-ipv6"),
    ],
)
def test_rfc5769_sample_responses_carry_the_mapped_address(response: bytes, address: Address) -> None:
    message = parse(response)
    assert message.message_class is MessageClass.SUCCESS
    assert message.first(a.XOR_MAPPED_ADDRESS) == address
    assert message.verifies(PASSWORD)
    packed = a.XOR_MAPPED_ADDRESS.pack(address, message.transaction_id)
    assert packed in response


def test_rfc5769_2_4_the_long_term_request_verifies() -> None:
    message = parse(LONG_TERM_REQUEST)
    assert message.first(a.NONCE) == b"f//499k954d6OL34oL9FSTvy64sA"
    key = long_term_key("マトリックス".encode(), b"example.org", b"TheMatrIX")
    assert message.verifies(key)
    assert not message.has_fingerprint


def test_rfc8489_9_2_2_the_long_term_key_of_the_example() -> None:
    assert long_term_key(b"user", b"realm", b"pass").hex() == "8493fbc53ba582fb4c044c456bdc40eb"


def test_what_is_built_parses_verifies_and_keeps_its_order() -> None:
    tid = bytes(range(12))
    peer = Address("2001:db8::1", 9)
    fields: list[Field] = [(a.LIFETIME, 600), (a.XOR_PEER_ADDRESS, peer), (a.DATA, b"12345")]
    datagram = build(Method.SEND, MessageClass.INDICATION, tid, fields, key=b"k", with_fingerprint=True)
    message = parse(datagram)
    assert message.first(a.LIFETIME) == 600
    assert message.first(a.XOR_PEER_ADDRESS) == peer
    assert message.first(a.DATA) == b"12345"
    assert [number for number, _ in message.attributes] == [0x000D, 0x0012, 0x0013]
    assert message.verifies(b"k")
    assert message.has_fingerprint


def test_rfc8489_14_5_attributes_after_the_integrity_are_ignored() -> None:
    tid = bytes(12)
    signed = build(Method.REFRESH, MessageClass.REQUEST, tid, [(a.LIFETIME, 600)], key=b"k")
    added = bytes.fromhex("000d000400000000")
    forged = signed[:2] + (len(signed) - 20 + len(added)).to_bytes(2, "big") + signed[4:] + added
    message = parse(forged)
    assert message.every(a.LIFETIME) == [600]
    assert message.verifies(b"k")


def test_rfc8489_14_7_a_wrong_or_misplaced_fingerprint_is_malformed() -> None:
    tid = bytes(12)
    good = build(Method.BINDING, MessageClass.REQUEST, tid, with_fingerprint=True)
    with pytest.raises(MalformedError):
        parse(good[:-1] + bytes((good[-1] ^ 1,)))
    more = bytes.fromhex("80220000")
    longer = good[:2] + (len(good) - 20 + 4).to_bytes(2, "big") + good[4:] + more
    with pytest.raises(MalformedError):
        parse(longer)


def test_a_mapped_ipv4_peer_stays_an_ipv6_address() -> None:
    tid = bytes(12)
    value = a.XOR_PEER_ADDRESS.pack(Address("::ffff:198.18.0.1", 5), tid)
    address = a.XOR_PEER_ADDRESS.unpack(value, tid)
    assert len(value) == 20
    assert address.is_ipv6
    assert address != Address("198.18.0.1", 5)


def test_rfc8656_12_4_channel_data_frames_and_its_padding() -> None:
    framed = channel_data.build(0x4001, b"abc")
    assert framed == b"\x40\x01\x00\x03abc"
    assert channel_data.parse(framed + b"\0") == (0x4001, b"abc")
    assert channel_data.parse(b"\x40\x00\x00\x00") == (0x4000, b"")
    with pytest.raises(MalformedError):
        channel_data.parse(framed[:-1])
    with pytest.raises(MalformedError):
        channel_data.parse(b"\x80\x01\x00\x03abc")
