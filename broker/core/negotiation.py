"""Negotiation: media descriptions and candidates inside an accepted call, rebuilt from the allow-list on
their way.

All of it happens inside the call's grant: checked in memory, one offer in flight, summarised when the call's
record closes. Only what is refused is recorded at once, up to a bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from auth.principal import PartyId
from broker.core.answers import error, refuse, unrecorded
from broker.core.call import Call, CallState
from broker.core.client_frames import CallAnswer, CallCandidate, CallOffer
from broker.core.clock import Now
from broker.core.commands import AllowPayloadTypes, Answer, Command, Note, Tell
from broker.core.errors import CALL_STATE, NEGOTIATION_BUSY, RATE_LIMITED, TABLE, UNKNOWN_CALL
from broker.core.frames import ForwardedAnswer, ForwardedCandidate, ForwardedOffer, PlainFrame
from broker.core.house import Connection, House
from broker.core.recording import draft, named
from broker.core.sdp import Medium, Rebuilt, ScreenDirection, SdpError, rebuild, rebuild_candidate

MAX_REFUSED_DESCRIPTIONS = 8
"""Refused descriptions and candidates of one call that are recorded one by one. The rest is counted in
`call.closed`, so that sending nonsense in a loop does not fill the disk."""


def offer(house: House, connection: Connection, frame: CallOffer, now: Now) -> list[Command]:
    """Forward an offer; the other side's answer is awaited before the next."""
    call = active_call(house, connection, frame.call_id, now)
    if not isinstance(call, Call):
        return call
    if call.offer_from is not None:
        return refuse(connection.connection_id, NEGOTIATION_BUSY, call_id=call.call_id)
    try:
        rebuilt = _rebuild(house, call, connection, frame.sdp, "offer")
    except SdpError as refused:
        return _refuse_description(connection, call, refused)
    call.offer_from, call.offered = connection.party, rebuilt.media
    return _forward(call, connection, ForwardedOffer(call_id=call.call_id, sdp=rebuilt.text))


def answer(house: House, connection: Connection, frame: CallAnswer, now: Now) -> list[Command]:
    """Forward an answer; what it negotiated, each way, is what the relay may carry from now on."""
    call = active_call(house, connection, frame.call_id, now)
    if not isinstance(call, Call):
        return call
    if call.offer_from != call.other(connection.party):
        return refuse(connection.connection_id, CALL_STATE, call_id=call.call_id)
    try:
        rebuilt = _rebuild(house, call, connection, frame.sdp, "answer")
    except SdpError as refused:
        return _refuse_description(connection, call, refused)
    call.offer_from = None
    allow = _allow(call, connection.party, rebuilt.media)
    return [allow, *_forward(call, connection, ForwardedAnswer(call_id=call.call_id, sdp=rebuilt.text))]


def _allow(call: Call, answerer: PartyId, answered: tuple[Medium, ...]) -> Answer:
    """What each party may send: the payload types answered for every section in which it sends and the other
    receives. It stands on the share, if there is one: the end of that overtakes what has not left yet."""
    pairs = [
        (ours, theirs)
        for ours, theirs in zip(call.offered, answered, strict=False)
        if ours.role == theirs.role
    ]
    sent = {
        call.other(answerer): [theirs for ours, theirs in pairs if ours.sends and theirs.receives],
        answerer: [theirs for ours, theirs in pairs if ours.receives and theirs.sends],
    }
    within: tuple[str, ...] = ()
    call.screen_payload_types = frozenset()
    if call.share is not None:
        of_sharer = sent[call.share.party]
        others = _payload_types(of_sharer, "audio", "video")
        call.screen_payload_types = _payload_types(of_sharer, "screen") - others
        within = (call.share.grant.session_id,)
    allowed = [
        AllowPayloadTypes(
            call.call_id,
            party,
            _payload_types(media, "audio", "video", "screen"),
            _payload_types(media, "audio"),
        )
        for party, media in sent.items()
    ]
    return Answer(tuple(allowed), call.call_id, within)


