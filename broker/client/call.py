"""Calls: one offer, one answer, synthetic media through the relay, and a report of what passed."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Literal

from broker.client.background import Background, background
from broker.client.connection import Connection, new_ref
from broker.client.errors import CallOver, EdgeClosed, EdgeError, EdgeMisspoke, EdgeRefused, MediaFailed
from broker.client.limits import SendLimits
from broker.client.media import MediaCounts, MediaKind, MediaPeer
from broker.client.relay_path import RelayPath, RelayTransport, find_relay_path
from broker.client.sharing import SHARE_TIMEOUT_SECONDS, Sharing
from broker.core.client_frames import (
    CallAccept,
    CallAnswer,
    CallCancel,
    CallDecline,
    CallHangUp,
    CallInvite,
    CallOffer,
    ClientFrame,
)
from broker.core.frame_fields import EndReason, ShareEndReason
from broker.core.frames import (
    CallAccepted,
    CallCreated,
    CallEnded,
    CallRing,
    CallShareEnded,
    CallSharing,
    Contact,
    EdgeFrame,
    Error,
    ForwardedAnswer,
    ForwardedCandidate,
    ForwardedOffer,
    MediaLimit,
)

CONNECT_TIMEOUT_SECONDS = 30.0
RING_TIMEOUT_SECONDS = 30.0
END_TIMEOUT_SECONDS = 5.0
KEPT_REFUSALS = 16


@dataclass(frozen=True, slots=True)
class CallReport:
    """`seconds` since media could flow; `selected_pair` is local/remote as ICE nominated it, or None.

    `relay_transport` is how this side reaches the relay, None before that was found out. The bytes sent of a
    medium are those of its RTP packets on the wire; `limits` are `Call.limits` now.
    """

    seconds: float
    selected_pair: str | None
    relay_transport: RelayTransport | None
    audio_packets_sent: int
    audio_packets_received: int
    audio_frames_received: int
    video_frames_sent: int
    video_frames_received: int
    screen_frames_sent: int
    screen_frames_received: int
    audio_bytes_sent: int
    video_bytes_sent: int
    screen_bytes_sent: int
    bytes_sent: int
    bytes_received: int
    limits: SendLimits


class Call:
    """Made by `Calls.place` and `Calls.accept`, over when their body ends or the edge says so."""

    def __init__(
        self,
        connection: Connection,
        call_id: str,
        role: Literal["caller", "callee"],
        counterpart: Contact,
        media: Sequence[MediaKind],
        tls: ssl.SSLContext,
        tasks: Background,
        obeys_limits: bool,
    ) -> None:
        self.call_id = call_id
        self.counterpart = counterpart
        self.media = tuple(media)
        self.end_reason: EndReason | None = None
        self.limits = SendLimits()
        """What may be sent, as last stated, by the edge's frame or in the counterpart's description."""
        self.refusals: deque[EdgeRefused] = deque(maxlen=KEPT_REFUSALS)
        self._sharing = Sharing(connection, call_id, counterpart.party, tasks)
        self._connection = connection
        self._role = role
        self._tls = tls
        self._tasks = tasks
        self._obeys_limits = obeys_limits
        self._peer: MediaPeer | None = None
        self._answered = False
        self._path: RelayPath | None = None
        self._accepted = asyncio.Event()
        self._settled = asyncio.Event()
        self._over = asyncio.Event()
        self._failure: EdgeError | None = None
        self._connected_at: float | None = None
        self._ended_at: float | None = None
        self._leaving = False

    async def accepted(self, timeout_seconds: float = RING_TIMEOUT_SECONDS) -> None:
        """Returns when somebody has answered.

        Raises CallOver, EdgeRefused, EdgeClosed, MediaFailed, TimeoutError.
        """
        async with asyncio.timeout(timeout_seconds):
            await self._accepted.wait()
        if self._failure is not None and self._connected_at is None:
            raise self._failure

    async def connected(self, timeout_seconds: float = CONNECT_TIMEOUT_SECONDS) -> None:
        """Returns when media can flow both ways. Raises as `accepted` does."""
        async with asyncio.timeout(timeout_seconds):
            await self._settled.wait()
        if self._connected_at is None:
            raise self._failure or MediaFailed("settled without media")

    async def ended(self, timeout_seconds: float | None = CONNECT_TIMEOUT_SECONDS) -> EndReason:
        """The reason, once the call is over. Raises EdgeClosed, if that came first, and TimeoutError."""
        async with asyncio.timeout(timeout_seconds):
            await self._over.wait()
        if self.end_reason is None:
            raise self._failure or EdgeClosed(None)
        return self.end_reason

    async def hang_up(self) -> None:
        """Ends the call and waits for the edge to say so; nothing when it is already over."""
        if self._over.is_set():
            return
        self._leaving = True
        ringing = self._role == "caller" and not self._answered
        frame: ClientFrame = CallCancel(call_id=self.call_id) if ringing else CallHangUp(call_id=self.call_id)
        await self._connection.send(frame)
        async with asyncio.timeout(END_TIMEOUT_SECONDS):
            await self._over.wait()

    @property
    def sharing(self) -> str | None:
        """The party that shows its screen now."""
        return self._sharing.party

    @property
    def share_end_reason(self) -> ShareEndReason | None:
        """Why the last share of the call ended, while there is no other."""
        return self._sharing.end_reason

    async def share(self, timeout_seconds: float = SHARE_TIMEOUT_SECONDS) -> None:
        """Shows a synthetic screen to the other side; returns once both have agreed on it. When it raises,
        nothing is shared.

        Raises EdgeRefused, ShareOver, CallOver, EdgeClosed, MediaFailed, TimeoutError.
        """
        await self.connected()
        if self._over.is_set():
            raise self._failure or EdgeClosed(None)
        await self._sharing.share(timeout_seconds)

    async def unshare(self) -> None:
        """Ends one's own share and waits for the edge to say so; nothing when there is none."""
        await self._sharing.unshare()

    async def report(self) -> CallReport:
        """What has passed so far, or in all once the call is over."""
        now = self._ended_at or asyncio.get_running_loop().time()
        seconds = now - self._connected_at if self._connected_at is not None else 0.0
        counts = await self._peer.counts() if self._peer is not None else MediaCounts()
        return CallReport(
            seconds=seconds,
            selected_pair=self._peer.selected_pair() if self._peer is not None else None,
            relay_transport=self._path.transport if self._path is not None else None,
            audio_packets_sent=counts.audio_packets_sent,
            audio_packets_received=counts.audio_packets_received,
            audio_frames_received=counts.audio_frames_received,
            video_frames_sent=counts.video_frames_sent,
            video_frames_received=counts.video_frames_received,
            screen_frames_sent=counts.screen_frames_sent,
            screen_frames_received=counts.screen_frames_received,
            audio_bytes_sent=counts.audio_bytes_sent,
            video_bytes_sent=counts.video_bytes_sent,
            screen_bytes_sent=counts.screen_bytes_sent,
            bytes_sent=counts.bytes_sent,
            bytes_received=counts.bytes_received,
            limits=self.limits,
        )

    async def negotiate(self) -> None:
        """Follows the call's frames until it is over; the body of the call's own task."""
        try:
            while not self._over.is_set():
                frame = await self._connection.take(self._is_mine, None)
                async with self._sharing.turn:
                    await self._follow(frame)
                    await self._sharing.offer()
        except EdgeClosed as closed:
            self._fail(closed)
            self._finish(None)
        except MediaFailed as failed:
            self._fail(failed)
            await self._give_up()

    async def close(self) -> None:
        """Tells the edge if the call is still on, then frees the media. Waits for nothing without a limit."""
        try:
            await self.hang_up()
        except (EdgeError, TimeoutError):
            # The edge is gone or silent: it ends the call itself when this connection is gone.
            pass
        finally:
            if self._peer is not None:
                self._peer.selected_pair()
                await self._peer.close()

    def _is_mine(self, frame: EdgeFrame) -> bool:
        if isinstance(frame, CallRing | CallCreated):
            return False
        return getattr(frame, "call_id", None) == self.call_id

    async def _follow(self, frame: EdgeFrame) -> None:
        match frame:
            case CallAccepted():
                await self._begin(frame)
            case ForwardedOffer() if self._peer is not None:
                self._sharing.crossed()
                self._limit_as_described(frame.sdp)
                answer = await self._peer.answer(frame.sdp)
                await self._connection.send(CallAnswer(call_id=self.call_id, sdp=answer))
            case ForwardedAnswer() if self._peer is not None:
                self._limit_as_described(frame.sdp)
                await self._peer.apply_answer(frame.sdp)
                self._sharing.answered()
            case ForwardedCandidate() if self._peer is not None:
                await self._peer.add_candidate(frame.candidate, frame.mid)
            case MediaLimit():
                self._limit(SendLimits.from_frame(frame))
            case CallSharing():
                self._sharing.began(frame)
            case CallShareEnded():
                self._sharing.ended(frame)
            case CallEnded():
                self._fail(CallOver(frame.reason))
                self._finish(frame.reason)
            case Error():
                refusal = EdgeRefused.from_frame(frame)
                self.refusals.append(refusal)
                if self._sharing.is_refused(refusal):
                    return
                self._fail(refusal)
                if self._role == "callee" and not self._answered:
                    # What was refused is the acceptance itself.
                    self._finish(None)
            case _:
                # A signal for a call that has no media yet: nothing can be done with it.
                pass

    async def _begin(self, accepted: CallAccepted) -> None:
        if self._answered:
            return
        self._answered = True
        self._accepted.set()
        self._path = await find_relay_path(accepted.ice_server.urls, self._tls)
        if self._is_leaving():
            return
        relay = accepted.ice_server.model_copy(update={"urls": [self._path.url]})
        self._peer = MediaPeer(relay, self.media, self._tls, self._media_changed, self._tasks.start)
        self._sharing.peer = self._peer
        self._limit(self.limits)
        if self._role == "caller":
            offer = await self._peer.offer()
            if self._is_leaving():
                return
            await self._connection.send(CallOffer(call_id=self.call_id, sdp=offer))

    def _limit_as_described(self, sdp: str) -> None:
        self._limit(self.limits.updated_by(sdp, with_video="video" in self.media))

    def _limit(self, limits: SendLimits) -> None:
        self.limits = limits
        if self._peer is not None and self._obeys_limits:
            self._peer.limit(limits)

    def _is_leaving(self) -> bool:
        """Asked again after each wait: the call may have ended meanwhile."""
        return self._leaving

    def _media_changed(self, state: str) -> None:
        if state == "connected" and self._connected_at is None:
            self._connected_at = asyncio.get_running_loop().time()
            self._settled.set()
        elif state in ("failed", "closed") and not self._leaving and not self._over.is_set():
            self._leaving = True
            self._fail(MediaFailed("the media path broke"))
            self._tasks.start(self._give_up())

    async def _give_up(self) -> None:
        """Media cannot go on: the edge and the counterpart are told, at once."""
        with suppress(EdgeClosed):
            await self._connection.send(CallHangUp(call_id=self.call_id))
        self._finish("hung_up")

    def _fail(self, failure: EdgeError) -> None:
        if self._failure is None:
            self._failure = failure
        self._sharing.fails(failure)
        if self._connected_at is None:
            self._accepted.set()
            self._settled.set()

    def _finish(self, reason: EndReason | None) -> None:
        if not self._over.is_set():
            self.end_reason = reason
            self._ended_at = asyncio.get_running_loop().time()
            self._leaving = True
            self._sharing.call_ended()
            self._over.set()


