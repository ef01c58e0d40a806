"""Sharing: one party of a call shows its screen, and every way that ends.

The screen is one more video track, negotiated like any other (`negotiation`). Who may send one is decided,
recorded and ended here.
"""

from __future__ import annotations

from broker.audit.record import Draft
from broker.core import bandwidth
from broker.core.answers import deny, refuse, unrecorded
from broker.core.call import Call, Share
from broker.core.client_frames import CallShare, CallUnshare
from broker.core.clock import Deadline, Now
from broker.core.commands import (
    AdmitMedia,
    Command,
    Narrowing,
    NarrowingEffect,
    OpeningEffect,
    Show,
    StopPayloadTypes,
)
from broker.core.errors import BANDWIDTH_EXCEEDED, CALL_STATE, NOT_SHARING, SHARE_BUSY
from broker.core.frame_fields import ShareEndReason
from broker.core.frames import CallShareEnded, CallSharing
from broker.core.house import Connection, House
from broker.core.limits import allowed_rate, allowed_until
from broker.core.negotiation import active_call
from broker.core.recording import draft
from broker.policy.decision import Decision
from config.policy.action import Action


def share(house: House, connection: Connection, frame: CallShare, now: Now) -> list[Command]:
    """Ask the gate, record who shares, tell both sides. The sharer then offers the further video."""
    call = active_call(house, connection, frame.call_id, now)
    if not isinstance(call, Call):
        return call
    if call.share is not None:
        return refuse(connection.connection_id, SHARE_BUSY, call_id=call.call_id)
    shown_on = call.connection_of(call.other(connection.party))
    if shown_on is None:
        return refuse(connection.connection_id, CALL_STATE, call_id=call.call_id)
    viewer = house.connections[shown_on]
    decision = house.gate.ask(Action.SCREEN_SHARE, connection.subject, viewer.subject, now)
    if not decision.allowed:
        return deny(connection, decision, call.call_id, call_id=call.call_id)
    if bandwidth.exceeded(house, call, connection.party) is not None:
        return refuse(connection.connection_id, BANDWIDTH_EXCEEDED, call_id=call.call_id)
    until = min(allowed_until(house, [decision], now.wall_seconds), call.grant.until_unix_seconds)
    share_id = f"s-{house.ids()}"
    grant = house.gate.grant(
        share_id, call.grant.parties, frozenset({Action.SCREEN_SHARE}), until, (decision,)
    )
    call.share, call.had_share = Share(connection.party, grant, now.wall_seconds), True
    house.deadlines.add(now, until - now.wall_seconds, "call.share", share_id)
    record = draft("share.opened", call.call_id, basis=[decision], party=connection.party, until=until)
    sharing = CallSharing(call_id=call.call_id, party=connection.party)
    effects = (
        *_narrowed(call, allowed_rate([decision], call.bits_per_second)),
        Show(connection.connection_id, sharing),
        Show(viewer.connection_id, sharing),
    )
    return [
        house.gate.opening(
            share_id,
            [decision],
            (record,),
            effects,
            within=(call.call_id, *house.standing(connection)),
            on_failure=unrecorded(connection.connection_id, call_id=call.call_id),
        ),
        *bandwidth.settle(house),
    ]


def _narrowed(call: Call, bits_per_second: int | None) -> tuple[OpeningEffect, ...]:
    """A rule may allow a screen at a lower rate than the call, which keeps to it until it ends: raising the
    rate again would open something that nobody decided."""
    if bits_per_second is None:
        return ()
    # Said again also where the call is thought to have it: an opening that never left may have said it first.
    call.bits_per_second = bits_per_second
    return (AdmitMedia(call.call_id, call.grant.parties, call.grant.until_unix_seconds, bits_per_second),)


def unshare(house: House, connection: Connection, frame: CallUnshare, now: Now) -> list[Command]:
    """The sharer stops."""
    call = active_call(house, connection, frame.call_id, now)
    if not isinstance(call, Call):
        return call
    if call.sharing != connection.party:
        return refuse(connection.connection_id, NOT_SHARING, call_id=call.call_id)
    return end_share(house, call, "stopped")


def limit_reached(house: House, deadline: Deadline, now: Now) -> list[Command]:
    """The share's time is up."""
    call = call_sharing_in(house, deadline.key)
    return end_share(house, call, "time_limit") if call is not None else []


def end_share(house: House, call: Call, reason: ShareEndReason) -> list[Command]:
    """End the share of a call that goes on, now: the relay first, then both sides are told. Nothing when
    nobody shares."""
    share = call.share
    if share is None:
        return []
    effects: list[NarrowingEffect] = []
    if call.screen_payload_types:
        effects.append(StopPayloadTypes(call.call_id, share.party, call.screen_payload_types))
    told = CallShareEnded(call_id=call.call_id, party=share.party, reason=reason)
    for party in call.grant.parties:
        carrier = call.connection_of(party)
        if carrier is not None:
            effects.extend(house.tell_connection(carrier, told))
    return [Narrowing((share.grant.session_id,), tuple(effects), (_close(house, call, share, reason),))]


def ended_with_call(house: House, call: Call) -> tuple[Draft, ...]:
    """What goes on record of the share when its call ends; `call.ended` tells the clients enough."""
    return (_close(house, call, call.share, "call_ended"),) if call.share is not None else ()


def _close(house: House, call: Call, share: Share, reason: str) -> Draft:
    house.deadlines.cancel("call.share", share.grant.session_id)
    call.share, call.screen_payload_types = None, frozenset()
    return draft("share.closed", call.call_id, party=share.party, reason=reason)


def narrow_share(house: House, call: Call, decision: Decision, now: Now) -> None:
    """A live share, asked about again, is allowed for less time than before."""
    share = call.share
    if share is None:
        return
    until = allowed_until(house, [decision], share.opened_at_unix_seconds)
    if until < share.grant.until_unix_seconds:
        call.share = Share(share.party, share.grant.shortened(until), share.opened_at_unix_seconds)
        house.deadlines.add(now, until - now.wall_seconds, "call.share", share.grant.session_id)


def call_sharing_in(house: House, share_id: str) -> Call | None:
    """The live call that this share belongs to."""
    for call in house.calls.values():
        if call.share is not None and call.share.grant.session_id == share_id:
            return call
    return None
