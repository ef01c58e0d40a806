"""STUN and ChannelData on a stream (RFC 8489 section 6.2.2, RFC 8656 section 12.5)."""

from __future__ import annotations

from relay.stun import channel_data, message
from relay.stun.address import MAGIC_COOKIE
from relay.stun.malformed import MalformedError

MAX_MESSAGE_BYTES = 4 + 0xFFFF + 1
"""ChannelData at its longest, with its padding; no STUN message has reason to be longer."""
_PADDING = (b"", b"\0", b"\0\0", b"\0\0\0")


class StreamFraming:
    """Cuts a stream into messages, however it arrives. Holds less than one, unless told to stop short."""

    __slots__ = ("_rest", "max_bytes")

    def __init__(self, max_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self.max_bytes = max_bytes
        """A message longer than this is an error; may change at any time."""
        self._rest = b""

    def feed(self, data: bytes, at_most: int = MAX_MESSAGE_BYTES) -> list[bytes]:
        """The messages that are complete now, without padding: at most so many, others with the next call.

        Raises MalformedError when what comes next is neither STUN nor ChannelData: there is no way to find
        the beginning of another message, so the stream is over.
        """
        data = self._rest + data
        messages: list[bytes] = []
        at, end = 0, len(data)
        while at < end and len(messages) < at_most:
            size, whole = self._extent(data[at : at + 8])
            if whole > self.max_bytes:
                raise MalformedError("a message is longer than this client may send")
            if end - at < whole:
                break
            messages.append(data[at : at + size])
            at += whole
        self._rest = data[at:]
        return messages

    @staticmethod
    def _extent(head: bytes) -> tuple[int, int]:
        """Length of the message without and with padding; the least it can be while the head is not whole."""
        if 0x40 <= head[0] <= 0x7F:
            length = int.from_bytes(head[2:4], "big") if len(head) >= 4 else 0
            return channel_data.HEADER_LENGTH + length, channel_data.HEADER_LENGTH + (length + 3 & ~3)
        if head[0] > 3 or head[4:] != MAGIC_COOKIE[: max(len(head) - 4, 0)]:
            raise MalformedError("neither STUN nor ChannelData")
        length = int.from_bytes(head[2:4], "big") if len(head) >= 4 else 0
        if length & 3:
            raise MalformedError("the length of a STUN message is a multiple of 4")
        return message.HEADER_LENGTH + length, message.HEADER_LENGTH + length


def padded(framed: bytes) -> bytes:
    """A message as a stream carries it: to a multiple of 4, padding zeroed."""
    return framed + _PADDING[-len(framed) & 3]
