"""What waits for control, and who may put how much there."""

from __future__ import annotations

import asyncio
from collections import deque

from relay.planes.token_bucket import TokenBucket
from relay.prefix_budget import PrefixBudget
from relay.stun.address import MAGIC_COOKIE
from relay.vocabulary import FiveTuple, PlaneCounters, Punt

MAX_WAITING = 8192
MAX_WAITING_BYTES = 16 << 20
MAX_STRANGERS_WAITING = 2048
MAX_STREAM_STRANGERS_WAITING = 4096
"""Above the other, so that forged addresses do not keep out those who have shown theirs."""
ROOM_FOR_OTHERS = 8
"""Of one five-tuple may wait the room that is left, divided by this: thirty-two of them, which one credential
may have, leave a fifth of the room to everybody else, and one alone may still send a burst."""
MAX_STRANGER_BYTES = 2048
"""As on a stream: no request of a stranger is longer."""
BATCH = 8
"""Handed out at once. Between batches the listeners are read, more datagrams than this, so that no flood of
requests makes media wait."""

# Datagrams a second, and at once. An owner may send media at full rate in indications for a whole call.
OWNED = (4000.0, 2000.0)
STRANGERS = (4000.0, 2000.0)
STREAM_STRANGERS = (4000.0, 2000.0)
QUIET = 0.5
"""A network that has so much of its own burst left was quiet. The last half of what all strangers have is for
those alone: while some networks flood, who comes from another one is heard."""


class PuntQueue:
    """Bounded in datagrams and bytes; what does not fit is dropped and counted, oldest stay.

    Of a stranger only STUN requests are taken: nothing else of theirs could be answered. Over UDP a source
    network has so many a second and at once, and quiet ones a part of what all have together; a stranger
    on a stream is bounded there, by its connection.
    """

    def __init__(self, network_per_second: float, network_burst: float) -> None:
        self._waiting: deque[Punt] = deque()
        self._waiting_bytes = 0
        self._strangers_waiting = 0
        self._per_five_tuple: dict[FiveTuple, int] = {}
        self._owned: dict[FiveTuple, TokenBucket] = {}
        self._strangers = TokenBucket(*STRANGERS, reserve=STRANGERS[1] / 2)
        self._stream_strangers = TokenBucket(*STREAM_STRANGERS)
        self._networks = PrefixBudget(network_per_second, network_burst)
        self._arrived = asyncio.Event()
        self._punted = 0
        self._refused_owned = 0
        self._refused_stranger = 0

    def own(self, five_tuple: FiveTuple) -> None:
        if five_tuple not in self._owned:
            self._owned[five_tuple] = TokenBucket(*OWNED)

    def disown(self, five_tuple: FiveTuple) -> None:
        self._owned.pop(five_tuple, None)

    def waits(self, five_tuple: FiveTuple) -> bool:
        """Whether a datagram of this five-tuple is still to be seen by control."""
        return five_tuple in self._per_five_tuple

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def put(self, five_tuple: FiveTuple, datagram: bytes, now: float) -> None:
        full = len(self._waiting) >= MAX_WAITING or self._waiting_bytes + len(datagram) > MAX_WAITING_BYTES
        bucket = self._owned.get(five_tuple)
        if bucket is not None:
            room = MAX_WAITING - len(self._waiting)
            crowds = self._per_five_tuple.get(five_tuple, 0) > room // ROOM_FOR_OTHERS
            if full or crowds or not bucket.take(1, now):
                self._refused_owned += 1
                return
        else:
            asks = len(datagram) <= MAX_STRANGER_BYTES and _is_stun_request(datagram)
            if full or not asks or not self._takes_stranger(five_tuple, now):
                self._refused_stranger += 1
                return
            self._strangers_waiting += 1
        self._punted += 1
        self._waiting.append(Punt(five_tuple, datagram))
        self._waiting_bytes += len(datagram)
        self._per_five_tuple[five_tuple] = self._per_five_tuple.get(five_tuple, 0) + 1
        self._arrived.set()

    def _takes_stranger(self, five_tuple: FiveTuple, now: float) -> bool:
        waiting = self._strangers_waiting
        if five_tuple.transport.is_stream:
            return waiting < MAX_STREAM_STRANGERS_WAITING and self._stream_strangers.take(1, now)
        if waiting >= MAX_STRANGERS_WAITING:
            return False
        share = self._networks.spend(five_tuple.client.ip, now)
        return share > 0 and self._strangers.take(1, now, use_reserve=share >= QUIET)

    async def take(self) -> list[Punt]:
        """The oldest datagrams, at most a batch; waits for one."""
        if self._waiting:
            # A backlog must not keep the listeners from being read.
            await asyncio.sleep(0)
        while not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        return [self._pop() for _ in range(min(BATCH, len(self._waiting)))]

    def counters(self, send_failed: int, egress_refused: int) -> PlaneCounters:
        return PlaneCounters(
            self._punted, self._refused_owned, self._refused_stranger, egress_refused, send_failed
        )

    def _pop(self) -> Punt:
        punt = self._waiting.popleft()
        self._waiting_bytes -= len(punt.datagram)
        left = self._per_five_tuple[punt.five_tuple] - 1
        if left:
            self._per_five_tuple[punt.five_tuple] = left
        else:
            del self._per_five_tuple[punt.five_tuple]
        # Owning may have begun or ended since it was put; then the count only errs until the queue is empty.
        if punt.five_tuple not in self._owned and self._strangers_waiting:
            self._strangers_waiting -= 1
        if not self._waiting:
            self._strangers_waiting = 0
        return punt


def _is_stun_request(datagram: bytes) -> bool:
    return (
        len(datagram) >= 20
        and datagram[0] < 4
        and not (datagram[0] & 1 or datagram[1] & 0x10)
        and datagram[4:8] == MAGIC_COOKIE
    )
