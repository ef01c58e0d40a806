"""The portable plane: one UDP socket per listener, read in batches by the event loop (uvloop makes it fast).

Every row is looked up by (client address, channel number) in one dict per listener; the datagram is received
into one buffer, its channel number overwritten in place, and sent on from there.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Collection, Sequence
from time import monotonic

from relay.planes.egress_queue import EgressQueue, StreamTarget
from relay.planes.punt_queue import PuntQueue
from relay.planes.row import Row, SessionTally, Tally
from relay.planes.token_bucket import TokenBucket
from relay.vocabulary import (
    Address,
    DropReason,
    Egress,
    FiveTuple,
    Leg,
    Limiter,
    PlaneCounters,
    Punt,
    Route,
    RouteCounters,
    Transport,
)

_READ_BATCH = 64
"""Datagrams read before the loop gets its turn again."""
_MAX_DATAGRAM = 65536


class _Listener:
    """One bound socket and the channel rows of the clients that came to it."""

    __slots__ = ("address", "rows", "socket")

    def __init__(self, bound: socket.socket) -> None:
        self.socket = bound
        self.address = Address(*bound.getsockname()[:2])
        self.rows: dict[tuple[tuple[str, int], int], Row] = {}


class AsyncioPlane:
    """See `relay.vocabulary.Plane`.

    Of the strangers of one network, over UDP, so many datagrams a second and at once are handed to control.
    """

    def __init__(
        self,
        socket_buffer_bytes: int = 4 << 20,
        strangers_per_second: float = 100,
        strangers_burst: float = 500,
    ) -> None:
        self._socket_buffer_bytes = socket_buffer_bytes
        self._listeners: dict[Address, _Listener] = {}
        self._rows: dict[Leg, Row] = {}
        self._sessions: dict[str, SessionTally] = {}
        self._limiters: dict[str, TokenBucket] = {}
        self._limited_rows: dict[str, set[Row]] = {}
        """By limiter id, whether or not there is such a limiter."""
        self._queue = PuntQueue(strangers_per_second, strangers_burst)
        self._egress = EgressQueue()
        self._buffer = bytearray(_MAX_DATAGRAM)
        self._view = memoryview(self._buffer)
        self._send_failed = 0

    def start(self, listeners: Sequence[Address]) -> list[Address]:
        loop = asyncio.get_running_loop()
        bound: list[_Listener] = []
        try:
            bound.extend(_Listener(self._bind(address)) for address in listeners)
        except OSError:
            for listener in bound:
                listener.socket.close()
            raise
        for listener in bound:
            self._listeners[listener.address] = listener
            loop.add_reader(listener.socket, self._readable, listener)
        return [listener.address for listener in bound]

    def stop(self) -> None:
        loop = asyncio.get_running_loop()
        for listener in self._listeners.values():
            loop.remove_reader(listener.socket)
            listener.socket.close()
        self.remove_all()
        self._listeners.clear()

    def own(self, five_tuple: FiveTuple) -> None:
        self._queue.own(five_tuple)

    def disown(self, five_tuple: FiveTuple) -> None:
        self._queue.disown(five_tuple)

    def install(self, route: Route) -> None:
        session = self._sessions.setdefault(route.session_id, SessionTally())
        row = self._compiled(route, session)
        row.use_limiters(self._limiters)
        old = self._rows.get(route.source)
        if old is not None:
            row.continues(old)
            self._take_out(old)
            if isinstance(old.target, StreamTarget) and old.target.five_tuple == route.target.five_tuple:
                # What waits of the old row is the new one's now, and goes when that goes.
                row.target = old.target
                old.target.removed = False
        self._rows[route.source] = row
        session.rows[route.source] = row
        for limiter_id in route.limiter_ids:
            self._limited_rows.setdefault(limiter_id, set()).add(row)
        key = self._datagram_key(route.source)
        if key is not None:
            self._listeners[route.source.five_tuple.server].rows[key] = row

    def remove(self, source: Leg) -> RouteCounters | None:
        row = self._rows.get(source)
        if row is None:
            return None
        self._take_out(row)
        return row.counters()

    def remove_session(self, session_id: str) -> dict[Leg, RouteCounters]:
        session = self._sessions.pop(session_id, None)
        if session is None:
            return {}
        rows = list(session.rows.values())
        for row in rows:
            self._take_out(row)
        return {row.route.source: row.counters() for row in rows}

    def remove_sessions(self, session_ids: Collection[str]) -> dict[Leg, RouteCounters]:
        removed: dict[Leg, RouteCounters] = {}
        for session_id in session_ids:
            removed |= self.remove_session(session_id)
        return removed

    def remove_all(self) -> dict[Leg, RouteCounters]:
        return self.remove_sessions(tuple(self._sessions))

    def set_limit(self, limiter_id: str, limiter: Limiter | None) -> None:
        if limiter is None:
            self._limiters.pop(limiter_id, None)
        else:
            self._limiters[limiter_id] = TokenBucket(
                limiter.bits_per_second / 8, limiter.burst_bytes, limiter.audio_reserve_bytes
            )
        for row in self._limited_rows.get(limiter_id, ()):
            row.use_limiters(self._limiters)

    def counters(self, session_id: str) -> dict[Leg, RouteCounters]:
        session = self._sessions.get(session_id)
        return {leg: row.counters() for leg, row in session.rows.items()} if session else {}

    def totals(self) -> RouteCounters:
        tally = Tally()
        for row in self._rows.values():
            row.add_to(tally)
        return tally.counters()

    def plane_counters(self) -> PlaneCounters:
        return self._queue.counters(self._send_failed, self._egress.refused)

    def send(self, five_tuple: FiveTuple, datagram: bytes) -> None:
        listener = self._listeners.get(five_tuple.server)
        if listener is None:
            return
        try:
            listener.socket.sendto(datagram, five_tuple.client)
        except OSError:
            # A reply may be lost as any datagram may; the client asks again.
            self._send_failed += 1

    def forward(self, source: Leg, payload: bytes) -> None:
        row = self._rows.get(source)
        if row is None:
            return
        now = monotonic()
        if row.admits(payload, 0, len(payload), now):
            self._send_by(row, row.framed(payload), len(payload), now)

    def inject(self, five_tuple: FiveTuple, message: bytes) -> None:
        now = monotonic()
        if len(message) >= 4 and 0x40 <= message[0] <= 0x7F:
            row = self._rows.get(Leg(five_tuple, message[0] << 8 | message[1]))
            if row is not None and not (self._queue and self._queue.waits(five_tuple)):
                length = message[2] << 8 | message[3]
                if len(message) < length + 4:
                    row.dropped(DropReason.CLASS)
                elif row.admits(message, 4, length, now):
                    self._send_by(row, row.framed(message[4 : 4 + length]), length, now)
                return
        self._queue.put(five_tuple, message, now)

    async def egress(self) -> list[Egress]:
        return await self._egress.take()

    def pause(self, five_tuple: FiveTuple) -> None:
        self._egress.paused.add(five_tuple)

    def resume(self, five_tuple: FiveTuple) -> None:
        self._egress.paused.discard(five_tuple)

    async def punts(self) -> list[Punt]:
        return await self._queue.take()

    def _bind(self, address: Address) -> socket.socket:
        family = socket.AF_INET6 if address.is_ipv6 else socket.AF_INET
        bound = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            if address.is_ipv6:
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._socket_buffer_bytes)
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._socket_buffer_bytes)
            bound.bind(tuple(address))
        except OSError as refused:
            bound.close()
            raise OSError(refused.errno, f"{refused.strerror}: udp://{address}") from None
        return bound

    def _compiled(self, route: Route, session: SessionTally) -> Row:
        to = route.target.five_tuple
        if to.transport.is_stream:
            return Row(route, session, self._egress.put, StreamTarget(to))
        return Row(route, session, self._listeners[to.server].socket.sendto, tuple(to.client))

    @staticmethod
    def _datagram_key(source: Leg) -> tuple[tuple[str, int], int] | None:
        """By what a listener knows the row; None when it is no datagram that names the row."""
        five_tuple, form = source
        if five_tuple.transport.is_stream or not isinstance(form, int):
            return None
        return (five_tuple.client.ip, five_tuple.client.port), form

    def _take_out(self, row: Row) -> None:
        """What waits of it is not sent any more either."""
        source = row.route.source
        if isinstance(row.target, StreamTarget):
            row.target.removed = True
        del self._rows[source]
        session = self._sessions.get(row.route.session_id)
        if session is not None:
            session.rows.pop(source, None)
        for limiter_id in row.route.limiter_ids:
            limited = self._limited_rows[limiter_id]
            limited.discard(row)
            if not limited:
                del self._limited_rows[limiter_id]
        key = self._datagram_key(source)
        if key is not None:
            del self._listeners[source.five_tuple.server].rows[key]

    def _readable(self, listener: _Listener) -> None:
        now = monotonic()
        buffer, view, queue, rows = self._buffer, self._view, self._queue, listener.rows
        receive = listener.socket.recvfrom_into
        for _ in range(_READ_BATCH):
            try:
                size, client = receive(buffer)
            except OSError:
                # Nothing left to read, or an ICMP error about a client that went away.
                return
            if len(client) > 2:
                client = client[:2]
            if size >= 4 and 0x40 <= buffer[0] <= 0x7F:
                row = rows.get((client, buffer[0] << 8 | buffer[1]))
                if row is not None and not (queue and queue.waits(self._five_tuple(client, listener))):
                    length = buffer[2] << 8 | buffer[3]
                    if size < length + 4:
                        row.dropped(DropReason.CLASS)
                    elif row.admits(buffer, 4, length, now):
                        channel = row.target_channel
                        if channel is None:
                            self._send_by(row, row.framed(buffer[4 : 4 + length]), length, now)
                        else:
                            buffer[0] = channel >> 8
                            buffer[1] = channel & 0xFF
                            self._send_by(row, view[: 4 + length], length, now)
                    continue
            queue.put(self._five_tuple(client, listener), bytes(view[:size]), now)

    def _send_by(self, row: Row, datagram: bytes | memoryview, length: int, now: float) -> None:
        try:
            row.send_to(datagram, row.target)
        except OSError:
            row.dropped(DropReason.SEND_FAILED)
            return
        row.passed(length, now)

    @staticmethod
    def _five_tuple(client: tuple[str, int], listener: _Listener) -> FiveTuple:
        return FiveTuple(Transport.UDP, Address(*client), listener.address)
