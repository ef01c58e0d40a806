"""A row of the forwarding table: what it carries (RFC 7983 classes), what it counts, how it frames."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any

from relay.planes.token_bucket import TokenBucket
from relay.stun import attributes, message
from relay.stun.address import MAGIC_COOKIE
from relay.vocabulary import Address, DropReason, Leg, Route, RouteCounters

SendTo = Callable[[bytes | memoryview, Any], object]
"""Takes what a row has to send, and the row's `target`. Raises OSError when it cannot."""

_NOT_NEGOTIATED, _RTP, _AUDIO, _RTCP = range(4)

_MIN_RTP, _MIN_RTCP, _MIN_DTLS = 12, 8, 13
_MAX_STUN = 1280
"""RFC 8489 section 6.1: what fits any path."""
_LAST_DTLS_TYPE = 26
_MAX_LENGTH = 0xFFFF
_PADDING = (b"", b"\0", b"\0\0", b"\0\0\0")


class SessionTally:
    """What the rows of one session share."""

    __slots__ = ("dtls_bytes", "rows")

    def __init__(self) -> None:
        self.dtls_bytes = 0
        self.rows: dict[Leg, Row] = {}


class Tally:
    """A sum in the making."""

    __slots__ = ("bytes", "drops", "packets")

    def __init__(self) -> None:
        self.packets = 0
        self.bytes = 0
        self.drops: dict[DropReason, int] = {}

    def counters(self) -> RouteCounters:
        return RouteCounters(self.packets, self.bytes, self.drops)


class Row:
    """One route, compiled."""

    __slots__ = (
        "_buckets", "_bytes", "_drops", "_dtls_budget", "_head", "_last_seen", "_longest", "_packets",
        "_peer", "_session", "_table", "route", "send_to", "target", "target_channel",
    )  # fmt: skip

    def __init__(self, route: Route, session: SessionTally, send_to: SendTo, target: object) -> None:
        self.route = route
        self.send_to = send_to
        self.target = target
        form = route.target.form
        self.target_channel = form if isinstance(form, int) else None
        self._longest = _MAX_LENGTH
        """The longest payload whose length the target's framing can say."""
        if isinstance(form, Address):
            transaction_id = secrets.token_bytes(12)
            self._head = MAGIC_COOKIE + transaction_id
            self._peer = message.packed_attribute(
                attributes.XOR_PEER_ADDRESS.number, attributes.XOR_PEER_ADDRESS.pack(form, transaction_id)
            )
            self._longest = (_MAX_LENGTH & ~3) - len(self._peer) - 4
        self._table = _verdicts(route)
        self._session = session
        self._dtls_budget = route.dtls_budget_bytes
        self._buckets: tuple[TokenBucket, ...] = ()
        self._packets = 0
        self._bytes = 0
        self._last_seen: float | None = None
        self._drops: dict[DropReason, int] = {}

    def use_limiters(self, limiters: Mapping[str, TokenBucket]) -> None:
        self._buckets = tuple(
            limiters[limiter_id] for limiter_id in self.route.limiter_ids if limiter_id in limiters
        )

    def continues(self, other: Row) -> None:
        """Take over the counters of the row this one replaces."""
        self._packets, self._bytes, self._last_seen = other._packets, other._bytes, other._last_seen
        self._drops = other._drops

    def admits(self, buffer: bytes | bytearray, at: int, length: int, now: float) -> bool:
        """Whether the payload `buffer[at:at + length]` may pass; counts it as dropped otherwise."""
        if length > self._longest:
            return self.dropped(DropReason.CLASS)
        table = self._table
        urgent = False
        if table is not None:
            first = buffer[at] if length else 255
            if 127 < first < 192:
                verdict = table[buffer[at + 1]] if length >= _MIN_RTCP else _NOT_NEGOTIATED
                if verdict == _NOT_NEGOTIATED:
                    return self.dropped(DropReason.PAYLOAD_TYPE if length >= _MIN_RTP else DropReason.CLASS)
                if verdict != _RTCP and length < _MIN_RTP:
                    return self.dropped(DropReason.CLASS)
                urgent = verdict != _RTP
            elif 19 < first < 64 and _is_dtls(buffer, at, length):
                if self._session.dtls_bytes + length > self._dtls_budget:
                    return self.dropped(DropReason.DTLS_BUDGET)
                self._session.dtls_bytes += length
                urgent = True
            elif first < 4 and _is_stun(buffer, at, length):
                urgent = True
            else:
                return self.dropped(DropReason.CLASS)
        return not self._buckets or self._within_limits(length, now, urgent=urgent)

    def _within_limits(self, length: int, now: float, *, urgent: bool) -> bool:
        for bucket in self._buckets:
            if not bucket.has(length, now, use_reserve=urgent):
                return self.dropped(DropReason.LIMITER)
        for bucket in self._buckets:
            bucket.spend(length)
        return True

    def dropped(self, reason: DropReason) -> bool:
        self._drops[reason] = self._drops.get(reason, 0) + 1
        return False

    def passed(self, length: int, now: float) -> None:
        self._packets += 1
        self._bytes += length
        self._last_seen = now

    def framed(self, payload: bytes | bytearray) -> bytes:
        """The datagram for the target: ChannelData, or a Data indication naming the sender's row."""
        length = len(payload)
        if self.target_channel is not None:
            return self.target_channel.to_bytes(2, "big") + length.to_bytes(2, "big") + payload
        padding = _PADDING[-length & 3]
        body = len(self._peer) + 4 + length + len(padding)
        return b"".join(
            (b"\x00\x17", body.to_bytes(2, "big"), self._head, self._peer, b"\x00\x13",
             length.to_bytes(2, "big"), payload, padding)
        )  # fmt: skip

    def add_to(self, tally: Tally) -> None:
        tally.packets += self._packets
        tally.bytes += self._bytes
        for reason, count in self._drops.items():
            tally.drops[reason] = tally.drops.get(reason, 0) + count

    def counters(self) -> RouteCounters:
        return RouteCounters(self._packets, self._bytes, dict(self._drops), self._last_seen)


