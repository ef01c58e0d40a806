"""The native plane: threads in Rust (`relay/native`) carry the packets; this is the event loop's side.

Where the extension is not built, importing this module fails with ImportError.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Collection, Sequence
from typing import NamedTuple

from relay import _native
from relay.planes import egress_queue, punt_queue
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

MAX_WORKERS = 64
BATCH = 32
"""Punts handed out at once; media does not wait for them."""
EGRESS_BATCH = 256
"""Messages for stream clients handed out at once: everything else in the event loop waits for no more."""
PAUSE_SECONDS = 0.001
"""After a batch that was not full, for the next to grow: a flood would wake the loop for each stranger."""

_AddressTuple = tuple[str, int]
_FiveTupleTuple = tuple[str, _AddressTuple, _AddressTuple]


class PuntBounds(NamedTuple):
    """What may wait for control; of rates, so many a second and at once."""

    waiting: int
    waiting_bytes: int
    strangers_waiting: int
    stream_strangers_waiting: int
    stranger_bytes: int
    owned: tuple[float, float]
    strangers: tuple[float, float]
    stream_strangers: tuple[float, float]
    network: tuple[float, float]


class EgressBounds(NamedTuple):
    """What may wait for those who hold the connections of stream clients."""

    messages: int
    bytes: int
    bytes_of_client: int
    bytes_of_message: int


_EGRESS = EgressBounds(
    egress_queue.MAX_WAITING,
    egress_queue.MAX_WAITING_BYTES,
    egress_queue.MAX_WAITING_BYTES_OF_CLIENT,
    egress_queue.BYTES_OF_MESSAGE,
)


class NativePlane:
    """See `relay.vocabulary.Plane`.

    `workers` threads read each listener; 0 for as many as there are processors for this process.
    """

    def __init__(
        self,
        socket_buffer_bytes: int = 4 << 20,
        strangers_per_second: float = 100,
        strangers_burst: float = 500,
        workers: int = 0,
    ) -> None:
        self._socket_buffer_bytes = socket_buffer_bytes
        self._workers = workers or min(len(os.sched_getaffinity(0)), MAX_WORKERS)
        self._bounds = PuntBounds(
            punt_queue.MAX_WAITING,
            punt_queue.MAX_WAITING_BYTES,
            punt_queue.MAX_STRANGERS_WAITING,
            punt_queue.MAX_STREAM_STRANGERS_WAITING,
            punt_queue.MAX_STRANGER_BYTES,
            punt_queue.OWNED,
            punt_queue.STRANGERS,
            punt_queue.STREAM_STRANGERS,
            (strangers_per_second, strangers_burst),
        )
        self._running: _native.Plane | None = None
        self._pause_seconds = 0.0
        self._punted = asyncio.Event()
        self._came_out = asyncio.Event()

    @property
    def _plane(self) -> _native.Plane:
        if self._running is None:
            raise RuntimeError("the plane has not been started")
        return self._running

    def start(self, listeners: Sequence[Address]) -> list[Address]:
        loop = asyncio.get_running_loop()
        plane = _native.Plane(listeners, self._workers, self._socket_buffer_bytes, self._bounds, _EGRESS)
        self._running = plane
        loop.add_reader(plane.punts_descriptor(), _wake, plane.punts_descriptor(), self._punted)
        loop.add_reader(plane.egress_descriptor(), _wake, plane.egress_descriptor(), self._came_out)
        return [Address(*address) for address in plane.listeners()]

    def stop(self) -> None:
        plane = self._running
        if plane is None:
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(plane.punts_descriptor())
        loop.remove_reader(plane.egress_descriptor())
        plane.stop()

    def own(self, five_tuple: FiveTuple) -> None:
        self._plane.own(five_tuple)

    def disown(self, five_tuple: FiveTuple) -> None:
        self._plane.disown(five_tuple)

    def install(self, route: Route) -> None:
        self._plane.install(route, secrets.token_bytes(12))

    def remove(self, source: Leg) -> RouteCounters | None:
        removed = self._plane.remove(source)
        return _counters(*removed) if removed is not None else None

    def remove_session(self, session_id: str) -> dict[Leg, RouteCounters]:
        return self.remove_sessions((session_id,))

    def remove_sessions(self, session_ids: Collection[str]) -> dict[Leg, RouteCounters]:
        removed = self._plane.remove_sessions(list(session_ids))
        return {_leg(*leg): _counters(*one) for leg, one in removed}

    def remove_all(self) -> dict[Leg, RouteCounters]:
        return {_leg(*leg): _counters(*one) for leg, one in self._plane.remove_all()}

    def set_limit(self, limiter_id: str, limiter: Limiter | None) -> None:
        self._plane.set_limit(limiter_id, limiter)

    def counters(self, session_id: str) -> dict[Leg, RouteCounters]:
        return {_leg(*leg): _counters(*one) for leg, one in self._plane.counters(session_id)}

    def totals(self) -> RouteCounters:
        packets, size, drops, _ = self._plane.totals()
        return _counters(packets, size, drops, None)

    def plane_counters(self) -> PlaneCounters:
        return PlaneCounters(*self._plane.plane_counters())

    def send(self, five_tuple: FiveTuple, datagram: bytes) -> None:
        self._plane.send(five_tuple, datagram)

    def inject(self, five_tuple: FiveTuple, message: bytes) -> None:
        self._plane.inject(five_tuple, message)

    def forward(self, source: Leg, payload: bytes) -> None:
        self._plane.forward(source, payload)

    def pause(self, five_tuple: FiveTuple) -> None:
        self._plane.pause(five_tuple)

    def resume(self, five_tuple: FiveTuple) -> None:
        self._plane.resume(five_tuple)

    async def egress(self) -> list[Egress]:
        # Threads put more while the last was dealt with: everything else in this loop has its turn first.
        await asyncio.sleep(0)
        while True:
            self._came_out.clear()
            waiting = self._plane.take_egress(EGRESS_BATCH)
            if waiting:
                return [Egress(_five_tuple(*five_tuple), message) for five_tuple, message in waiting]
            await self._came_out.wait()

    async def punts(self) -> list[Punt]:
        await asyncio.sleep(self._pause_seconds)
        while True:
            self._punted.clear()
            waiting = self._plane.take_punts(BATCH)
            if waiting:
                self._pause_seconds = PAUSE_SECONDS if len(waiting) < BATCH else 0.0
                # Once the caller gives up the thread, it has dealt with them.
                asyncio.get_running_loop().call_soon(self._plane.settle_punts)
                return [Punt(_five_tuple(*five_tuple), datagram) for five_tuple, datagram in waiting]
            await self._punted.wait()


def _wake(descriptor: int, event: asyncio.Event) -> None:
    os.eventfd_read(descriptor)
    event.set()


def _five_tuple(transport: str, client: _AddressTuple, server: _AddressTuple) -> FiveTuple:
    return FiveTuple(Transport(transport), Address(*client), Address(*server))


def _leg(five_tuple: _FiveTupleTuple, form: int | _AddressTuple) -> Leg:
    return Leg(_five_tuple(*five_tuple), form if isinstance(form, int) else Address(*form))


def _counters(
    packets: int, size: int, drops: list[tuple[str, int]], last_seen: float | None
) -> RouteCounters:
    return RouteCounters(packets, size, {DropReason(reason): count for reason, count in drops}, last_seen)
