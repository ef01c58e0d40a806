"""Emergency: the stop that ends what it covers at once and stays latched until two people lift it.

A stop waits for nothing (`stop`); what it denies from then on is the gate's (`Gate.stops`). Lifting opens:
one administrator asks, another approves within `LIFT_PENDING_SECONDS`, and the stop holds until that is on
record.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from auth.principal import Insider
from broker.audit.record import Draft, JsonValue
from broker.core import administration, stop
from broker.core.answers import reply, reply_denied
from broker.core.clock import Deadline, Now
from broker.core.commands import (
    Answer,
    Command,
    Latch,
    Narrowing,
    Note,
    Opening,
    ReplyDone,
    ReplyGranted,
    Unlatch,
)
from broker.core.errors import AUDIT_UNAVAILABLE, NOT_SIGNED_IN, NOT_STOPPED, SECOND_PERSON
from broker.core.events import (
    DrillFound,
    EmergencyRequested,
    LatchFound,
    LatchMissing,
    StopLifted,
)
from broker.core.house import House
from broker.core.recording import draft, named
from broker.core.stopped import Drill, PendingLift
from broker.policy.administration import Role
from broker.policy.decision import Decision
from broker.policy.stop import Scope, Stop
from config.policy.action import Action

LIFT_PENDING_SECONDS = 900


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
        return _lift_requested(house, event, event.insider, signed_in.role, decision, now)
    return _stop_requested(house, event, event.insider, decision, now)


def _stop_requested(
    house: House, event: EmergencyRequested, insider: Insider, decision: Decision, now: Now
) -> list[Command]:
    """The button. Pressed again for the same scope it changes nothing."""
    pressed = Stop(event.scope, now.wall_ms, "console", insider.party, insider.login, reason=event.reason)
    record = draft(
        "emergency.requested",
        basis=(decision,),
        personal=named("administrator", insider, event.source) | stop.who(event.scope),
        scope=stop.what(event.scope),
        user=insider.party,
    )
    return [*stop.begin(house, pressed, now, event.request_id), Narrowing(records=(record,))]


def latch_found(house: House, event: LatchFound, now: Now) -> list[Command]:
    """Somebody put a latch where the edge looks for them."""
    said = Stop(event.scope, now.wall_ms, "latch", told_by=event.told_by, reason=event.reason)
    return stop.begin(house, said, now)


def latch_missing(house: House, event: LatchMissing, now: Now) -> list[Command]:
    """The file of a stop is gone, and nobody lifted the stop: it goes on, and the file comes back."""
    latched = house.gate.stops.get(event.scope)
    if latched is None:
        return []
    house.latches_missed += 1
    house.latches_missing.add(event.scope)
    record = draft("emergency.latch_missing", personal=stop.who(event.scope), scope=stop.what(event.scope))
    return [Narrowing((), (Latch(latched),), (record,))]


def resumed(house: House, recorded: Iterable[Stop], found: Iterable[LatchFound], now: Now) -> list[Command]:
    """At the start: what is latched on disk holds, and what only the record knows of does too."""
    commands: list[Command] = []
    latched = {one.scope for one in found}
    for known in recorded:
        house.gate.stops[known.scope] = known
        if known.scope not in latched:
            commands += latch_missing(house, LatchMissing(known.scope), now)
    for one in found:
        commands += latch_found(house, one, now)
    return commands


# --- lifting ------------------------------------------------------------------------------------------------


def _lift_requested(
    house: House, event: EmergencyRequested, insider: Insider, role: Role, decision: Decision, now: Now
) -> list[Command]:
    """The first to ask is on record; a second person who asks for the same within the time lifts the stop, if
    the first may still ask for it."""
    pending = house.lifts.get(event.scope)
    if event.scope not in house.gate.stops or (pending is not None and pending.approved):
        return [Answer((reply(event.request_id, NOT_STOPPED),))]
    facts: dict[str, JsonValue] = {"scope": stop.what(event.scope), "user": insider.party}
    personal = named("administrator", insider, event.source) | stop.who(event.scope)
    if pending is not None and pending.by.party == insider.party:
        more = facts | {"code": SECOND_PERSON.code}
        record = draft("emergency.lift_refused", basis=(decision,), personal=personal, more=more)
        refusal = (reply(event.request_id, SECOND_PERSON),)
        return [Note((record,), refusal, on_failure=refusal)]
    if pending is None or not _may_still_ask(house, pending, event.requester, now):
        _ask_for_lift(house, event, insider, role, now)
        record = draft("emergency.lift_requested", basis=(decision,), personal=personal, more=facts)
        return [_lift(house, event, decision, record, ())]
    house.lifts[event.scope] = replace(pending, approved=True)
    more = facts | {"requested_by": pending.by.party}
    record = draft("emergency.lifted", basis=(decision,), personal=personal, more=more)
    return [_lift(house, event, decision, record, (Unlatch(event.scope),))]


def _ask_for_lift(house: House, event: EmergencyRequested, insider: Insider, role: Role, now: Now) -> None:
    stop.withdraw_lift(house, event.scope)
    until_ms = now.wall_ms + LIFT_PENDING_SECONDS * 1000
    pending = PendingLift(f"l-{house.ids()}", insider, role, event.source, until_ms)
    house.lifts[event.scope] = pending
    house.deadlines.add(now, LIFT_PENDING_SECONDS, "emergency.lift", pending.id)


def _may_still_ask(house: House, pending: PendingLift, requester: Insider | None, now: Now) -> bool:
    """`requester` is who asked, as the directory knows them now."""
    if requester is None or requester.party != pending.by.party:
        return False
    action = Action.ADMIN_EMERGENCY
    return administration.ask_as(house, pending.role, requester, pending.source, action, now).allowed


def _lift(
    house: House, event: EmergencyRequested, decision: Decision, record: Draft, effects: tuple[Unlatch, ...]
) -> Opening:
    return house.gate.opening(
        f"lift {event.scope}",
        (decision,),
        (record,),
        (*effects, ReplyGranted(event.request_id)),
        on_failure=(reply(event.request_id, AUDIT_UNAVAILABLE),),
    )


def take_back(house: House, opening_scope: str) -> None:
    """The record of a request or of its approval could not be written: nobody has asked."""
    for scope in [scope for scope in house.lifts if opening_scope == f"lift {scope}"]:
        stop.withdraw_lift(house, scope)


def stop_lifted(house: House, event: StopLifted, now: Now) -> list[Command]:
    """The lift is on record. Where the file could not be removed the stop goes on: it would be back with the
    next start."""
    stop.withdraw_lift(house, event.scope)
    if not event.removed:
        record = draft("emergency.lift_failed", personal=stop.who(event.scope), scope=stop.what(event.scope))
        return [Narrowing(records=(record,))]
    house.gate.stops.pop(event.scope, None)
    house.tallies.pop(event.scope, None)
    house.latches_missing.discard(event.scope)
    return []


def lift_expired(house: House, deadline: Deadline, now: Now) -> list[Command]:
    """Nobody approved in time."""
    scope = next((scope for scope, pending in house.lifts.items() if pending.id == deadline.key), None)
    if scope is None:
        return []
    del house.lifts[scope]
    record = draft("emergency.lift_expired", personal=stop.who(scope), scope=stop.what(scope))
    return [Narrowing(records=(record,))]


# --- rehearsing ---------------------------------------------------------------------------------------------


def drill_found(house: House, event: DrillFound, now: Now) -> list[Command]:
    """A file asks what a stop would end."""
    return [Note((_drill(house, event.scope, now),))]


def _drill(house: House, scope: Scope, now: Now) -> Draft:
    house.drill = Drill(scope, now.wall_ms, stop.covered(house, scope).fields())
    return draft(
        "emergency.drilled", personal=stop.who(scope), scope=stop.what(scope), more=house.drill.would_end
    )
