"""Any bytes give a message or MalformedError; any message survives its own bytes."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.stun import attributes as a
from relay.stun import channel_data
from relay.stun.integrity import fingerprint, message_integrity, message_integrity_sha256
from relay.stun.malformed import MalformedError
from relay.stun.message import HEADER_LENGTH, Field, Message, MessageClass, build, packed_attribute, parse
from relay.vocabulary import Address

addresses = st.builds(
    Address,
    st.one_of(st.ip_addresses(v=4).map(str), st.ip_addresses(v=6).map(str)),
    st.integers(0, 65535),
)
algorithms = st.tuples(st.integers(0, 65535), st.binary(max_size=9))
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
    st.tuples(st.just(a.PASSWORD_ALGORITHM), algorithms),
    st.tuples(st.just(a.PASSWORD_ALGORITHMS), st.lists(algorithms, max_size=4).map(tuple)),
    st.tuples(st.just(a.ALTERNATE_SERVER), addresses),
)
datagrams = st.builds(
    lambda method, kind, tid, some, key, strong, mark: build(
        method, kind, tid, some, key=key, sha256=strong, with_fingerprint=mark
    ),
    st.integers(0, 0xFF),
    st.sampled_from(MessageClass),
    st.binary(min_size=12, max_size=12),
    st.lists(fields, max_size=6),
    st.one_of(st.none(), st.binary(min_size=1, max_size=20)),
    st.booleans(),
    st.booleans(),
)

INTEGRITIES = (a.MESSAGE_INTEGRITY.number, a.MESSAGE_INTEGRITY_SHA256.number)
integrities = st.sampled_from([(0, 20), (1, 32), (1, 16), (0, 19), (1, 0)]).map(
    lambda kind: packed_attribute(INTEGRITIES[kind[0]], bytes(kind[1]))
)
numbers = st.sampled_from([*a.KNOWN, *INTEGRITIES, 0x7ABC, 0x8ABC])
honest = st.builds(packed_attribute, numbers, st.binary(max_size=24))
# Its length says more or less than there is: what follows is read from the middle, or from beyond the end.
lying = st.builds(
    lambda number, length, value: number.to_bytes(2, "big") + length.to_bytes(2, "big") + value,
    numbers,
    st.integers(0, 40) | st.sampled_from([0x7FFF, 0xFFFC, 0xFFFF]),
    st.integers(0, 6).flatmap(lambda words: st.binary(min_size=4 * words, max_size=4 * words)),
)
bodies = st.lists(honest | integrities | honest | lying, max_size=4).map(b"".join)


def with_body(message: bytes, more: bytes, *, mark: bool = False) -> bytes:
    """The message with this appended, its length right, and a FINGERPRINT that is right for all of it."""
    length = len(message) + len(more) - HEADER_LENGTH + 8 * mark
    content = message[:2] + length.to_bytes(2, "big") + message[4:] + more
    if mark:
        content += packed_attribute(a.FINGERPRINT.number, fingerprint(content).to_bytes(4, "big"))
    return content


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
    st.binary(min_size=1, max_size=40),
    st.booleans(),
    st.booleans(),
)
def test_a_whole_message_is_read_back_as_it_was_written(
    method: int, kind: MessageClass, tid: bytes, some: list[Field], key: bytes, strong: bool, mark: bool
) -> None:
    message = parse(build(method, kind, tid, some, key=key, sha256=strong, with_fingerprint=mark))
    assert (message.method, message.message_class, message.transaction_id) == (method, kind, tid)
    assert message.has_fingerprint == mark
    assert (message.sha256_at is not None, message.integrity_at is not None) == (strong, not strong)
    assert message.verifies(key)
    assert not message.verifies(key + b"x")
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


@settings(max_examples=400)
@given(bodies, st.booleans())
def test_mis_nested_attributes_are_malformed_or_fill_the_message_up_to_its_integrity(
    body: bytes, mark: bool
) -> None:
    head = build(0x003, MessageClass.REQUEST, bytes(12))
    try:
        message = parse(with_body(head, body, mark=mark))
    except MalformedError:
        return
    read_everything(message)
    places = [at for at in (message.integrity_at, message.sha256_at) if at is not None]
    assert places == sorted(places)
    # A length that lies may have taken the fingerprint in.
    assert mark or not message.has_fingerprint
    end = places[0] if places else len(message.raw) - 8 * message.has_fingerprint
    at = HEADER_LENGTH
    for number, value in message.attributes:
        head = number.to_bytes(2, "big") + len(value).to_bytes(2, "big")
        assert message.raw[at : at + 4 + len(value)] == head + value
        at += 4 + len(value) + -len(value) % 4
    assert at == end
    assert not {number for number, _ in message.attributes} & {*INTEGRITIES, a.FINGERPRINT.number}


@settings(max_examples=400)
@given(st.lists(fields, max_size=4), st.booleans(), bodies, st.booleans())
def test_nothing_appended_to_a_signed_message_changes_what_it_says(
    some: list[Field], strong: bool, more: bytes, mark: bool
) -> None:
    signed = parse(build(0x004, MessageClass.REQUEST, bytes(12), some, key=b"key", sha256=strong))
    try:
        longer = parse(with_body(signed.raw, more, mark=mark))
    except MalformedError:
        return
    assert longer.attributes == signed.attributes
    assert longer.unknown() == signed.unknown() == ()
    if strong:
        assert (longer.integrity_at, longer.sha256_at) == (None, signed.sha256_at)
        assert longer.verifies(b"key")
    else:
        assert longer.integrity_at == signed.integrity_at
        # A stronger integrity that nobody made takes the weaker one's word away.
        assert longer.verifies(b"key") == (longer.sha256_at is None)


@given(st.lists(fields, max_size=4), st.binary(min_size=1, max_size=40))
def test_both_integrities_in_the_order_of_the_rfc_verify_and_in_the_other_the_first_counts(
    some: list[Field], key: bytes
) -> None:
    def signed(message: bytes, *, strong: bool) -> bytes:
        value = (message_integrity_sha256 if strong else message_integrity)(message, key)
        return with_body(message, packed_attribute(INTEGRITIES[strong], value))

    plain = build(0x004, MessageClass.REQUEST, bytes(12), some)
    both = parse(signed(signed(plain, strong=False), strong=True))
    assert (both.integrity_at, both.sha256_at) == (len(plain), len(plain) + 24)
    assert both.verifies(key)
    turned = parse(signed(signed(plain, strong=True), strong=False))
    assert (turned.integrity_at, turned.sha256_at) == (None, len(plain))
    assert turned.verifies(key)


@given(datagrams, honest)
def test_a_fingerprint_with_something_after_it_is_malformed_however_right_it_is(
    datagram: bytes, more: bytes
) -> None:
    without = parse(datagram)
    covered = datagram[: len(datagram) - 8 * without.has_fingerprint]
    covered = with_body(covered, bytes(8 + len(more)))[: len(covered)]
    mark = packed_attribute(a.FINGERPRINT.number, fingerprint(covered).to_bytes(4, "big"))
    with pytest.raises(MalformedError, match="fingerprint"):
        parse(covered + mark + more)


@given(st.lists(algorithms, max_size=3).map(tuple), st.binary(max_size=6))
def test_password_algorithms_are_read_to_the_last_byte_or_malformed(
    written: tuple[a.Algorithm, ...], more: bytes
) -> None:
    value = a.PASSWORD_ALGORITHMS.pack(written, b"") + more
    try:
        found = a.PASSWORD_ALGORITHMS.unpack(value, b"")
    except MalformedError:
        return
    assert found[: len(written)] == written
    whole = a.PASSWORD_ALGORITHMS.pack(found, b"")
    # Padding may be missing after the last one, and nothing else.
    padding = -len(found[-1][1]) % 4 if found else 0
    assert len(whole) - padding <= len(value) <= len(whole)


@given(st.integers(0x4000, 0x7FFF), st.binary(max_size=2000), st.binary(max_size=3))
def test_channel_data_is_read_back_without_its_padding(channel: int, payload: bytes, padding: bytes) -> None:
    assert channel_data.parse(channel_data.build(channel, payload) + padding) == (channel, payload)


@given(st.binary(max_size=64))
def test_arbitrary_bytes_are_channel_data_or_malformed(noise: bytes) -> None:
    with suppress(MalformedError):
        channel, payload = channel_data.parse(noise)
        assert channel_data.build(channel, payload) == noise[: 4 + len(payload)]
