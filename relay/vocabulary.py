"""The words every part of the media path uses, and the contract between control and a forwarding plane.

Plain frozen values and one Protocol, message-shaped: no callbacks, no shared objects, so that a plane may
live in another thread, another language or the kernel. A row never changes inside a plane; control replaces
or removes it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Protocol


class Address(NamedTuple):
    """A transport address.

    `ip` is the numeric text the socket API prints (IPv6 with its scope where it has one).
    """

    ip: str
    port: int

    @property
    def is_ipv6(self) -> bool:
        return ":" in self.ip

    def __str__(self) -> str:
        return f"[{self.ip}]:{self.port}" if self.is_ipv6 else f"{self.ip}:{self.port}"


class Transport(StrEnum):
    """What a client speaks TURN over."""

    UDP = "udp"
    TCP = "tcp"
    TLS = "tls"

    @property
    def is_stream(self) -> bool:
        return self is not Transport.UDP


class FiveTuple(NamedTuple):
    """A client and the listener it came to (RFC 8656 section 3.2); addresses are the edge's view of them."""

    transport: Transport
    client: Address
    server: Address


class Leg(NamedTuple):
    """One end of a route: a client's five-tuple, and the form in which data crosses it there.

    `form` is a channel number, or the peer's relayed address when data travels in Send and Data indications.
    """

    five_tuple: FiveTuple
    form: int | Address


class DropReason(StrEnum):
    """Why a plane did not forward a packet that had a row."""

    CLASS = "class"
    """Neither STUN, DTLS, RTP nor RTCP, or a malformed one; or longer than an indication can hold."""
    PAYLOAD_TYPE = "payload_type"
    """RTP of a payload type that was not negotiated."""
    DTLS_BUDGET = "dtls_budget"
    LIMITER = "limiter"
    SEND_FAILED = "send_failed"
    """The system would not take it, usually a full socket buffer, or a stream client does not keep up."""


@dataclass(frozen=True, slots=True)
class Route:
    """Packets that arrive by `source` leave by `target`, if they are of a class this route carries.

    STUN with the magic cookie and RTCP always pass; DTLS passes while the session's routes together have
    carried at most `dtls_budget_bytes` of it; RTP passes if its payload type is listed. `payload_types`
    None switches the class check off: for a relay that runs alone and has seen no negotiation.
    """

    source: Leg
    target: Leg
    session_id: str
    payload_types: frozenset[int] | None
    audio_payload_types: frozenset[int] = frozenset()
    dtls_budget_bytes: int = 0
    limiter_ids: tuple[str, ...] = ()
    """Every limiter must let a packet pass; an id without a limiter limits nothing."""


@dataclass(frozen=True, slots=True)
class Limiter:
    """A token bucket over payload bytes.

    Only audio, STUN, DTLS and RTCP may use its last `audio_reserve_bytes`.
    """

    bits_per_second: int
    burst_bytes: int
    audio_reserve_bytes: int = 0


class Listener(NamedTuple):
    """A bound address at which clients speak TURN over this transport."""

    transport: Transport
    address: Address

    def __str__(self) -> str:
        return f"{self.transport}://{self.address}"


class Punt(NamedTuple):
    """A datagram the plane has no row for, handed to control."""

    five_tuple: FiveTuple
    datagram: bytes


class Egress(NamedTuple):
    """ChannelData or a Data indication for a stream client, without the padding that streams need."""

    five_tuple: FiveTuple
    message: bytes


@dataclass(frozen=True, slots=True)
class RouteCounters:
    """What one row really forwarded: payload packets and bytes, without any TURN framing. Monotonic.

    A message for a stream client counts when it is queued, though a removal may still take it out again.
    """

    packets: int = 0
    bytes: int = 0
    drops: dict[DropReason, int] = field(default_factory=dict)
    last_seen: float | None = None
    """Monotonic seconds of the last forwarded packet."""


@dataclass(frozen=True, slots=True)
class PlaneCounters:
    """What happened to datagrams without a row. Monotonic."""

    punted: int = 0
    punts_refused_owned: int = 0
    """Datagrams of five-tuples that own an allocation, over their budget or while the queue was full."""
    punts_refused_stranger: int = 0
    """Datagrams of everyone else, over a budget or not a STUN request."""
    egress_refused: int = 0
    """Messages for stream clients that found no room in the queue; their rows count them as well."""
    send_failed: int = 0
    """Control's replies that the operating system would not take."""
    faults: int = 0
    """Batches of datagrams given up because of a defect in the plane."""


class Plane(Protocol):
    """A forwarding plane.

    It owns the UDP sockets; the connections of stream clients are somebody else's, who puts in what they sent
    and takes out what they are to get. Everything but `punts` and `egress` returns at once. Datagrams of one
    five-tuple take effect in the order they arrived: while one of them waits for control, later ones wait
    behind it, also those that have a row.
    """

    def start(self, listeners: Sequence[Address]) -> list[Address]:
        """Bind the listeners; returns the bound addresses in the same order (port 0 becomes a real port).

        Raises OSError when one cannot be bound; then none stays bound.
        """

    def stop(self) -> None:
        """Forward and answer nothing more. Safe to call twice."""

    def own(self, five_tuple: FiveTuple) -> None:
        """This five-tuple has an allocation: its punts get a budget of their own."""

    def disown(self, five_tuple: FiveTuple) -> None: ...

    def install(self, route: Route) -> None:
        """Add a row, or replace the one with the same source leg; counters of a replaced row go on."""

    def remove(self, source: Leg) -> RouteCounters | None:
        """Nothing is sent by this row once this has returned.

        Its last counters, or None if there was no such row.
        """

    def remove_session(self, session_id: str) -> dict[Leg, RouteCounters]:
        """As `remove` for all rows of a session; also forgets how much DTLS it carried."""

    def remove_sessions(self, session_ids: Collection[str]) -> dict[Leg, RouteCounters]:
        """As `remove_session` for each of them, in one change."""

    def remove_all(self) -> dict[Leg, RouteCounters]:
        """As `remove_session` for every session."""

    def set_limit(self, limiter_id: str, limiter: Limiter | None) -> None:
        """Add, replace or (None) remove a limiter; a replaced one starts with a full bucket."""

    def counters(self, session_id: str) -> dict[Leg, RouteCounters]: ...

    def totals(self) -> RouteCounters:
        """The sum over all rows that are there; `last_seen` is None."""

    def plane_counters(self) -> PlaneCounters: ...

    def send(self, five_tuple: FiveTuple, datagram: bytes) -> None:
        """Control's reply to a UDP client."""

    def inject(self, five_tuple: FiveTuple, message: bytes) -> None:
        """A message of a stream client, one at a time and without padding: as a datagram that has arrived."""

    async def egress(self) -> list[Egress]:
        """What rows have for stream clients, oldest first; waits until there is something.

        The queue is bounded; when it is full new messages are dropped and counted. Nothing of a row that has
        been removed comes out any more.
        """

    def pause(self, five_tuple: FiveTuple) -> None:
        """This stream client does not keep up: until `resume`, rows drop and count what they have for it."""

    def resume(self, five_tuple: FiveTuple) -> None:
        """It does again, or is gone."""

    def forward(self, source: Leg, payload: bytes) -> None:
        """Carry a payload taken out of a punted datagram by the row of this leg, with all its checks.

        Without such a row nothing happens.
        """

    async def punts(self) -> list[Punt]:
        """The datagrams waiting for control, oldest first; waits until there is one.

        The caller deals with the whole batch before it next gives up the thread. The queue is bounded; when
        it is full new datagrams are dropped and counted.
        """