class Calls:
    """Places and takes calls on one connection."""

    def __init__(self, connection: Connection, tls: ssl.SSLContext) -> None:
        self._connection = connection
        self._tls = tls

    @asynccontextmanager
    async def place(
        self, to: str, media: Sequence[MediaKind], *, obeys_limits: bool = True
    ) -> AsyncIterator[Call]:
        """A call that rings; `connected` waits for media. It is cancelled or hung up when the body ends.

        Without `obeys_limits` it sends what it likes, whatever the edge allows: for tests, which play a
        program that does.

        Raises EdgeRefused, CallOver when it ended before it rang, EdgeClosed, TimeoutError.
        """
        invite = CallInvite(ref=new_ref(), to=to, media=list(media))
        created = await self._connection.request(invite, CallCreated)
        if isinstance(created, CallEnded):
            raise CallOver(created.reason)
        if not isinstance(created, CallCreated):
            raise EdgeMisspoke(f"call.invite was answered by {created.type}")
        async with self._running(created.call_id, "caller", created.to, media, obeys_limits) as call:
            yield call

    async def next_ring(self, timeout_seconds: float | None = RING_TIMEOUT_SECONDS) -> CallRing:
        """The next call for this person; it may be over by the time it is accepted."""
        return await self._connection.wait_for(CallRing, timeout_seconds=timeout_seconds)

    @asynccontextmanager
    async def accept(self, ring: CallRing, *, obeys_limits: bool = True) -> AsyncIterator[Call]:
        """Takes the call; `connected` waits for media. Hung up when the body ends. `obeys_limits` is as for
        `place`. Raises EdgeClosed.
        """
        await self._connection.send(CallAccept(call_id=ring.call_id))
        async with self._running(ring.call_id, "callee", ring.caller, ring.media, obeys_limits) as call:
            yield call

    async def decline(self, ring: CallRing) -> None:
        await self._connection.send(CallDecline(call_id=ring.call_id))

    @asynccontextmanager
    async def _running(
        self,
        call_id: str,
        role: Literal["caller", "callee"],
        counterpart: Contact,
        media: Sequence[MediaKind],
        obeys_limits: bool,
    ) -> AsyncIterator[Call]:
        async with background() as tasks:
            call = Call(self._connection, call_id, role, counterpart, media, self._tls, tasks, obeys_limits)
            tasks.start(call.negotiate())
            try:
                yield call
            finally:
                await call.close()