def _verdicts(route: Route) -> bytes | None:
    """What each second byte of an RTP or RTCP packet means to this route (RFC 5761 section 4)."""
    if route.payload_types is None:
        return None
    table = bytearray(256)
    for payload_type in range(128):
        if payload_type in route.payload_types:
            verdict = _AUDIO if payload_type in route.audio_payload_types else _RTP
            table[payload_type] = table[payload_type | 0x80] = verdict
    table[192:224] = bytes((_RTCP,)) * 32
    return bytes(table)


def _is_dtls(buffer: bytes | bytearray, at: int, length: int) -> bool:
    """Whether it begins with a record (RFC 6347 section 4.1, RFC 9147 section 4) that fits in it."""
    first = buffer[at]
    if first <= _LAST_DTLS_TYPE:
        return (
            length >= _MIN_DTLS
            and buffer[at + 1] == 0xFE
            and buffer[at + 2] in (0xFD, 0xFF)
            and _MIN_DTLS + (buffer[at + 11] << 8 | buffer[at + 12]) <= length
        )
    # The short header of 1.3 as everybody writes it: no connection id, one or two bytes of number, a length.
    if first & 0xF4 != 0x24 or length < _MIN_DTLS:
        return False
    head = 3 if first & 0x08 else 2
    return head + 2 + (buffer[at + head] << 8 | buffer[at + head + 1]) <= length


def _is_stun(buffer: bytes | bytearray, at: int, length: int) -> bool:
    return (
        20 <= length <= _MAX_STUN
        and buffer[at + 4 : at + 8] == MAGIC_COOKIE
        and (buffer[at + 2] << 8 | buffer[at + 3]) == length - 20
        and not length & 3
    )
