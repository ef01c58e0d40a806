"""Review: what was allowed is asked about again when policy, people or the time of day change, and ends where
it no longer passes.

Never widens: who may do more than before does so by asking. Calls come first, then connections, then who sees
whom, a few at a time: other events are handled in between.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Literal

from auth.principal import Guest, Insider, PartyId
from broker.core import alarms, bandwidth, calling, leaving, program, sharing
from broker.core.answers import denial, entry_refused
from broker.core.call import Call
from broker.core.clock import Deadline, Now
from broker.core.commands import Answer, Command, ConnectionId, Narrowing, Tell
from broker.core.events import PolicyApplied, PolicyRefused
from broker.core.frames import PresenceStatus
from broker.core.house import ClockJump, Connection, House, PolicyAlarm, PolicyInForce
from broker.core.presence import lost_sight, presence_narrowed
from broker.core.reach import ask_entry, ask_everywhere, denial_in, places, verdict
from broker.core.recording import draft, named
from broker.policy.decision import Code, Decision, Obligation
from config.policy.action import Action
from config.policy.client import ClientEffect

CLOCK_SECONDS = 0.5
"""How often the time of day is looked at: hours that are over, and clocks that jump, are seen within it."""
SLICE = {"call": 1, "connection": 1, "sight": 16}
"""What one of a kind costs: a sight is about everyone whom a connection sees."""
SLICE_COST = 64
MAX_TOLD_ERRORS = 20
"""Of one refused policy file, in its record."""


def policy_applied(house: House, event: PolicyApplied, now: Now) -> list[Command]:
    """The new policy answers from here on; what is open is asked about again."""
    loaded = event.policy.loaded
    house.gate.policy = event.policy
    house.policy_in_force = PolicyInForce(now.wall_ms, event.how, event.by)
    house.policy_alarm = None
    record = draft(
        "policy.applied",
        personal=named("administrator", event.by) if event.by is not None else {},
        revision=loaded.policy.revision,
        sha256=loaded.sha256,
        how=event.how,
        by=event.by.party if event.by is not None else None,
        rules=len(loaded.policy.rules),
    )
    # The journal has the record at once: this policy does not come into force without one, and what it allows
    # is recorded after it.
    return [Narrowing(records=(record,)), *everything(house, now), *bandwidth.settle(house)]


def policy_refused(house: House, event: PolicyRefused, now: Now) -> list[Command]:
    """A file that cannot be used changes nothing but the record and the alarm."""
    house.policy_alarm = PolicyAlarm(now.wall_ms, event.sha256, event.errors)
    record = draft(
        "policy.refused",
        sha256=event.sha256,
        errors=list(event.errors[:MAX_TOLD_ERRORS]),
        errors_omitted=max(0, len(event.errors) - MAX_TOLD_ERRORS),
        revision=house.gate.policy.loaded.policy.revision,
    )
    return [Narrowing(records=(record,))]


def of_parties(house: House, parties: Collection[PartyId], now: Now) -> list[Command]:
    """Ask again about what these people have to do with: their calls, their own and their guests'
    connections, and who sees them. However many they are, everything is gone through once."""
    if not parties:
        return _start(house, now)
    wanted = frozenset(parties)
    everybody = house.connections.values()
    concerned = [c for c in everybody if c.party in wanted or host_of(c) in wanted]
    viewers = [c for c in everybody if c.party in wanted or not wanted.isdisjoint(c.sees)]
    _queue(house, "call", (c.call_id for c in house.calls.values() if wanted.intersection(c.grant.parties)))
    _queue(house, "connection", (c.connection_id for c in concerned))
    _queue(house, "sight", (c.connection_id for c in viewers))
    return _start(house, now)


def clock(house: House, deadline: Deadline, now: Now) -> list[Command]:
    """Whether the last answers still hold by this moment's clock, which may have jumped either way."""
    house.deadlines.add(now, CLOCK_SECONDS, "review.clock", "")
    _watch_the_clock(house, now)
    found = [*alarms.look(house, now), *bandwidth.settle(house)]
    review = house.review
    if review.asked_at_unix_seconds <= now.wall_seconds < review.holds_until_unix_seconds:
        return found
    return [*found, *everything(house, now)]


def _watch_the_clock(house: House, now: Now) -> None:
    before, house.last_look = house.last_look, now
    if before is None:
        return
    steady = now.monotonic_seconds - before.monotonic_seconds
    astray = (now.wall_ms - before.wall_ms) / 1000 - steady
    if abs(astray) > alarms.CLOCK_TOLERANCE_SECONDS:
        house.clock_jump = ClockJump(now.monotonic_seconds, round(astray))


def everything(house: House, now: Now) -> list[Command]:
    """Ask about all that is open again."""
    house.review.asked_at_unix_seconds = now.wall_seconds
    house.review.holds_until_unix_seconds = house.gate.policy.next_change(now.wall_seconds)
    _queue(house, "call", house.calls)
    _queue(house, "connection", house.connections)
    _queue(house, "sight", house.connections)
    return _start(house, now)


def _queue(house: House, kind: str, ids: Iterable[str]) -> None:
    for one in ids:
        if (kind, one) not in house.review.queued:
            house.review.queued.add((kind, one))
            house.review.waiting.append((kind, one))


