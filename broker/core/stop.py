"""Stop: what an emergency stop covers ends.

In two steps. At once, in the event that stops: the gate denies from then on, the stop is latched, and the
relay's rows go, all of them in one call. Then, some at a time, so that thousands of calls do not hold up the
loop: calls and shares end, connections are closed, credentials revoked. Nothing of it can open again in
between: the gate denies it, and a silenced session gets no rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from auth.personal import Personal
from auth.principal import Insider, PartyId
from broker.audit.record import JsonValue
from broker.core import calling, leaving, review, sharing, signing_in, visit
from broker.core.answers import return_after_seconds
from broker.core.call import Call
from broker.core.clock import Deadline, Now
from broker.core.commands import (
    CloseConnection,
    Command,
    ConnectionId,
    EndEverySignIn,
    EndSignInsOf,
    Latch,
    Narrowing,
    NarrowingEffect,
    NarrowingWrite,
    ReplyDone,
    RequestId,
    SilenceMedia,
    StopPayloadTypes,
)
from broker.core.errors import EMERGENCY_STOP
from broker.core.house import Connection, House, Visit
from broker.core.recording import draft
from broker.core.stopped import EndOf, Tally
from broker.policy.decision import Decision
from broker.policy.stop import ALL, Scope, ScopeKind, Stop, covers, is_named

SLICE = 64
"""What ends within one event."""


@dataclass(frozen=True, slots=True)
class Covered:
    """What of the open things a scope covers."""

    calls: list[Call]
    shares: list[Call]
    """Calls of which only the screen is covered."""
    connections: list[Connection]
    visits: list[Visit]

    def fields(self) -> dict[str, JsonValue]:
        return {
            "calls": len(self.calls),
            "shares": len(self.shares),
            "connections": len(self.connections),
            "visits": len(self.visits),
        }


def covered(house: House, scope: Scope) -> Covered:
    """By the decisions that let each thing in, and those of the last review: nothing is asked anew, so that
    this costs next to nothing."""

    def by(decisions: Iterable[Decision]) -> bool:
        return any(covers(scope, decision.inputs) for decision in decisions)

    entered = {one.party for one in house.connections.values() if by(one.decisions)}
    visits = [
        one
        for one in house.visits.values()
        if scope == ALL or one.guest.party in entered or by(one.decisions)
    ]
    gone = entered | {one.guest.party for one in visits}
    connections = [one for one in house.connections.values() if not one.closing and one.party in gone]
    calls, shares = [], []
    for call in house.calls.values():
        if not gone.isdisjoint(call.grant.parties) or by(call.decisions):
            calls.append(call)
        elif call.share is not None and by(call.share.grant.decisions):
            shares.append(call)
    return Covered(calls, shares, connections, visits)


def begin(house: House, stop: Stop, now: Now, request_id: RequestId | None = None) -> list[Command]:
    """The first step; the second follows by itself. A request is answered when everything has ended."""
    scope = stop.scope
    answer = (ReplyDone(request_id),) if request_id is not None else ()
    if scope in house.gate.stops:
        return [Narrowing((withdraw_lift(house, scope),), answer)]
    house.gate.stops[scope] = stop
    house.to_end.append(EndOf(scope, "everything", request_id or ""))
    house.deadlines.add(now, 0, "stop.slice", "")
    writes: list[NarrowingWrite] = [EndEverySignIn()] if scope == ALL else []
    writes += [EndSignInsOf(party) for party in _parties_of(house, scope)]
    facts: dict[str, JsonValue] = {"how": stop.how, "by": stop.by, "since_ms": stop.since_ms}
    record = draft("emergency.stopped", personal=_told(stop) | who(scope), scope=what(scope), more=facts)
    # What an administrator had asked for or approved was another stop of this scope.
    lifts = (withdraw_lift(house, scope),)
    return [Narrowing(lifts, (Latch(stop), *_silence(house, scope)), (record,), tuple(writes))]


def _silence(house: House, scope: Scope) -> tuple[NarrowingEffect, ...]:
    """What the relay is told at once."""
    if scope == ALL:
        return (SilenceMedia(None),)
    found = covered(house, scope)
    screens = tuple(
        StopPayloadTypes(call.call_id, call.share.party, call.screen_payload_types)
        for call in found.shares
        if call.share is not None and call.screen_payload_types
    )
    return (SilenceMedia(frozenset(call.call_id for call in found.calls)), *screens)


def withdraw_lift(house: House, scope: Scope) -> str:
    """Forget whoever has asked for this stop to be lifted; gives the scope of the openings that lift it."""
    pending = house.lifts.pop(scope, None)
    if pending is not None:
        house.deadlines.cancel("emergency.lift", pending.id)
    return f"lift {scope}"


def end_next(house: House, deadline: Deadline, now: Now) -> list[Command]:
    """Some more of what is to end. The last word comes in an event of its own: the relay's counters of what
    ended before it come in between."""
    commands: list[Command] = []
    for _ in range(SLICE):
        if not house.to_end:
            break
        if house.to_end[0].kind == "last_word" and (commands or house.review.waiting):
            break
        commands += _end(house, house.to_end.popleft(), now)
    if house.to_end:
        house.deadlines.add(now, 0, "stop.slice", "")
    return commands


def _end(house: House, one: EndOf, now: Now) -> list[Command]:
    """What has ended by itself meanwhile is passed over."""
    house.stopped_last = one.scope
    match one.kind:
        case "call":
            call = house.calls.get(one.id)
            return [calling.end(house, call, "emergency_stop", None)] if call is not None else []
        case "share":
            call = house.calls.get(one.id)
            return sharing.end_share(house, call, "emergency_stop") if call is not None else []
        case "connection":
            connection = house.connections.get(ConnectionId(one.id))
            return _close(house, one.scope, connection) if connection is not None else []
        case "visit":
            guests = house.visits.get(PartyId(one.id))
            return visit.end(house, guests, "emergency_stop", now) if guests is not None else []
        case "sign_in":
            own = house.sign_ins.get(one.id)
            return signing_in.end(house, own, "emergency_stop", EMERGENCY_STOP) if own is not None else []
        case "everything":
            return _list(house, one)
        case "whatever_else":
            # What it covers by what is known now, and not by what that was let in by.
            return review.everything(house, now)
        case "last_word":
            return _settled(house, one)


def _list(house: House, one: EndOf) -> list[Command]:
    """What there is to end, in order."""
    scope = one.scope
    found = covered(house, scope)
    house.tallies[scope] = Tally(found.fields())
    listed = [EndOf(scope, "call", call.call_id) for call in found.calls]
    listed += [EndOf(scope, "share", call.call_id) for call in found.shares]
    listed += [EndOf(scope, "connection", each.connection_id) for each in found.connections]
    listed += [EndOf(scope, "visit", each.guest.party) for each in found.visits]
    listed += [EndOf(scope, "sign_in", token_digest) for token_digest in _tokens(house, scope, found)]
    last = [EndOf(scope, "whatever_else", ""), EndOf(scope, "last_word", one.id)]
    house.to_end.extendleft(reversed([*listed, *last]))
    return []


def _tokens(house: House, scope: Scope, found: Covered) -> dict[str, None]:
    """The sign-ins that are worth nothing any more: those of whoever is sent away, used or not."""
    if scope == ALL:
        return dict.fromkeys(house.sign_ins)
    parties = _parties_of(house, scope)
    named = [token for party in parties for token in house.tokens_of.get(party, ())]
    return dict.fromkeys((*(each.token_digest for each in found.connections), *named))


def _close(house: House, scope: Scope, connection: Connection) -> list[Command]:
    """Its program is told when to come back."""
    if connection.closing:
        return []
    if scope != ALL:
        return leaving.close(house, connection, EMERGENCY_STOP)
    connection.closing = True  # nobody is left to be told who is gone
    closed = CloseConnection(
        connection.connection_id, EMERGENCY_STOP, return_after_seconds(connection.connection_id)
    )
    return [Narrowing((connection.connection_id,), (closed,))]


def _settled(house: House, one: EndOf) -> list[Command]:
    """Everything has ended: what that was, and when the last packet of it went out."""
    tally = house.tallies.get(one.scope)
    if tally is None:
        return []
    tally.settled = True
    record = draft(
        "emergency.effective",
        personal=who(one.scope),
        scope=what(one.scope),
        last_packet_ms=tally.last_packet_ms,
        packets=tally.packets,
        more=tally.ended,
    )
    done = (ReplyDone(RequestId(one.id)),) if one.id else ()
    return [Narrowing((), done, (record,))]


def what(scope: Scope) -> str:
    """What the record says in public of a scope: of a person only that it is one."""
    return scope.kind.value if scope.kind is ScopeKind.USER else str(scope)


def who(scope: Scope) -> dict[str, Personal]:
    """And what it keeps as personal."""
    return {"scope.user": Personal(scope.name)} if scope.kind is ScopeKind.USER else {}


def _told(stop: Stop) -> dict[str, Personal]:
    told = {"requester": stop.told_by, "reason": stop.reason}
    return {name: text for name, text in told.items() if text is not None}


def _parties_of(house: House, scope: Scope) -> set[PartyId]:
    """Whose sign-ins a stop of one person ends, as far as the edge knows who that is."""
    if scope.kind is not ScopeKind.USER:
        return set()
    people = [*house.people.values(), *(c.principal for c in house.connections.values())]
    found = {p.party for p in people if isinstance(p, Insider) and is_named(scope, p.party, p.login)}
    return found | ({PartyId(scope.name)} if scope.name.startswith("u-") else set())
