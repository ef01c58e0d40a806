"""Sharing: a synthetic screen shown in a call, as one more video track offered once the edge allows it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from enum import Enum, auto

from broker.client.background import Background
from broker.client.connection import Connection
from broker.client.errors import EdgeClosed, EdgeError, EdgeRefused, ShareOver
from broker.client.media import MediaPeer
from broker.core.client_frames import CallOffer, CallShare, CallUnshare
from broker.core.frame_fields import ShareEndReason
from broker.core.frames import CallShareEnded, CallSharing

SHARE_TIMEOUT_SECONDS = 15.0
END_TIMEOUT_SECONDS = 5.0
MAX_OFFERS_REFUSED = 5
OFFER_AGAIN_SECONDS = 0.1
"""Before the first repetition; each next one waits twice as long."""
NEGOTIATION_BUSY = "NEGOTIATION_BUSY"


class Offer(Enum):
    """How far the offer of one's own screen is."""

    NONE = auto()
    DUE = auto()
    SENT = auto()
    CROSSED = auto()
    """Taken back, because the other side's offer came instead of an answer: the edge refuses this one."""


class Sharing:
    """Of one call; its owner says what came for it and lets it offer between steps of the call's own."""

    def __init__(self, connection: Connection, call_id: str, counterpart: str, tasks: Background) -> None:
        self.turn = asyncio.Lock()
        """One step of the call's negotiation at a time."""
        self.party: str | None = None
        self.end_reason: ShareEndReason | None = None
        self.peer: MediaPeer | None = None
        """Once the call has media."""
        self._connection = connection
        self._call_id = call_id
        self._counterpart = counterpart
        self._tasks = tasks
        self._asked: asyncio.Future[None] | None = None
        self._offer = Offer.NONE
        self._offers_refused = 0
        self._hidden = asyncio.Event()
        self._hidden.set()

    async def share(self, timeout_seconds: float) -> None:
        """As `Call.share`, once there are media."""
        asked = self._asked = asyncio.get_running_loop().create_future()
        try:
            await self._connection.send(CallShare(call_id=self._call_id))
            async with asyncio.timeout(timeout_seconds):
                await asked
        except (EdgeError, TimeoutError) as failure:
            # Without an answer it may yet have been allowed.
            if not self._hidden.is_set() or isinstance(failure, TimeoutError):
                with suppress(EdgeError, TimeoutError):
                    await self._stop()
            raise
        finally:
            self._asked = None

    async def unshare(self) -> None:
        """As `Call.unshare`."""
        if not self._hidden.is_set():
            await self._stop()

    def began(self, frame: CallSharing) -> None:
        """Somebody shares from now on."""
        self.party, self.end_reason = frame.party, None
        if frame.party != self._counterpart:
            self._hidden.clear()
            self._offer, self._offers_refused = Offer.DUE, 0

    def ended(self, frame: CallShareEnded) -> None:
        """And no more."""
        self.party, self.end_reason = None, frame.reason
        if frame.party != self._counterpart:
            self._hide()
            self.fails(ShareOver(frame.reason))

    def call_ended(self) -> None:
        """The share is over with it."""
        self.party = None
        self._hide()

    def answered(self) -> None:
        """The other side's answer has been applied."""
        if self._offer is Offer.SENT:
            self._offer = Offer.NONE
            if self._asked is not None and not self._asked.done():
                self._asked.set_result(None)

    def crossed(self) -> None:
        """The other side's offer is about to be answered."""
        if self._offer is Offer.SENT and self.peer is not None:
            self.peer.take_back_offer()
            self._offer = Offer.CROSSED

    async def offer(self) -> None:
        """What is due, once no other offer is under way."""
        if self._offer is Offer.DUE and self.peer is not None and self.peer.is_stable:
            self._offer = Offer.SENT
            text = await self.peer.offer_screen()
            await self._connection.send(CallOffer(call_id=self._call_id, sdp=text))

    def is_refused(self, refusal: EdgeRefused) -> bool:
        """Whether this is about the share. An offer that crossed another is made again, a few times."""
        self.crossed()
        if self._offer is Offer.CROSSED:
            self._offer = Offer.NONE
            if refusal.code == NEGOTIATION_BUSY and self._offers_refused < MAX_OFFERS_REFUSED:
                self._tasks.start(self._offer_again(OFFER_AGAIN_SECONDS * 2**self._offers_refused))
                self._offers_refused += 1
                return True
        return self.fails(refusal)

    def fails(self, failure: EdgeError) -> bool:
        """Whether somebody waited for it."""
        if self._asked is None or self._asked.done():
            return False
        self._asked.set_exception(failure)
        return True

    async def _stop(self) -> None:
        await self._connection.send(CallUnshare(call_id=self._call_id))
        async with asyncio.timeout(END_TIMEOUT_SECONDS):
            await self._hidden.wait()

    async def _offer_again(self, in_seconds: float) -> None:
        await asyncio.sleep(in_seconds)
        async with self.turn:
            if not self._hidden.is_set():
                self._offer = Offer.DUE
                with suppress(EdgeClosed):
                    await self.offer()

    def _hide(self) -> None:
        if self.peer is not None:
            self.peer.hide_screen()
        if self._offer is Offer.DUE:
            self._offer = Offer.NONE
        self._hidden.set()
