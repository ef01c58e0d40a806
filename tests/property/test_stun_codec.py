"""Any bytes give a message or MalformedError; any message survives its own bytes."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from relay.stun import attributes as a
from relay.stun import channel_data
from relay.stun.malformed import MalformedError
from relay.stun.message import Field, Message, MessageClass, build, parse
from relay.vocabulary import Address

addresses = st.builds(
    Address,
    st.one_of(st.ip_addresses(v=4).map(str), st.ip_addresses(v=6).map(str)),
    st.integers(0, 65535),
)
fields = st.one_of(
    st.tuples(st.just(a.LIFETIME), st.integers(0, 2**32 - 1)),
    st.tuples(st.just(a.CHANNEL_NUMBER), st.integers(0, 65535)),
    st.tuples(st.just(a.XOR_PEER_ADDRESS), addresses),
    st.tuples(st.just(a.XOR_RELAYED_ADDRESS), addresses),
    st.tuples(st.just(a.DATA), st.binary(max_size=1500)),
    st.tuples(st.just(a.USERNAME), st.binary(max_size=513)),
    st.tuples(st.just(a.EVEN_PORT), st.booleans()),
    st.tuples(st.just(a.ERROR_CODE), st.integers(300, 699)),
    st.tuples(st.just(a.UNKNOWN_ATTRIBUTES), st.lists(st.integers(0, 65535), max_size=8).map(tuple)),
    st.tuples(st.just(a.RESERVATION_TOKEN), st.binary(min_size=8, max_size=8)),
)
datagrams = st.builds(
    lambda method, kind, tid, some, key, mark: build(method, kind, tid, some, key=key, with_fingerprint=mark),
    st.integers(0, 0xFF),
    st.sampled_from(MessageClass),
    st.binary(min_size=12, max_size=12),
    st.lists(fields, max_size=6),
    st.one_of(st.none(), st.binary(min_size=1, max_size=20)),
    st.booleans(),
)


def read_everything(message: Message) -> None:
    """Every known attribute of the message is a value or MalformedError."""
    message.unknown()
    message.verifies(b"key")
    for attribute in a.KNOWN.values():
        with suppress(MalformedError):
            message.every(attribute)


@given(
    st.integers(0, 0xFF),
    st.sampled_from(MessageClass),
    st.binary(min_size=12, max_size=12),
    st.lists(fields, max_size=8),
    st.binary(min_size=1, max_size=20),
    st.booleans(),
)
def test_a_whole_message_is_read_back_as_it_was_written(
    method: int, kind: MessageClass, tid: bytes, some: list[Field], key: bytes, mark: bool
) -> None:
    message = parse(build(method, kind, tid, some, key=key, with_fingerprint=mark))
    assert (message.method, message.message_class, message.transaction_id) == (method, kind, tid)
    assert message.has_fingerprint == mark
    assert message.verifies(key)
    for attribute, _ in some:
        assert message.every(attribute) == [value for other, value in some if other is attribute]


@given(datagrams, st.data())
def test_a_truncated_message_is_malformed(datagram: bytes, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(datagram) - 1))
    try:
        parse(datagram[:cut])
    except MalformedError:
        return
    raise AssertionError("a truncated message parsed")


@given(datagrams, st.data())
def test_a_mutated_message_is_a_message_or_malformed(datagram: bytes, data: st.DataObject) -> None:
    mutated = bytearray(datagram)
    for _ in range(data.draw(st.integers(1, 4))):
        mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    with suppress(MalformedError):
        read_everything(parse(bytes(mutated)))


@given(st.binary(max_size=200), st.booleans())
def test_arbitrary_bytes_are_a_message_or_malformed(noise: bytes, with_header: bool) -> None:
    if with_header:
        noise = noise[: len(noise) & ~3]
        noise = b"\x00\x03" + len(noise).to_bytes(2, "big") + b"\x21\x12\xa4\x42" + bytes(12) + noise
    with suppress(MalformedError):
        read_everything(parse(noise))


@given(st.integers(0x4000, 0x7FFF), st.binary(max_size=2000), st.binary(max_size=3))
def test_channel_data_is_read_back_without_its_padding(channel: int, payload: bytes, padding: bytes) -> None:
    assert channel_data.parse(channel_data.build(channel, payload) + padding) == (channel, payload)


@given(st.binary(max_size=64))
def test_arbitrary_bytes_are_channel_data_or_malformed(noise: bytes) -> None:
    with suppress(MalformedError):
        channel, payload = channel_data.parse(noise)
        assert channel_data.build(channel, payload) == noise[: 4 + len(payload)]
