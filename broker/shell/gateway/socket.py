"""One WebSocket: bounded on the way in by rate and size, on the way out by a queue."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from aiohttp import WSMsgType, web

from auth.directory import DirectoryUnavailable
from auth.personal import Personal
from auth.principal import Guest, Insider, PartyId
from broker.core.answers import error
from broker.core.client_frames import NARROWING_FRAMES, CallInvite, ChatSend, ClientFrame, Hello
from broker.core.commands import ConnectionId
from broker.core.errors import (
    BAD_FRAME,
    BAD_REQUEST,
    DIRECTORY_UNAVAILABLE,
    EDGE_BUSY,
    RATE_LIMITED,
    TOO_MANY_BAD_FRAMES,
    ErrorRow,
)
from broker.core.events import Connected, Disconnected, FrameReceived
from broker.core.frame_codec import SUBPROTOCOL, FrameError, encode, parse_client_frame
from broker.shell.gateway.edge import Edge, fresh_id
from broker.shell.gateway.http import RefusedError
from broker.shell.source import TokenBucket

SEND_TIMEOUT_SECONDS = 10.0
MAX_BAD_FRAMES = 20
CLOSE_CODE_BASE = 4000
"""Application close codes: 4000 + the HTTP status of the error."""


@dataclass(frozen=True, slots=True)
class _Close:
    http_status: int
    code: str


class SocketOutbox:
    """The queue to one client, and what went over its socket. Overflow rule: the client is disconnected,
    nobody else waits for it."""

    def __init__(self, socket: web.WebSocketResponse, max_frames: int) -> None:
        self._socket = socket
        self._queue: asyncio.Queue[str | _Close] = asyncio.Queue(max_frames)
        self.overflowed = asyncio.Event()
        self.frames_in = self.frames_out = 0
        self.bytes_in = self.bytes_out = 0
        self.closed_with: str | None = None

    def send(self, text: str) -> None:
        self._put(text)

    def close(self, http_status: int, code: str) -> None:
        if self.closed_with is None:
            self.closed_with = code
            self._put(_Close(http_status, code))

    def _put(self, item: str | _Close) -> None:
        try:
            self._queue.put_nowait(item)
        except asyncio.QueueFull:
            self.closed_with = "SLOW_READER"
            self.overflowed.set()

    async def drain(self) -> None:
        """Runs until a close is sent. Raises TimeoutError for a reader that takes nothing any more."""
        while True:
            item = await self._queue.get()
            if isinstance(item, _Close):
                code = CLOSE_CODE_BASE + item.http_status
                async with asyncio.timeout(SEND_TIMEOUT_SECONDS):
                    await self._socket.close(code=code, message=item.code.encode())
                return
            async with asyncio.timeout(SEND_TIMEOUT_SECONDS):
                await self._socket.send_str(item)
            self.frames_out += 1
            self.bytes_out += len(item.encode())


@dataclass(slots=True)
class SocketSession:
    """What one connection's reader knows."""

    edge: Edge
    listener: str
    connection_id: ConnectionId
    principal: Insider | Guest
    outbox: SocketOutbox
    bucket: TokenBucket
    bad_frames: int = field(default=0)

    def tell(self, row: ErrorRow, ref: str | None = None) -> None:
        self.outbox.send(encode(error(row, ref)))

    async def read(self, text: str) -> bool:
        """Handle one message; False when this client has had its chances."""
        edge = self.edge
        self.outbox.frames_in += 1
        self.outbox.bytes_in += len(text.encode(errors="surrogatepass"))
        edge.metrics.frames.labels(self.listener).inc()
        if not self.bucket.take(edge.clock().monotonic_seconds):
            self.tell(RATE_LIMITED)
            return True
        try:
            frame = parse_client_frame(text)
        except FrameError:
            return self.bad_frame()
        if edge.driver.backlog_full and not isinstance(frame, NARROWING_FRAMES):
            self.tell(EDGE_BUSY, getattr(frame, "ref", None))
            return True
        try:
            event = await self._with_facts(frame)
        except DirectoryUnavailable:
            self.tell(DIRECTORY_UNAVAILABLE, getattr(frame, "ref", None))
            return True
        edge.driver.submit(event)
        return True

    def bad_frame(self) -> bool:
        self.bad_frames += 1
        self.edge.metrics.bad_frames.labels(self.listener).inc()
        if self.bad_frames < MAX_BAD_FRAMES:
            self.tell(BAD_FRAME)
            return True
        self.tell(TOO_MANY_BAD_FRAMES)
        self.outbox.close(TOO_MANY_BAD_FRAMES.http_status, TOO_MANY_BAD_FRAMES.code)
        return False

    async def _with_facts(self, frame: ClientFrame) -> FrameReceived:
        facts = self.edge.facts
        if isinstance(frame, ChatSend | CallInvite):
            return FrameReceived(self.connection_id, frame, await facts.insider(PartyId(frame.to)))
        if isinstance(frame, Hello) and isinstance(self.principal, Insider):
            return FrameReceived(self.connection_id, frame, people=await facts.people())
        if isinstance(frame, Hello) and isinstance(self.principal, Guest):
            host = await facts.insider(self.principal.invited_by)
            return FrameReceived(self.connection_id, frame, host)
        return FrameReceived(self.connection_id, frame)


