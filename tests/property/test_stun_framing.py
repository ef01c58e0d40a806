"""However a stream is cut, the same messages come out of it; what is no stream of messages ends it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.stun import attributes as a
from relay.stun import channel_data
from relay.stun.address import MAGIC_COOKIE
from relay.stun.framing import MAX_MESSAGE_BYTES, StreamFraming, padded
from relay.stun.malformed import MalformedError
from relay.stun.message import MessageClass, build, parse

stun_messages = st.builds(
    lambda method, kind, tid, data: build(method, kind, tid, [(a.DATA, data)] if data else []),
    st.integers(0, 0xFF),
    st.sampled_from(MessageClass),
    st.binary(min_size=12, max_size=12),
    st.binary(max_size=40),
)
channel_messages = st.builds(channel_data.build, st.integers(0x4000, 0x7FFF), st.binary(max_size=40))
messages = stun_messages | channel_messages
pieces = st.one_of(
    messages.map(padded),
    messages,
    st.binary(max_size=12),
    # The beginning of a message that may be long, so that much is held, or has a length that none may have.
    st.integers(0, 300).map(lambda length: b"\x40\x00" + length.to_bytes(2, "big")),
    st.integers(0, 300).map(
        lambda length: b"\x00\x01" + length.to_bytes(2, "big") + MAGIC_COOKIE + bytes(12)
    ),
)


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    """The stream in pieces; two places that are the same leave an empty one between them."""
    edges = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[start:end] for start, end in pairwise(edges)]


def whole_size(stream: bytes, at: int) -> tuple[int, int] | None:
    """What RFC 8489 and RFC 8656 say of the message there, without and with padding.

    None for what is none; lengths count once four bytes are there.
    """
    first, head = stream[at], stream[at : at + 8]
    length = int.from_bytes(head[2:4], "big") if len(head) >= 4 else 0
    if 0x40 <= first <= 0x7F:
        return 4 + length, 4 + -(-length // 4) * 4
    if first > 3 or not MAGIC_COOKIE.startswith(head[4:]) or length % 4:
        return None
    return 20 + length, 20 + length


def read_at_leisure(stream: bytes, limit: int) -> tuple[list[bytes], bool]:
    """The messages of a whole stream, and whether it ends in an error: what any cutting must come to."""
    found: list[bytes] = []
    at = 0
    while at < len(stream):
        size = whole_size(stream, at)
        if size is None or size[1] > limit:
            return found, True
        if at + size[1] > len(stream):
            break
        found.append(stream[at : at + size[0]])
        at += size[1]
    return found, False


def feed_all(framing: StreamFraming, chunks: list[bytes]) -> tuple[list[bytes], bool]:
    found: list[bytes] = []
    for chunk in chunks:
        try:
            found += framing.feed(chunk)
        except MalformedError:
            return found, True
    return found, False


def held(framing: StreamFraming) -> int:
    return len(framing._rest)


def assert_long_enough(message: bytes) -> None:
    """The parser of its kind has nothing to say about its length."""
    if message[0] >= 0x40:
        _, payload = channel_data.parse(message)
        assert len(message) == 4 + len(payload)
        return
    try:
        parse(message)
    except MalformedError as error:
        assert "header" not in str(error)
        assert "length field" not in str(error)


@given(st.lists(messages, max_size=6), st.lists(st.integers(0, 10_000), max_size=12))
def test_any_cutting_of_a_stream_gives_the_messages_it_was_made_of(
    sent: list[bytes], places: list[int]
) -> None:
    framing = StreamFraming()
    stream = b"".join(map(padded, sent))
    assert feed_all(framing, cut(stream, places)) == (sent, False)
    assert held(framing) == 0


@given(st.lists(messages, min_size=1, max_size=3))
def test_a_stream_that_comes_byte_by_byte_gives_each_message_with_its_last_byte(sent: list[bytes]) -> None:
    framing = StreamFraming()
    for message in sent:
        stream = padded(message)
        for byte in stream[:-1]:
            assert framing.feed(bytes((byte,))) == []
        assert framing.feed(stream[-1:]) == [message]


@given(st.lists(messages, max_size=6), st.lists(st.integers(0, 10_000), max_size=8), st.integers(0, 3))
def test_with_a_limit_on_how_many_at_once_the_others_come_with_the_next_calls(
    sent: list[bytes], places: list[int], most: int
) -> None:
    framing = StreamFraming()
    found: list[bytes] = []
    for piece in cut(b"".join(map(padded, sent)), places):
        batch = framing.feed(piece, most)
        assert len(batch) <= most
        found += batch
    assert found == sent[: len(found)]
    while batch := framing.feed(b"", 2):
        assert len(batch) <= 2
        found += batch
    assert found == sent
    assert held(framing) == 0


@given(messages)
def test_padded_and_then_fed_is_what_it_was(message: bytes) -> None:
    stream = padded(message)
    assert len(stream) % 4 == 0
    assert len(stream) - len(message) < 4
    assert stream == message + bytes(len(stream) - len(message))
    assert StreamFraming().feed(stream) == [message]


@given(channel_messages, st.binary(min_size=3, max_size=3))
def test_padding_is_taken_off_whatever_is_in_it(message: bytes, noise: bytes) -> None:
    stream = message + noise[: -len(message) % 4]
    assert StreamFraming().feed(stream) == [message]


@given(st.lists(pieces, max_size=8).map(b"".join), st.lists(st.integers(0, 10_000), max_size=12))
def test_any_bytes_in_any_cutting_are_the_same_messages_or_malformed_all_the_same(
    stream: bytes, places: list[int]
) -> None:
    expected, ends = read_at_leisure(stream, limit=200)
    bytewise = cut(stream, list(range(len(stream))))
    assert feed_all(StreamFraming(200), bytewise) == (expected, ends)
    found, ended = feed_all(StreamFraming(200), cut(stream, places))
    assert ended == ends
    # What is complete in the piece that ends a stream is lost with it.
    assert found == (expected[: len(found)] if ends else expected)


@given(st.lists(st.tuples(st.none() | st.integers(0, 400), pieces | st.binary(max_size=300)), max_size=20))
def test_what_is_held_stays_below_the_limit_also_after_it_has_changed(
    steps: list[tuple[int | None, bytes]],
) -> None:
    framing = StreamFraming(100)
    for limit, chunk in steps:
        if limit is not None:
            framing.max_bytes = limit
        try:
            found = framing.feed(chunk)
        except MalformedError:
            return
        assert held(framing) < max(framing.max_bytes, 1)
        for message in found:
            assert len(padded(message)) <= framing.max_bytes
            assert_long_enough(message)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_give_messages_of_the_length_they_say_or_malformed(noise: bytes) -> None:
    found, _ = feed_all(StreamFraming(), [noise[at : at + 1] for at in range(len(noise))])
    for message in found:
        assert_long_enough(message)


@given(messages, st.integers(1, 200))
def test_a_message_longer_than_the_limit_ends_the_stream_once_its_length_is_there(
    message: bytes, below: int
) -> None:
    stream = padded(message)
    assert StreamFraming(len(stream)).feed(stream) == [message]
    framing = StreamFraming(max(len(stream) - below, 0))
    with pytest.raises(MalformedError):
        framing.feed(stream[:4])


@given(messages.filter(lambda message: len(message) > 4), st.integers(4, 60))
def test_a_limit_that_falls_below_what_is_under_way_ends_the_stream(message: bytes, at: int) -> None:
    stream = padded(message)
    at = min(at, len(stream) - 1)
    framing = StreamFraming()
    assert framing.feed(stream[:at]) == []
    framing.max_bytes = len(stream) - 1
    with pytest.raises(MalformedError):
        framing.feed(stream[at:])


@pytest.mark.parametrize("length", [0xFFFC, 0xFFFD, 0xFFFE, 0xFFFF])
def test_the_longest_messages_there_are_pass_without_a_limit_of_ones_own(length: int) -> None:
    message = channel_data.build(0x4000, bytes(length))
    assert len(padded(message)) <= MAX_MESSAGE_BYTES
    framing = StreamFraming()
    assert framing.feed(padded(message)[:-1]) == []
    assert framing.feed(padded(message)[-1:] + padded(message)) == [message, message]
