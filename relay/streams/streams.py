"""All stream clients of a relay, and the bounds on those who have not shown a credential yet."""

from __future__ import annotations

from collections.abc import Callable

from relay.prefix_budget import network_of
from relay.streams.stream import Stream
from relay.vocabulary import FiveTuple, Plane, Transport

MAX_STRANGERS = 1024
"""Connections without an allocation. One more ends the oldest: who has a credential needs a moment only."""
MAX_STRANGERS_OF_NETWORK = 64
"""Of them, from one /24 or /48; one more is not taken."""
STRANGER_SECONDS = 10.0
"""How long a connection may be without an allocation."""


class Streams:
    """Holds the connections. `clock` gives monotonic seconds."""

    def __init__(
        self,
        plane: Plane,
        closed: Callable[[FiveTuple], None],
        max_streams: int,
        clock: Callable[[], float],
    ) -> None:
        self._plane = plane
        self._closed = closed
        self.max_streams = max_streams
        self._clock = clock
        self._live: dict[FiveTuple, Stream] = {}
        self._strangers: dict[FiveTuple, float] = {}
        """When they became strangers, oldest first."""
        self._strangers_of: dict[str, int] = {}
        self.garbage = 0
        """Connections ended because what came was neither STUN nor ChannelData."""
        self.refused = 0
        """Connections not taken, or ended unused, because there were too many."""

    def __len__(self) -> int:
        return len(self._live)

    def __contains__(self, five_tuple: FiveTuple) -> bool:
        return five_tuple in self._live

    def protocol(self, transport: Transport) -> Stream:
        """For a connection that is about to be made, or handed over."""
        return Stream(self, transport)

    # --- what a stream tells ---------------------------------------------------------------------------

    def opened(self, stream: Stream, five_tuple: FiveTuple) -> bool:
        """Whether this connection may stay."""
        room = self.max_streams - len(self._live)
        of_network = self._strangers_of.get(network_of(five_tuple.client.ip), 0)
        if (
            room < 0
            or (room == 0 and not self._strangers)
            or of_network >= MAX_STRANGERS_OF_NETWORK
            or five_tuple in self._live
        ):
            self.refused += 1
            return False
        if room == 0 or len(self._strangers) >= MAX_STRANGERS:
            self.refused += 1
            self.close(next(iter(self._strangers)))
        self._live[five_tuple] = stream
        self._add_stranger(five_tuple)
        return True

    def received(self, five_tuple: FiveTuple, message: bytes) -> None:
        if five_tuple in self._live:
            self._plane.inject(five_tuple, message)

    def paused(self, five_tuple: FiveTuple) -> None:
        """It does not keep up with what it is sent."""
        if five_tuple in self._live:
            self._plane.pause(five_tuple)

    def resumed(self, five_tuple: FiveTuple) -> None:
        self._plane.resume(five_tuple)

    def lost(self, stream: Stream, five_tuple: FiveTuple) -> None:
        """Not told of a connection that was ended here: whoever ended it knows."""
        if self._live.get(five_tuple) is stream:
            self._end(five_tuple)
            self._closed(five_tuple)

    # --- what control says -----------------------------------------------------------------------------

    def own(self, five_tuple: FiveTuple) -> None:
        """This client has an allocation now."""
        stream = self._live.get(five_tuple)
        if stream is not None:
            self._remove_stranger(five_tuple)
            stream.trust(owner=True)

    def disown(self, five_tuple: FiveTuple) -> None:
        """And now no more: it has a stranger's time to make another."""
        stream = self._live.get(five_tuple)
        if stream is not None and five_tuple not in self._strangers:
            self._add_stranger(five_tuple)
            stream.trust(owner=False)

    def answer(self, five_tuple: FiveTuple, message: bytes) -> None:
        stream = self._live.get(five_tuple)
        if stream is not None:
            stream.answer(message)

    def deliver(self, five_tuple: FiveTuple, message: bytes) -> None:
        stream = self._live.get(five_tuple)
        if stream is not None:
            stream.deliver(message)

    def close(self, five_tuple: FiveTuple) -> None:
        stream = self._live.get(five_tuple)
        if stream is not None:
            self._end(five_tuple)
            stream.abort()

    def close_strangers(self) -> None:
        """End the connections that have been without an allocation for too long."""
        until = self._clock() - STRANGER_SECONDS
        while self._strangers:
            five_tuple, since = next(iter(self._strangers.items()))
            if since > until:
                return
            self.close(five_tuple)

    def close_all(self) -> None:
        for five_tuple in tuple(self._live):
            self.close(five_tuple)

    # --- inside ----------------------------------------------------------------------------------------

    def _end(self, five_tuple: FiveTuple) -> None:
        del self._live[five_tuple]
        self._plane.resume(five_tuple)
        self._remove_stranger(five_tuple)

    def _add_stranger(self, five_tuple: FiveTuple) -> None:
        network = network_of(five_tuple.client.ip)
        self._strangers[five_tuple] = self._clock()
        self._strangers_of[network] = self._strangers_of.get(network, 0) + 1

    def _remove_stranger(self, five_tuple: FiveTuple) -> None:
        if self._strangers.pop(five_tuple, None) is None:
            return
        network = network_of(five_tuple.client.ip)
        left = self._strangers_of[network] - 1
        if left:
            self._strangers_of[network] = left
        else:
            del self._strangers_of[network]
