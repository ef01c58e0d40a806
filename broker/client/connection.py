"""One WebSocket to an edge: hello, welcome, typed frames in and out."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import TypeVar, cast

import aiohttp

from broker.client.background import background
from broker.client.errors import EdgeClosed, EdgeMisspoke, EdgeRefused, EdgeUnreachable
from broker.client.http import bearer, checked_origin
from broker.client.inbox import Inbox
from broker.client.tls import Connector, Tls
from broker.core import errors
from broker.core.client_frames import (
    CallInvite,
    ChatSend,
    ClientFrame,
    ClientProgram,
    Hello,
    InvitationCreate,
    InvitationReissue,
    SignInRevoke,
    SignInRevokeOthers,
    SignInsList,
)
from broker.core.frame_codec import SUBPROTOCOL, FrameError, encode, parse_edge_frame
from broker.core.frames import ClientRefused, EdgeFrame, Error, GuestWelcome, InsiderWelcome

F = TypeVar("F", bound=EdgeFrame)

MAX_EDGE_FRAME_BYTES = 1 << 20
"""Largest frame taken from an edge; a welcome names every contact."""
INBOX_FRAMES = 1024
CONNECT_TIMEOUT_SECONDS = 20.0
SEND_TIMEOUT_SECONDS = 10.0
ANSWER_TIMEOUT_SECONDS = 10.0
HEARTBEAT_SECONDS = 20.0
CLOSE_TIMEOUT_SECONDS = 2.0

_UPGRADE_REFUSALS = {401: errors.NOT_SIGNED_IN, 403: errors.ORIGIN_REFUSED, 503: errors.EDGE_BUSY}


def new_ref() -> str:
    """A fresh `ref` for a frame that is answered."""
    return secrets.token_urlsafe(12)


class Connection:
    """Made by `connect`. Each received frame goes to exactly one `wait_for` or `request`.

    Frames nobody waits for are kept, `INBOX_FRAMES` at most; beyond that the oldest is dropped and counted.
    """

    welcome: InsiderWelcome | GuestWelcome

    def __init__(
        self, socket: aiohttp.ClientWebSocketResponse[bool], record: Callable[[str], None] | None
    ) -> None:
        self._socket = socket
        self._record = record
        self._inbox: Inbox[EdgeFrame] = Inbox(INBOX_FRAMES)
        self._last_refusal: EdgeRefused | None = None
        self._closed: EdgeClosed | None = None
        self.frames_not_understood = 0

    @property
    def closed(self) -> EdgeClosed | None:
        """Why the connection is over, once it is."""
        return self._closed

    @property
    def frames_dropped(self) -> int:
        return self._inbox.dropped

    async def send(self, frame: ClientFrame) -> None:
        """Raises EdgeClosed, also when the edge does not take the frame in time."""
        if self._closed is not None:
            raise self._closed
        try:
            async with asyncio.timeout(SEND_TIMEOUT_SECONDS):
                await self._socket.send_str(encode(frame))
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            over = self._over()
            self._inbox.close(over)
            raise over from error

    async def wait_for(
        self,
        frame_type: type[F],
        predicate: Callable[[F], bool] | None = None,
        timeout_seconds: float | None = ANSWER_TIMEOUT_SECONDS,
    ) -> F:
        """The oldest such frame not taken yet, or the next to come. Raises TimeoutError, EdgeClosed."""

        def matches(frame: EdgeFrame) -> bool:
            return isinstance(frame, frame_type) and (predicate is None or predicate(frame))

        return cast("F", await self._inbox.take(matches, timeout_seconds))

    async def take(self, match: Callable[[EdgeFrame], bool], timeout_seconds: float | None) -> EdgeFrame:
        """`wait_for` across frame types."""
        return await self._inbox.take(match, timeout_seconds)

    async def request(
        self,
        frame: ChatSend
        | InvitationCreate
        | InvitationReissue
        | CallInvite
        | SignInsList
        | SignInRevoke
        | SignInRevokeOthers,
        answer_type: type[F],
        timeout_seconds: float = ANSWER_TIMEOUT_SECONDS,
    ) -> F | EdgeFrame:
        """Sends `frame` and waits for what carries its `ref`: an `answer_type`, or another that has it.

        An `error` answer is raised as EdgeRefused. Raises TimeoutError, EdgeClosed.
        """
        await self.send(frame)
        answer = await self._inbox.take(lambda got: getattr(got, "ref", None) == frame.ref, timeout_seconds)
        if isinstance(answer, Error):
            raise EdgeRefused.from_frame(answer)
        return answer

    async def _greet(self, program: tuple[str, str]) -> None:
        def greets(frame: EdgeFrame) -> bool:
            return isinstance(frame, InsiderWelcome | GuestWelcome | Error | ClientRefused)

        await self.send(Hello(client=ClientProgram(name=program[0], version=program[1])))
        frame = await self._inbox.take(greets, CONNECT_TIMEOUT_SECONDS)
        if isinstance(frame, Error | ClientRefused):
            raise EdgeRefused.from_frame(frame)
        self.welcome = cast("InsiderWelcome | GuestWelcome", frame)

    async def _read(self) -> None:
        try:
            while True:
                message = await self._socket.receive()
                if message.type is aiohttp.WSMsgType.TEXT:
                    self._received(str(message.data))
                elif message.type is aiohttp.WSMsgType.BINARY:
                    self.frames_not_understood += 1
                else:
                    return
        finally:
            self._inbox.close(self._over())

    def _received(self, text: str) -> None:
        if self._record is not None:
            self._record(text)
        try:
            frame = parse_edge_frame(text)
        except FrameError:
            # A newer edge may know more frames than this client.
            self.frames_not_understood += 1
            return
        self._last_refusal = self._refusal(frame)
        self._inbox.put(frame)

    def _refusal(self, frame: EdgeFrame) -> EdgeRefused | None:
        before = self._last_refusal
        if isinstance(frame, Error) and before is not None and before.link and before.code == frame.code:
            return before  # the error that closes says less than the frame before it
        return EdgeRefused.from_frame(frame) if isinstance(frame, Error | ClientRefused) else None

    def _over(self) -> EdgeClosed:
        if self._closed is None:
            self._closed = EdgeClosed(self._socket.close_code, self._last_refusal)
        return self._closed


@asynccontextmanager
async def connect(
    origin: str,
    token: str,
    tls: Tls = None,
    program: tuple[str, str] | None = None,
    record: Callable[[str], None] | None = None,
) -> AsyncIterator[Connection]:
    """A connection that has been welcomed; it is closed when the body ends.

    `record` is called with the raw text of every frame received, understood or not. Enter and leave it in one
    task. Raises EdgeRefused, EdgeUnreachable, EdgeMisspoke; ValueError for an origin that is not https.
    """
    url = checked_origin(origin) + "/ws"
    connector = Connector(tls)
    timeout = aiohttp.ClientTimeout(total=None, connect=CONNECT_TIMEOUT_SECONDS)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        socket = await _upgrade(session, url, token)
        connection = Connection(socket, record)
        try:
            async with background() as tasks:
                tasks.start(connection._read())
                try:
                    await _welcomed(connection, program or ("turngate-python", version("turngate")))
                    yield connection
                finally:
                    # The reader is still there to see the close frame come back.
                    await socket.close()
        finally:
            if not socket.closed:
                await socket.close()


async def _upgrade(
    session: aiohttp.ClientSession, url: str, token: str
) -> aiohttp.ClientWebSocketResponse[bool]:
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
            socket = await session.ws_connect(
                url,
                protocols=(SUBPROTOCOL,),
                headers=bearer(token),
                heartbeat=HEARTBEAT_SECONDS,
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_TIMEOUT_SECONDS),
                max_msg_size=MAX_EDGE_FRAME_BYTES,
            )
    except aiohttp.WSServerHandshakeError as error:
        # The upgrade's answer has no body to read the code from.
        row = _UPGRADE_REFUSALS.get(error.status)
        if row is None:
            raise EdgeMisspoke(f"the upgrade was answered {error.status}") from error
        raise EdgeRefused(row.code, row.sentence, None, row.retryable) from error
    except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
        raise EdgeUnreachable(f"{url}: {type(error).__name__}") from error
    if socket.protocol != SUBPROTOCOL:
        await socket.close()
        raise EdgeMisspoke(f"the edge does not speak {SUBPROTOCOL}")
    return socket


async def _welcomed(connection: Connection, program: tuple[str, str]) -> None:
    try:
        await connection._greet(program)
    except EdgeClosed as error:
        raise error.error or EdgeUnreachable(f"closed before the welcome: {error}") from error
    except TimeoutError as error:
        raise EdgeUnreachable("no welcome came in time") from error
