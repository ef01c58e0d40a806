"""Effects: the only place where a command becomes bytes, relay rows or an HTTP answer.

`open` takes a Recorded and nothing else, so an effect that opens cannot happen without a record; the type
checker sees any other way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, assert_never

from auth.principal import PartyId
from broker.core.answers import error
from broker.core.commands import (
    AdmitMedia,
    AllowPayloadTypes,
    CloseConnection,
    ConnectionId,
    Latch,
    LimitMedia,
    NarrowingEffect,
    PlainEffect,
    ReadUndelivered,
    ReplyDone,
    ReplyGranted,
    ReplyRefused,
    RequestId,
    ShareBandwidth,
    Show,
    SilenceMedia,
    SoundAlarm,
    StopPayloadTypes,
    Tell,
    Unlatch,
    WithdrawMedia,
)
from broker.core.events import Event, MediaCount, MediaWithdrawn, StopLifted
from broker.core.frame_codec import encode
from broker.core.frames import Frame
from broker.core.gate import Recorded
from broker.policy.stop import Scope, Stop


class Outbox(Protocol):
    """One WebSocket's way out."""

    def send(self, text: str) -> None:
        """Queue one message. Bounded: a reader too slow for its queue is disconnected."""

    def close(self, http_status: int, code: str) -> None:
        """Close after what is queued."""


class MediaLink(Protocol):
    """The relay as the driver needs it: plain data, no waiting."""

    def admit(
        self,
        session_id: str,
        parties: tuple[PartyId, PartyId],
        until_unix_seconds: int,
        bits_per_second: int | None,
    ) -> None: ...

    def allow_payload_types(
        self,
        session_id: str,
        party: PartyId,
        payload_types: frozenset[int],
        audio_payload_types: frozenset[int],
    ) -> None: ...

    def stop_payload_types(self, session_id: str, party: PartyId, payload_types: frozenset[int]) -> None: ...

    def limit(self, session_id: str, until_unix_seconds: int, bits_per_second: int | None) -> None:
        """For no longer and no faster than that; nothing for a session that is not admitted."""

    def share_bandwidth(self, session_id: str, rates: Mapping[PartyId, int | None]) -> None:
        """What these parties send is held to that, and to what the session was, or will be, admitted for,
        until it is withdrawn."""

    def silence(self, session_ids: frozenset[str] | None) -> None:
        """Nothing of these sessions, of any for None, is forwarded once this returns; each is still to be
        withdrawn."""

    def withdraw(self, session_id: str) -> MediaCount | None:
        """Remove every row of the session; when this returns nothing can be forwarded by them. None if there
        were none."""


class LatchKeeper(Protocol):
    """Where emergency stops outlive the process."""

    def put(self, stop: Stop) -> bool:
        """Whether it is latched now."""

    def remove(self, scope: Scope) -> bool:
        """Whether it is latched no more."""


@dataclass(slots=True)
class Effects:
    """Performs what the driver lets out."""

    media: MediaLink
    latches: LatchKeeper
    sound_alarm: Callable[[SoundAlarm], None]
    read_undelivered: Callable[[ReadUndelivered], None]
    outboxes: dict[ConnectionId, Outbox] = field(default_factory=dict)
    replies: dict[RequestId, asyncio.Future[ReplyRefused | None]] = field(default_factory=dict)
    """Requests that wait; None means granted."""

    def open(self, recorded: Recorded) -> list[Event]:
        """Perform effects that open, for which the gate vouches that they are on record; their outcomes,
        where they have any, are events."""
        outcomes: list[Event] = []
        for effect in recorded.effects:
            match effect:
                case Show():
                    self._send(effect.connection_id, effect.frame)
                case AdmitMedia():
                    self.media.admit(
                        effect.session_id, effect.parties, effect.until_unix_seconds, effect.bits_per_second
                    )
                case ReplyGranted():
                    self._reply(effect.request_id, None)
                case Unlatch():
                    outcomes.append(StopLifted(effect.scope, self.latches.remove(effect.scope)))
                case _:
                    assert_never(effect)
        return outcomes

    def plain(self, effect: PlainEffect) -> None:
        """Perform an effect that opens nothing."""
        match effect:
            case Tell():
                self._send(effect.connection_id, effect.frame)
            case ReplyRefused():
                self._reply(effect.request_id, effect)
            case ReplyDone():
                self._reply(effect.request_id, None)
            case AllowPayloadTypes():
                self.media.allow_payload_types(
                    effect.session_id, effect.party, effect.payload_types, effect.audio_payload_types
                )
            case ReadUndelivered():
                self.read_undelivered(effect)
            case LimitMedia():
                self.media.limit(effect.session_id, effect.until_unix_seconds, effect.bits_per_second)
            case _:
                assert_never(effect)

    def narrow(self, effect: NarrowingEffect) -> Event | None:
        """Perform an effect that closes, now; its outcome, if it has one, is an event."""
        match effect:
            case Tell():
                self._send(effect.connection_id, effect.frame)
            case WithdrawMedia():
                return MediaWithdrawn(effect.session_id, self.media.withdraw(effect.session_id))
            case StopPayloadTypes():
                self.media.stop_payload_types(effect.session_id, effect.party, effect.payload_types)
            case CloseConnection():
                last_word = error(effect.row, return_after=effect.return_after_seconds)
                self._send(effect.connection_id, last_word)
                outbox = self.outboxes.get(effect.connection_id)
                if outbox is not None:
                    outbox.close(effect.row.http_status, effect.row.code)
            case LimitMedia():
                self.media.limit(effect.session_id, effect.until_unix_seconds, effect.bits_per_second)
            case ReplyDone():
                self._reply(effect.request_id, None)
            case Latch():
                self.latches.put(effect.stop)
            case ShareBandwidth():
                self.media.share_bandwidth(effect.session_id, dict(effect.rates))
            case SoundAlarm():
                self.sound_alarm(effect)
            case SilenceMedia():
                self.media.silence(effect.session_ids)
            case _:
                assert_never(effect)
        return None

    def _send(self, connection_id: ConnectionId, frame: Frame) -> None:
        outbox = self.outboxes.get(connection_id)
        if outbox is not None:
            outbox.send(encode(frame))

    def _reply(self, request_id: RequestId, answer: ReplyRefused | None) -> None:
        waiting = self.replies.get(request_id)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)