async def serve_socket(
    edge: Edge,
    request: web.Request,
    listener: str,
    principal: Insider | Guest,
    token_digest: str,
    source: str,
    host: Insider | None = None,
) -> web.WebSocketResponse:
    """Run one WebSocket from upgrade to close. Raises RefusedError before the upgrade."""
    settings = edge.settings.gateway
    offered = request.headers.get("Sec-WebSocket-Protocol", "")
    if SUBPROTOCOL not in (name.strip() for name in offered.split(",")):
        raise RefusedError(BAD_REQUEST)
    if len(edge.effects.outboxes) >= settings.max_connections:
        raise RefusedError(EDGE_BUSY)
    socket = web.WebSocketResponse(
        protocols=(SUBPROTOCOL,),
        heartbeat=settings.heartbeat_seconds,
        max_msg_size=settings.max_frame_bytes,
        compress=False,
    )
    await socket.prepare(request)
    connection_id = ConnectionId(f"n-{fresh_id()}")
    outbox = SocketOutbox(socket, settings.send_queue_frames)
    bucket = TokenBucket(settings.frames_per_second, settings.frames_burst)
    session = SocketSession(edge, listener, connection_id, principal, outbox, bucket)
    edge.effects.outboxes[connection_id] = outbox
    reason = "client_gone"
    try:
        edge.driver.submit(Connected(connection_id, principal, Personal(source), token_digest, host))
        reason = await _run(session, socket)
    finally:
        del edge.effects.outboxes[connection_id]
        edge.driver.submit(
            Disconnected(
                connection_id,
                outbox.closed_with or reason,
                outbox.bytes_in,
                outbox.bytes_out,
                outbox.frames_in,
                outbox.frames_out,
            )
        )
        if request.transport is not None and (outbox.overflowed.is_set() or not socket.closed):
            request.transport.abort()
    return socket


class _EndedError(Exception):
    """One side of a connection has ended; carries the reason."""


async def _run(session: SocketSession, socket: web.WebSocketResponse) -> str:
    """Read and write until either side ends; the reason why."""

    async def read() -> None:
        async for message in socket:
            is_text = message.type is WSMsgType.TEXT
            if not (await session.read(message.data) if is_text else session.bad_frame()):
                return  # what is still queued, the reason included, is written before the end
        raise _EndedError("client_closed")

    async def write() -> None:
        try:
            await session.outbox.drain()
        except (TimeoutError, ConnectionError):
            raise _EndedError("client_gone") from None
        raise _EndedError("closed")

    async def overflow() -> None:
        await session.outbox.overflowed.wait()
        raise _EndedError("SLOW_READER")

    reason = "client_gone"
    try:
        async with asyncio.TaskGroup() as tasks:
            for side in (read(), write(), overflow()):
                tasks.create_task(side)
    except* _EndedError as ended:
        reason = str(ended.exceptions[0])
    return reason