def _payload_types(media: list[Medium], *roles: str) -> frozenset[int]:
    return frozenset(number for medium in media if medium.role in roles for number in medium.payload_types)


def candidate(house: House, connection: Connection, frame: CallCandidate, now: Now) -> list[Command]:
    """Forward a trickled candidate if it is the sender's own relayed address; drop and count it otherwise."""
    call = active_call(house, connection, frame.call_id, now)
    if not isinstance(call, Call):
        return call
    try:
        text = rebuild_candidate(
            frame.candidate, call.own_relayed.get(connection.party, set()), _foreign(house, call, connection)
        )
    except SdpError as refused:
        return _refuse_description(connection, call, refused)
    if text is None:
        call.removed_candidates += 1
        return []
    return _forward(call, connection, ForwardedCandidate(call_id=call.call_id, candidate=text, mid=frame.mid))


def active_call(house: House, connection: Connection, call_id: str, now: Now) -> Call | list[Command]:
    """The active call this connection carries, or the refusal."""
    call = house.calls.get(call_id)
    if call is None or connection.party not in call.grant.parties:
        return refuse(connection.connection_id, UNKNOWN_CALL, call_id=call_id)
    carries = call.connection_of(connection.party) == connection.connection_id
    if not carries or call.state is not CallState.ACTIVE or not call.grant.holds(connection.party, now):
        return refuse(connection.connection_id, CALL_STATE, call_id=call_id)
    return call


def _rebuild(house: House, call: Call, connection: Connection, text: str, kind: str) -> Rebuilt:
    rebuilt = rebuild(
        text,
        kind="offer" if kind == "offer" else "answer",
        own_relayed=call.own_relayed.get(connection.party, set()),
        foreign_relayed=_foreign(house, call, connection),
        allowed_media=frozenset(call.media),
        screen=_screen_direction(call, connection.party),
        limits=call.rates.get(call.other(connection.party), {}),
    )
    call.removed_candidates += rebuilt.removed_candidates
    return rebuilt


def _screen_direction(call: Call, party: PartyId) -> ScreenDirection | None:
    """The most that a description of this party may do with the screen; None: it has no section for one."""
    if call.share is None:
        return "inactive" if call.had_share else None
    return "sendonly" if call.share.party == party else "recvonly"


@dataclass(frozen=True, slots=True)
class _OthersRelayed:
    """Every live relayed address that is not this party's in this session."""

    relayed: Mapping[tuple[str, int], tuple[str, PartyId]]
    mine: tuple[str, PartyId]

    def __contains__(self, address: object) -> bool:
        owner = self.relayed.get(cast("tuple[str, int]", address))
        return owner is not None and owner != self.mine


def _foreign(house: House, call: Call, connection: Connection) -> _OthersRelayed:
    return _OthersRelayed(house.relayed, (call.call_id, connection.party))


def _refuse_description(connection: Connection, call: Call, refused: SdpError) -> list[Command]:
    call.refused_signals += 1
    if call.refused_signals > MAX_REFUSED_DESCRIPTIONS:
        return refuse(connection.connection_id, RATE_LIMITED, call_id=call.call_id)
    row = TABLE[refused.code]
    told = Tell(connection.connection_id, error(row, call_id=call.call_id))
    record = draft(
        "call.signal_refused",
        call.call_id,
        basis=call.grant,
        personal=named("sender", connection.principal, connection.source),
        sender=connection.party,
        code=row.code,
    )
    return [Note((record,), (told,), on_failure=unrecorded(connection.connection_id))]


def _forward(call: Call, connection: Connection, frame: PlainFrame) -> list[Command]:
    receiver = call.connection_of(call.other(connection.party))
    return [Answer((Tell(receiver, frame),), call.call_id)] if receiver is not None else []
