"""One connection of a stream client."""

from __future__ import annotations

import asyncio
import socket
import struct
from time import monotonic
from typing import TYPE_CHECKING, cast

from relay.planes.token_bucket import TokenBucket
from relay.stun.framing import MAX_MESSAGE_BYTES, StreamFraming, padded
from relay.stun.malformed import MalformedError
from relay.vocabulary import Address, FiveTuple, Transport

if TYPE_CHECKING:
    from relay.streams.streams import Streams

MAX_STRANGER_MESSAGE_BYTES = 2048
"""What somebody without an allocation may send at once: no request is longer."""
MEDIA_BACKLOG_BYTES = 128 << 10
"""What may wait for a client before media for it is dropped: a quarter of a second of good video. By then as
much again may be on its way here."""
BACKLOG_BYTES = 512 << 10
"""What may wait for a client before an answer to it ends the connection: it reads nothing any more."""
UNREAD_SECONDS = 15
"""How long a client may leave unread what it was sent. Then the system ends the connection, whatever state
the layers above are in."""
OWNER_MESSAGES_PER_SECOND, OWNER_BURST = 8000, 512
STRANGER_MESSAGES_PER_SECOND, STRANGER_BURST = 20, 64
"""What is read of a client; who sends more is not read for a while. A segment holds hundreds of messages:
without this, one connection would cost more than a flood of datagrams."""
_BATCH = 64
_DISCARD = struct.pack("ii", 1, 0)
"""Of SO_LINGER: closing throws away what the kernel has not sent."""
_PAUSE_SECONDS = 0.02
_UNSENT_IN_KERNEL_BYTES = 64 << 10


class Stream(asyncio.Protocol):
    """Cuts what arrives into messages; garbage ends it. A client that reads slowly loses media of its own."""

    def __init__(self, streams: Streams, transport: Transport) -> None:
        self._streams = streams
        self._transport_kind = transport
        self._framing = StreamFraming(MAX_STRANGER_MESSAGE_BYTES)
        self._budget = TokenBucket(STRANGER_MESSAGES_PER_SECOND, STRANGER_BURST)
        self._later: asyncio.TimerHandle | None = None
        """Set while the client is not read."""
        self._connection: asyncio.Transport | None = None
        self.five_tuple: FiveTuple | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        client, server = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        if not client or not server:
            # It was over before it began.
            cast("asyncio.Transport", transport).abort()
            return
        connected = transport.get_extra_info("socket")
        # Media that waits is worth nothing: let it wait here, where it is counted, and not in the kernel.
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_IN_KERNEL_BYTES)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_SECONDS * 1000)
        self._connection = cast("asyncio.Transport", transport)
        self._connection.set_write_buffer_limits(MEDIA_BACKLOG_BYTES)
        self.five_tuple = FiveTuple(self._transport_kind, Address(*client[:2]), Address(*server[:2]))
        if not self._streams.opened(self, self.five_tuple):
            self.abort()

    def data_received(self, data: bytes) -> None:
        connection, five_tuple = self._connection, self.five_tuple
        if connection is None or five_tuple is None or connection.is_closing():
            return
        allowed = min(_BATCH, int(self._budget.left(monotonic())))
        try:
            messages = self._framing.feed(data, allowed)
        except MalformedError:
            self._streams.garbage += 1
            self.abort()
            return
        for message in messages:
            self._streams.received(five_tuple, message)
        self._budget.spend(len(messages))
        if len(messages) < allowed:
            self._read_on(connection)
        else:
            # There may be more: others first, and when nothing more is allowed a while later.
            self._read_later(connection, 0 if allowed else _PAUSE_SECONDS)

    def eof_received(self) -> None:
        """A client that sends nothing more is gone, whatever it could still be sent."""
        self.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self._connection = None
        if self._later is not None:
            self._later.cancel()
        if self.five_tuple is not None:
            self._streams.lost(self, self.five_tuple)

    def trust(self, *, owner: bool) -> None:
        """Somebody with an allocation may send media, and so long messages and many of them."""
        self._framing.max_bytes = MAX_MESSAGE_BYTES if owner else MAX_STRANGER_MESSAGE_BYTES
        if owner:
            self._budget.set_rate(OWNER_MESSAGES_PER_SECOND, OWNER_BURST)
        else:
            self._budget.set_rate(STRANGER_MESSAGES_PER_SECOND, STRANGER_BURST)

    def pause_writing(self) -> None:
        """More than MEDIA_BACKLOG_BYTES wait."""
        if self.five_tuple is not None:
            self._streams.paused(self.five_tuple)

    def resume_writing(self) -> None:
        if self.five_tuple is not None:
            self._streams.resumed(self.five_tuple)

    def deliver(self, message: bytes) -> None:
        """Media."""
        if self._connection is not None and not self._connection.is_closing():
            self._connection.write(padded(message))

    def answer(self, message: bytes) -> None:
        """An answer of control's, which is never dropped: a client that does not take it is gone."""
        if self._connection is not None and self._connection.get_write_buffer_size() > BACKLOG_BYTES:
            self.abort()
        else:
            self.deliver(message)

    def abort(self) -> None:
        """End it now; what waits is not sent, here or in the kernel."""
        if self._connection is not None and not self._connection.is_closing():
            connected = self._connection.get_extra_info("socket")
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _DISCARD)
            self._connection.abort()

    def _read_later(self, connection: asyncio.Transport, seconds: float) -> None:
        if self._later is None:
            connection.pause_reading()
        self._later = asyncio.get_running_loop().call_later(seconds, self.data_received, b"")

    def _read_on(self, connection: asyncio.Transport) -> None:
        if self._later is not None:
            self._later = None
            connection.resume_reading()