def _start(house: House, now: Now) -> list[Command]:
    """The first slice at once, the others each as an event of its own."""
    review = house.review
    commands: list[Command] = []
    left = SLICE_COST
    while review.waiting and left > 0:
        kind, one = review.waiting.popleft()
        review.queued.discard((kind, one))
        left -= SLICE[kind]
        commands += _again(house, kind, one, now)
    if review.waiting:
        house.deadlines.add(now, 0, "review.slice", "")
    return commands


def next_slice(house: House, deadline: Deadline, now: Now) -> list[Command]:
    """Some more of what waits to be asked about."""
    return _start(house, now) if house.review.waiting else []


def _again(house: House, kind: str, one: str, now: Now) -> list[Command]:
    if kind == "call":
        call = house.calls.get(one)
        return _call_again(house, call, now) if call is not None else []
    connection = house.connections.get(ConnectionId(one))
    if connection is None or connection.closing:
        return []
    ask_again = _connection_again if kind == "connection" else _sights_again
    return ask_again(house, connection, now)


def _connections(house: House, party: PartyId) -> list[Connection]:
    return [house.connections[connection_id] for connection_id in house.by_party.get(party, ())]


def host_of(connection: Connection) -> PartyId | None:
    """Of a guest's connection, who invited them."""
    return connection.principal.invited_by if isinstance(connection.principal, Guest) else None


def _as_known(house: House, party: PartyId) -> Insider | Guest | None:
    """The party as their connections or the directory last told of them."""
    connection = next(iter(_connections(house, party)), None)
    return connection.principal if connection is not None else house.people.get(party)


def _call_again(house: House, call: Call, now: Now) -> list[Command]:
    caller = house.connections[call.caller_connection]
    carrier = house.connections.get(call.callee_connection) if call.callee_connection is not None else None
    known = _as_known(house, call.callee.party) or call.callee
    callee = [carrier.subject] if carrier is not None else places(house, known)
    decisions: list[Decision] = []
    for action in sorted(call.grant.actions):
        decisions += ask_everywhere(house, action, [caller.subject], callee, now)
        denied = denial_in(decisions)
        if denied is not None:
            record = draft("decision.denied", call.call_id, basis=(denied,))
            reason = _reason(denied)
            return [Narrowing(records=(record,)), calling.end(house, call, reason, None, denied)]
    call.reviewed = tuple(decisions)
    ended, of_share = _share_again(house, call, now)
    return [*ended, *calling.narrow(house, call, decisions, of_share, now)]


def _share_again(house: House, call: Call, now: Now) -> tuple[list[Command], tuple[Decision, ...]]:
    """What ends the share, if it ends; else what allows it now, whose rate is the call's too."""
    if call.share is None:
        return [], ()
    carriers = [call.connection_of(call.share.party), call.connection_of(call.other(call.share.party))]
    sharer, viewer = (house.connections[c] for c in carriers if c is not None)
    decision = house.gate.ask(Action.SCREEN_SHARE, sharer.subject, viewer.subject, now)
    if decision.allowed:
        sharing.narrow_share(house, call, decision, now)
        return [], (decision,)
    record = draft("decision.denied", call.call_id, basis=(decision,))
    return [Narrowing(records=(record,)), *sharing.end_share(house, call, _reason(decision))], ()


def _reason(denied: Decision) -> Literal["policy", "emergency_stop"]:
    return "emergency_stop" if denied.code is Code.STOPPED else "policy"


def _connection_again(house: House, connection: Connection, now: Now) -> list[Command]:
    decision = ask_entry(house, connection, now)
    if decision is not None and decision.allowed:
        connection.decisions = (decision,)
        return _program_again(house, connection)
    told = (Tell(connection.connection_id, denial(decision, connection.principal)),) if decision else ()
    record = draft(
        "decision.denied",
        connection.connection_id,
        basis=(decision,) if decision is not None else (),
        personal=named("party", connection.principal, connection.source),
    )
    return [Narrowing((), told, (record,)), *leaving.close(house, connection, entry_refused(decision))]


def _program_again(house: House, connection: Connection) -> list[Command]:
    if connection.program is None:
        return []  # asked about when it says hello
    verdict = house.gate.judge(connection.principal, connection.program)
    if verdict.effect is not ClientEffect.REFUSE:
        return []
    return program.turn_away(house, connection, connection.program, verdict)


def _sights_again(house: House, viewer: Connection, now: Now) -> list[Command]:
    """Whom this connection's person is shown: less of them, or none, where policy says so now."""
    effects: list[Tell] = []
    lost: list[tuple[PartyId, Decision]] = []
    for party in sorted(viewer.sees):
        person = _as_known(house, party)
        if not isinstance(person, Insider):
            continue  # guests come and go with their own connections
        asked = ask_everywhere(house, Action.PRESENCE_SEE, [viewer.subject], places(house, person), now)
        decision = verdict(asked)
        status = house.status_of(party)
        before = viewer.sight_of(party, status)
        if not decision.allowed:
            viewer.let_see(party, decision)
            lost.append((party, decision))
            effects.append(Tell(viewer.connection_id, lost_sight(viewer, party)))
        elif Obligation.FOLD_PRESENCE in decision.obligations and party not in viewer.sees_folded:
            viewer.let_see(party, decision)
            lost.append((party, decision))
            after = viewer.sight_of(party, status)
            if after != before:
                effects.append(Tell(viewer.connection_id, PresenceStatus(party=party, status=after)))
    if not lost:
        return []
    # Said again in its turn: a welcome that still waits for its record would show them once more.
    again = Answer(tuple(effects), viewer.connection_id)
    return [Narrowing((), tuple(effects), (presence_narrowed(viewer, lost),)), again]
