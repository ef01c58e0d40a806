"""Emergency: the stop that ends what it covers at once and stays latched until two people lift it.

A stop waits for nothing: the relay's rows go first, then the calls and connections, then the credentials.
What it denies from then on is the gate's (`Gate.stops`). Lifting opens: one administrator asks, another
approves within `LIFT_PENDING_SECONDS`, and the stop holds until that is on record.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from auth.case_ignore import case_ignore_key
from auth.personal import Personal
from auth.principal import Insider, PartyId, Principal
from broker.audit.record import Draft, JsonValue
from broker.core import administration, calling, leaving, review, sharing, visit
from broker.core.answers import reply, reply_denied, return_after_seconds
from broker.core.call import Call
from broker.core.clock import Deadline, Now
from broker.core.commands import (
    Answer,
    CloseConnection,
    Command,
    EndEverySignIn,
    EndSignIn,
    EndSignInsOf,
    Latch,
    Narrowing,
    NarrowingWrite,
    Note,
    Opening,
    ReplyDone,
    ReplyGranted,
    SilenceMedia,
    Unlatch,
)
from broker.core.errors import AUDIT_UNAVAILABLE, EMERGENCY_STOP, NOT_SIGNED_IN, NOT_STOPPED, SECOND_PERSON
from broker.core.events import (
    DrillFound,
    EmergencyRequested,
    LatchFound,
    LatchMissing,
    StopLifted,
)
from broker.core.house import Connection, Drill, House, PendingLift, Tally, Visit
from broker.core.recording import draft, named
from broker.policy.decision import Decision
from broker.policy.stop import ALL, Scope, ScopeKind, Stop, covers, logins_of
from config.policy.action import Action

LIFT_PENDING_SECONDS = 900
_LIFT = "lift "


@dataclass(frozen=True, slots=True)
class _Covered:
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


def _covered(house: House, scope: Scope) -> _Covered:
    """By the decisions that let each thing in: nothing is asked anew, so that this costs next to nothing."""

    def by(decisions: Iterable[Decision], *principals: Principal) -> bool:
        logins = logins_of(principals)
        return any(covers(scope, decision.inputs, logins) for decision in decisions)

    calls = [
        call
        for call in house.calls.values()
        if by((*call.grant.decisions, *call.answer_decisions), call.caller, call.callee)
    ]
    shares = [
        call
        for call in house.calls.values()
        if call.share is not None and by(call.share.grant.decisions, call.caller, call.callee)
    ]
    entered = {
        connection.party
        for connection in house.connections.values()
        if by(connection.decisions, connection.principal)
    }
    visits = [
        one
        for one in house.visits.values()
        if scope == ALL or one.guest.party in entered or by(one.decisions, one.guest)
    ]
    guests = {one.guest.party for one in visits}
    connections = [
        connection
        for connection in house.connections.values()
        if not connection.closing
        and (connection.party in guests or by(connection.decisions, connection.principal))
    ]
    return _Covered(calls, [call for call in shares if call not in calls], connections, visits)


# --- stopping -----------------------------------------------------------------------------------------------


def requested(house: House, event: EmergencyRequested, now: Now) -> list[Command]:
    """An administrator asks. The gate says whether they may."""
    signed_in = administration.sign_in_of(house, event)
    if signed_in is None or event.insider is None:
        return [Answer((reply(event.request_id, NOT_SIGNED_IN),))]
    action = Action.ADMIN_EMERGENCY
    decision = administration.ask_as(house, signed_in.role, event.insider, event.source, action, now)
    if not decision.allowed:
        return reply_denied(event.request_id, decision, event.insider)
    if event.what == "drill":
        failure = (reply(event.request_id, AUDIT_UNAVAILABLE),)
        return [Note((_drill(house, event.scope, now),), (ReplyDone(event.request_id),), on_failure=failure)]
    if event.what == "lift":
        return _lift_requested(house, event, event.insider, decision, now)
    return _stop_requested(house, event, event.insider, decision, now)


def _stop_requested(
    house: House, event: EmergencyRequested, insider: Insider, decision: Decision, now: Now
) -> list[Command]:
    """The button. Pressed again for the same scope it changes nothing."""
    stop = Stop(event.scope, now.wall_ms, "console", insider.party, insider.login, reason=event.reason)
    record = draft(
        "emergency.requested",
        basis=(decision,),
        personal=named("administrator", insider, event.source) | _who(event.scope),
        scope=_what(event.scope),
        user=insider.party,
    )
    done = Narrowing((), (ReplyDone(event.request_id),), (record,))
    return [*_stop(house, stop, now), done]


def latch_found(house: House, event: LatchFound, now: Now) -> list[Command]:
    """Somebody put a latch where the edge looks for them."""
    stop = Stop(event.scope, now.wall_ms, "latch", told_by=event.told_by, reason=event.reason)
    return _stop(house, stop, now)


def _stop(house: House, stop: Stop, now: Now) -> list[Command]:
    scope = stop.scope
    if scope in house.gate.stops:
        return []
    house.gate.stops[scope] = stop
    house.tallies[scope] = Tally()
    house.stopped_last = scope
    covered = _covered(house, scope)
    silenced = None if scope == ALL else frozenset(call.call_id for call in covered.calls)
    writes: list[NarrowingWrite] = [EndEverySignIn()] if scope == ALL else []
    writes += [EndSignInsOf(party) for party in _parties_of(house, scope)]
    facts: dict[str, JsonValue] = {"how": stop.how, "by": stop.by, "since_ms": stop.since_ms}
    told = _told(stop) | _who(scope)
    record = draft("emergency.stopped", personal=told, scope=_what(scope), more=facts)
    commands: list[Command] = [
        Narrowing((), (Latch(stop), SilenceMedia(silenced)), (record,), tuple(writes)),
        *(calling.end(house, call, "emergency_stop", None) for call in covered.calls),
    ]
    for call in covered.shares:
        commands += sharing.end_share(house, call, "emergency_stop")
    commands += _close(house, scope, covered.connections, now)
    for one in covered.visits:
        commands += visit.end(house, one, "emergency_stop", now)
    house.tallies[scope].ended = covered.fields()
    house.deadlines.add(now, 0, "emergency.settled", str(scope))
    # Whatever else the stop covers by what is known now, and not by what it was let in by.
    return [*commands, *review.everything(house, now)]


def _what(scope: Scope) -> str:
    """What the record says in public of a scope: of a person only that it is one."""
    return scope.kind.value if scope.kind is ScopeKind.USER else str(scope)


def _who(scope: Scope) -> dict[str, Personal]:
    """And what it keeps as personal."""
    return {"scope.user": Personal(scope.name)} if scope.kind is ScopeKind.USER else {}


def _told(stop: Stop) -> dict[str, Personal]:
    told = {"requester": stop.told_by, "reason": stop.reason}
    return {name: text for name, text in told.items() if text is not None}


def _parties_of(house: House, scope: Scope) -> set[PartyId]:
    """Whose sign-ins a stop of one person ends, as far as the edge knows who that is."""
    if scope.kind is not ScopeKind.USER:
        return set()
    wanted = case_ignore_key(scope.name)
    people = [*house.people.values(), *(c.principal for c in house.connections.values())]
    found = {p.party for p in people if isinstance(p, Insider) and wanted in logins_of((p,))}
    return found | ({PartyId(scope.name)} if scope.name.startswith("u-") else set())


def _close(house: House, scope: Scope, connections: list[Connection], now: Now) -> list[Command]:
    """Each is told when to come back; the sign-in that it was opened with is worth nothing any more."""
    commands: list[Command] = []
    for connection in connections:
        if scope == ALL:  # nobody is left to be told who is gone
            connection.closing = True
            closed = CloseConnection(
                connection.connection_id, EMERGENCY_STOP, return_after_seconds(connection.connection_id)
            )
            commands.append(Narrowing((connection.connection_id,), (closed,)))
        else:
            commands += leaving.close(house, connection, EMERGENCY_STOP)
        if isinstance(connection.principal, Insider) and connection.token_digest not in house.ended_tokens:
            house.end_token(connection.token_digest, house.rules.sign_in_seconds, now)
            record = draft("auth.ended", user=connection.party, reason="emergency_stop")
            commands.append(Narrowing(records=(record,), writes=(EndSignIn(connection.token_digest),)))
    return commands


def settled(house: House, deadline: Deadline, now: Now) -> list[Command]:
    """Everything has ended: what that was, and when the last packet of it went out."""
    scope = next((scope for scope in house.tallies if str(scope) == deadline.key), None)
    if scope is None:
        return []
    tally = house.tallies[scope]
    record = draft(
        "emergency.effective",
        personal=_who(scope),
        scope=_what(scope),
        last_packet_ms=tally.last_packet_ms,
        packets=tally.packets,
        more=tally.ended,
    )
    return [Narrowing(records=(record,))]


def latch_missing(house: House, event: LatchMissing, now: Now) -> list[Command]:
    """The file of a stop is gone, and nobody lifted the stop: it goes on, and the file comes back."""
    stop = house.gate.stops.get(event.scope)
    if stop is None:
        return []
    house.latches_missed += 1
    house.latches_missing.add(event.scope)
    record = draft("emergency.latch_missing", personal=_who(event.scope), scope=_what(event.scope))
    return [Narrowing((), (Latch(stop),), (record,))]


def resumed(house: House, recorded: Iterable[Stop], found: Iterable[LatchFound], now: Now) -> list[Command]:
    """At the start: what is latched on disk holds, and what only the record knows of does too."""
    commands: list[Command] = []
    latched = {one.scope for one in found}
    for stop in recorded:
        house.gate.stops[stop.scope] = stop
        if stop.scope not in latched:
            commands += latch_missing(house, LatchMissing(stop.scope), now)
    for one in found:
        commands += latch_found(house, one, now)
    return commands


# --- lifting ------------------------------------------------------------------------------------------------


def _lift_requested(
    house: House, event: EmergencyRequested, insider: Insider, decision: Decision, now: Now
) -> list[Command]:
    """The first to ask is on record; a second person who asks for the same within the time lifts the stop."""
    if event.scope not in house.gate.stops:
        return [Answer((reply(event.request_id, NOT_STOPPED),))]
    pending = house.lifts.get(event.scope)
    facts = {"scope": _what(event.scope), "user": insider.party}
    personal = named("administrator", insider, event.source) | _who(event.scope)
    if pending is None:
        until_ms = now.wall_ms + LIFT_PENDING_SECONDS * 1000
        pending = PendingLift(f"l-{house.ids()}", insider.party, insider.login, until_ms)
        house.lifts[event.scope] = pending
        house.deadlines.add(now, LIFT_PENDING_SECONDS, "emergency.lift", pending.id)
        record = draft("emergency.lift_requested", basis=(decision,), personal=personal, more=facts)
        return [_lift(house, event, decision, record, ())]
    if pending.by == insider.party:
        more = facts | {"code": SECOND_PERSON.code}
        record = draft("emergency.lift_refused", basis=(decision,), personal=personal, more=more)
        refusal = (reply(event.request_id, SECOND_PERSON),)
        return [Note((record,), refusal, on_failure=refusal)]
    record = draft(
        "emergency.lifted", basis=(decision,), personal=personal, requested_by=pending.by, more=facts
    )
    return [_lift(house, event, decision, record, (Unlatch(event.scope),))]


def _lift(
    house: House, event: EmergencyRequested, decision: Decision, record: Draft, effects: tuple[Unlatch, ...]
) -> Opening:
    return house.gate.opening(
        f"{_LIFT}{event.scope}",
        (decision,),
        (record,),
        (*effects, ReplyGranted(event.request_id)),
        on_failure=(reply(event.request_id, AUDIT_UNAVAILABLE),),
    )


def take_back(house: House, opening_scope: str) -> None:
    """The record of a request or of its approval could not be written: nobody has asked."""
    for scope in [scope for scope in house.lifts if opening_scope == f"{_LIFT}{scope}"]:
        _forget_lift(house, scope)


def _forget_lift(house: House, scope: Scope) -> None:
    pending = house.lifts.pop(scope, None)
    if pending is not None:
        house.deadlines.cancel("emergency.lift", pending.id)


def stop_lifted(house: House, event: StopLifted, now: Now) -> list[Command]:
    """The lift is on record. Where the file could not be removed the stop goes on: it would be back with the
    next start."""
    if not event.removed:
        record = draft("emergency.lift_failed", personal=_who(event.scope), scope=_what(event.scope))
        return [Narrowing(records=(record,))]
    house.gate.stops.pop(event.scope, None)
    house.tallies.pop(event.scope, None)
    house.latches_missing.discard(event.scope)
    _forget_lift(house, event.scope)
    return []


def lift_expired(house: House, deadline: Deadline, now: Now) -> list[Command]:
    """Nobody approved in time."""
    scope = next((scope for scope, pending in house.lifts.items() if pending.id == deadline.key), None)
    if scope is None:
        return []
    del house.lifts[scope]
    record = draft("emergency.lift_expired", personal=_who(scope), scope=_what(scope))
    return [Narrowing(records=(record,))]


# --- rehearsing ---------------------------------------------------------------------------------------------


def drill_found(house: House, event: DrillFound, now: Now) -> list[Command]:
    """A file asks what a stop would end."""
    return [Note((_drill(house, event.scope, now),))]


def _drill(house: House, scope: Scope, now: Now) -> Draft:
    house.drill = Drill(scope, now.wall_ms, _covered(house, scope).fields())
    return draft("emergency.drilled", personal=_who(scope), scope=_what(scope), more=house.drill.would_end)
