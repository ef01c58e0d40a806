"""ChannelData (RFC 8656 section 12.4): two bytes of channel number, two of length, the payload."""

from __future__ import annotations

from relay.stun.malformed import MalformedError

FIRST_CHANNEL = 0x4000
LAST_CHANNEL = 0x4FFF
LAST_LEGACY_CHANNEL = 0x7FFE
"""RFC 5766's range, still drawn from by clients as old as Debian's turnutils_uclient."""
HEADER_LENGTH = 4


def parse(datagram: bytes) -> tuple[int, bytes]:
    """Channel number and payload; bytes after the payload are padding. Raises MalformedError.

    Numbers of RFC 5766's whole range parse; which of them may be bound is control's decision.
    """
    if len(datagram) < HEADER_LENGTH or not 0x40 <= datagram[0] <= 0x7F:
        raise MalformedError("not ChannelData")
    length = int.from_bytes(datagram[2:4], "big")
    payload = datagram[HEADER_LENGTH : HEADER_LENGTH + length]
    if len(payload) != length:
        raise MalformedError("ChannelData is cut off")
    return int.from_bytes(datagram[:2], "big"), payload


def build(channel: int, payload: bytes) -> bytes:
    """Unpadded, as UDP carries it.

    Raises ValueError for a payload over 65535 bytes or a channel number out of range.
    """
    if not FIRST_CHANNEL <= channel <= 0x7FFF or len(payload) > 0xFFFF:
        raise ValueError("neither a channel number nor a payload that ChannelData can carry")
    return channel.to_bytes(2, "big") + len(payload).to_bytes(2, "big") + payload
