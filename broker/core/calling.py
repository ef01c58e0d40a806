"""Calling: invite, ring, accept, decline, cancel, hang up, and every way a call ends."""

from __future__ import annotations

from collections.abc import Sequence

from auth.principal import Guest, Insider, PartyId
from broker.core import bandwidth, sharing
from broker.core.answers import denial, deny, error, refuse, unrecorded
from broker.core.call import Call, CallEvent, CallState, EndingCall, WrongStateError
from broker.core.client_frames import CallAccept, CallCancel, CallDecline, CallHangUp, CallInvite
from broker.core.clock import Deadline, Now
from broker.core.commands import (
    AdmitMedia,
    Answer,
    Command,
    LimitMedia,
    Narrowing,
    NarrowingEffect,
    Note,
    OpeningEffect,
    Show,
    Tell,
    WithdrawMedia,
)
from broker.core.errors import (
    BANDWIDTH_EXCEEDED,
    CALL_STATE,
    EMERGENCY_STOP,
    PEER_UNREACHABLE,
    UNKNOWN_CALL,
    USER_BUSY,
    YOU_ARE_BUSY,
    ErrorRow,
)
from broker.core.frame_fields import EndReason
from broker.core.frames import CallAccepted, CallCreated, CallEnded, CallRing
from broker.core.house import Connection, House
from broker.core.limits import allowed_rate, allowed_until
from broker.core.reach import ask_everywhere, denial_in, hindrance, places
from broker.core.recording import draft, named
from broker.policy.decision import Decision
from config.policy.action import Action

ACTION_OF_MEDIA = {"audio": Action.CALL_AUDIO, "video": Action.CALL_VIDEO}
CREDENTIAL_MARGIN_SECONDS = 60
"""How much longer than the call its relay credentials live, so that no clock skew ends a call early."""


def invite(
    house: House, connection: Connection, frame: CallInvite, counterpart: Insider | Guest | None, now: Now
) -> list[Command]:
    """Ask the gate for each medium, record the grant, admit both parties to the relay, ring."""
    if counterpart is None or counterpart.party == connection.party:
        return refuse(connection.connection_id, PEER_UNREACHABLE, frame.ref)
    media = tuple(sorted(set(frame.media)))
    decisions: list[Decision] = []
    for medium in media:
        action = ACTION_OF_MEDIA[medium]
        decisions += ask_everywhere(house, action, [connection.subject], places(house, counterpart), now)
        denied = denial_in(decisions)
        if denied is not None:
            return deny(connection, denied, ref=frame.ref)
    row = _unanswered(house, connection, counterpart)
    if row is not None:
        return _unanswerable(connection, counterpart, row, tuple(decisions), frame.ref)
    return _ring(house, connection, frame, counterpart, tuple(decisions), now)


def _unanswered(house: House, connection: Connection, counterpart: Insider | Guest) -> ErrorRow | None:
    if house.call_of(connection.party) is not None:
        return YOU_ARE_BUSY
    out_of_reach = hindrance(house, connection.principal, counterpart)
    if out_of_reach is not None:
        return out_of_reach
    if not any(house.of_party(counterpart.party)):
        return PEER_UNREACHABLE
    return USER_BUSY if house.call_of(counterpart.party) is not None else None


def _unanswerable(
    connection: Connection,
    counterpart: Insider | Guest,
    row: ErrorRow,
    decisions: tuple[Decision, ...],
    ref: str,
) -> list[Command]:
    record = draft(
        "call.refused",
        connection.connection_id,
        basis=decisions,
        personal=named("caller", connection.principal, connection.source) | named("callee", counterpart),
        code=row.code,
        caller=connection.party,
        callee=counterpart.party,
    )
    told = Tell(connection.connection_id, error(row, ref))
    return [Note((record,), (told,), on_failure=unrecorded(connection.connection_id, ref))]


def _ring(
    house: House,
    connection: Connection,
    frame: CallInvite,
    callee: Insider | Guest,
    decisions: tuple[Decision, ...],
    now: Now,
) -> list[Command]:
    call_id = f"c-{house.ids()}"
    until = allowed_until(house, decisions, now.wall_seconds)
    rate = allowed_rate(decisions)
    parties = (connection.party, callee.party)
    media = sorted(set(frame.media))
    actions = frozenset(ACTION_OF_MEDIA[medium] for medium in media)
    grant = house.gate.grant(call_id, parties, actions, until, decisions)
    record = draft(
        "call.opened",
        call_id,
        basis=decisions,
        personal=named("caller", connection.principal, connection.source) | named("callee", callee),
        caller=connection.party,
        callee=callee.party,
        external=isinstance(connection.principal, Guest) or isinstance(callee, Guest),
        media=media,
        until=until,
        connection=connection.connection_id,
    )
    call = Call(
        call_id,
        frame.ref,
        connection.principal,
        callee,
        tuple(media),
        grant,
        connection.connection_id,
        bits_per_second=rate,
        opened_at_unix_seconds=now.wall_seconds,
    )
    if bandwidth.exceeded(house, call) is not None:
        return _unanswerable(connection, callee, BANDWIDTH_EXCEEDED, decisions, frame.ref)
    house.calls[call_id] = call
    house.deadlines.add(now, house.rules.ring_timeout_seconds, "call.ring", call_id)
    house.deadlines.add(now, until - now.wall_seconds, "call.limit", call_id)
    created = CallCreated(
        ref=frame.ref,
        call_id=call_id,
        to=house.contact_for(connection, callee),
        media=media,
        ice_server=house.ice_server_for(call_id, connection.party, until + CREDENTIAL_MARGIN_SECONDS),
    )
    admit = AdmitMedia(call_id, parties, until, rate)
    effects: list[OpeningEffect] = [admit, Show(connection.connection_id, created)]
    for rung in house.of_party(callee.party):
        caller = house.contact_for(rung, connection.principal)
        effects.append(Show(rung.connection_id, CallRing(call_id=call_id, caller=caller, media=media)))
    failure = unrecorded(connection.connection_id, frame.ref)
    within = house.standing(connection, callee)
    return [
        house.gate.opening(call_id, decisions, (record,), tuple(effects), within=within, on_failure=failure)
    ]


def accept(house: House, connection: Connection, frame: CallAccept, now: Now) -> list[Command]:
    """The callee answers on this connection: record it, give both sides their relay credentials."""
    call = house.calls.get(frame.call_id)
    if call is None or connection.party != call.callee.party:
        return refuse(connection.connection_id, UNKNOWN_CALL, call_id=frame.call_id)
    try:
        next_state = call.step(CallEvent.ACCEPT)
    except WrongStateError:
        return refuse(connection.connection_id, CALL_STATE, call_id=frame.call_id)
    if next_state is None or not call.grant.holds(connection.party, now):
        return refuse(connection.connection_id, CALL_STATE, call_id=frame.call_id)
    caller = house.connections[call.caller_connection].subject
    decisions = [
        house.gate.ask(action, caller, connection.subject, now) for action in sorted(call.grant.actions)
    ]
    denied = denial_in(decisions)
    if denied is not None:
        return deny(connection, denied, call.call_id)
    before, call.answer_decisions = call.answer_decisions, tuple(decisions)
    if bandwidth.exceeded(house, call) is not None:
        call.answer_decisions = before
        return refuse(connection.connection_id, BANDWIDTH_EXCEEDED, call_id=call.call_id)
    record = draft(
        "call.answered",
        call.call_id,
        basis=decisions,
        personal=named("callee", connection.principal, connection.source),
        callee=connection.party,
        connection=connection.connection_id,
    )
    call.state = next_state
    call.callee_connection = connection.connection_id
    # Where the callee answers from may allow less than where they were invited.
    less = _less(house, call, decisions, (), now)
    admit = AdmitMedia(call.call_id, call.grant.parties, call.grant.until_unix_seconds, call.bits_per_second)
    admitted_again = (admit,) if less else ()
    until = call.grant.until_unix_seconds + CREDENTIAL_MARGIN_SECONDS

    def accepted(role: str, party: PartyId) -> CallAccepted:
        ice_server = house.ice_server_for(call.call_id, party, until)
        return CallAccepted(
            call_id=call.call_id, role="caller" if role == "caller" else "callee", ice_server=ice_server
        )

    effects = (
        *admitted_again,
        Show(connection.connection_id, accepted("callee", call.callee.party)),
        Show(call.caller_connection, accepted("caller", call.caller.party)),
    )
    elsewhere = tuple(
        Tell(other.connection_id, CallEnded(call_id=call.call_id, reason="answered_elsewhere"))
        for other in house.of_party(connection.party)
        if other.connection_id != connection.connection_id
    )
    return [
        house.gate.opening(
            call.call_id,
            decisions,
            (record,),
            effects,
            within=house.standing(connection),
            on_failure=unrecorded(connection.connection_id),
            then=elsewhere,
        ),
        *bandwidth.settle(house),
    ]


def _less(
    house: House, call: Call, decisions: Sequence[Decision], of_share: Sequence[Decision], now: Now
) -> bool:
    """Hold the call to what these answers allow: whether that is less time or a lower rate than it had. Of a
    share's answer only the rate is the call's too."""
    until, rate = call.grant.until_unix_seconds, call.bits_per_second
    call.grant = call.grant.shortened(allowed_until(house, decisions, call.opened_at_unix_seconds))
    call.bits_per_second = allowed_rate([*decisions, *of_share], rate)
    if call.grant.until_unix_seconds < until:
        house.deadlines.add(now, call.grant.until_unix_seconds - now.wall_seconds, "call.limit", call.call_id)
    return (call.grant.until_unix_seconds, call.bits_per_second) != (until, rate)


def decline(house: House, connection: Connection, frame: CallDecline, now: Now) -> list[Command]:
    """The callee does not want it."""
    return _step_out(house, connection, frame.call_id, CallEvent.DECLINE, "declined")


def cancel(house: House, connection: Connection, frame: CallCancel, now: Now) -> list[Command]:
    """The caller gives up."""
    return _step_out(house, connection, frame.call_id, CallEvent.CANCEL, "cancelled")


def hang_up(house: House, connection: Connection, frame: CallHangUp, now: Now) -> list[Command]:
    """Either side ends it."""
    return _step_out(house, connection, frame.call_id, CallEvent.HANG_UP, "hung_up")


def _step_out(
    house: House, connection: Connection, call_id: str, event: CallEvent, reason: EndReason
) -> list[Command]:
    call = house.calls.get(call_id)
    if call is None or connection.party not in call.grant.parties:
        return refuse(connection.connection_id, UNKNOWN_CALL, call_id=call_id)
    wrong_side = (event is CallEvent.DECLINE and connection.party != call.callee.party) or (
        event is CallEvent.CANCEL and connection.party != call.caller.party
    )
    try:
        call.step(event)
    except WrongStateError:
        wrong_side = True
    if wrong_side:
        return refuse(connection.connection_id, CALL_STATE, call_id=call_id)
    return [end(house, call, reason, connection.party)]


def ring_timed_out(house: House, deadline: Deadline, now: Now) -> list[Command]:
    """Nobody answered in time."""
    call = house.calls.get(deadline.key)
    if call is None or call.state is not CallState.RINGING:
        return []
    return [end(house, call, "no_answer", None)]


def limit_reached(house: House, deadline: Deadline, now: Now) -> list[Command]:
    """The grant's time is up."""
    call = house.calls.get(deadline.key)
    return [end(house, call, "time_limit", None)] if call is not None else []


def connection_left(house: House, connection: Connection) -> list[Command]:
    """A connection is gone: the calls it carries end; a call that rings elsewhere too goes on ringing."""
    commands: list[Command] = []
    for call in [call for call in house.calls.values() if connection.party in call.grant.parties]:
        carried = call.connection_of(connection.party)
        rings_elsewhere = carried is None and any(house.of_party(connection.party))
        if carried == connection.connection_id or (carried is None and not rings_elsewhere):
            commands.append(end(house, call, "party_left", connection.party))
    return commands


def narrow(
    house: House, call: Call, decisions: list[Decision], of_share: tuple[Decision, ...], now: Now
) -> list[Command]:
    """A live call, asked about again, is allowed less than before: less time, a lower rate, that of a share
    in it included. At once, and once more in its turn: an admission that still waits for its record says
    more."""
    less = _less(house, call, decisions, of_share, now)
    if not less and call.bits_per_second is None:
        return []
    # A rate is said again also where the call is thought to have it: the opening of a share that never left
    # may have been to say it.
    limit = LimitMedia(call.call_id, call.grant.until_unix_seconds, call.bits_per_second)
    record = draft(
        "call.narrowed",
        call.call_id,
        basis=decisions,
        until=call.grant.until_unix_seconds,
        bits_per_second=call.bits_per_second,
    )
    return [Narrowing((), (limit,), (record,) if less else ()), Answer((limit,), call.call_id)]


def end(
    house: House, call: Call, reason: EndReason, ended_by: PartyId | None, denied: Decision | None = None
) -> Narrowing:
    """End a call now: rows first, then both sides are told, also why if a decision ended it; the record
    closes when the relay has reported."""
    del house.calls[call.call_id]
    house.deadlines.cancel("call.ring", call.call_id)
    house.deadlines.cancel("call.limit", call.call_id)
    house.ending_calls[call.call_id] = EndingCall(call, reason, ended_by)
    records = sharing.ended_with_call(house, call)
    effects: list[NarrowingEffect] = [WithdrawMedia(call.call_id)]
    to_caller = _ended(call, _told(reason, call.caller, ended_by), denied, call.caller, call.ref)
    effects.extend(house.tell_connection(call.caller_connection, to_caller))
    to_callee = _ended(call, _told(reason, call.callee, ended_by), denied, call.callee)
    if call.callee_connection is not None:
        effects.extend(house.tell_connection(call.callee_connection, to_callee))
    else:
        effects.extend(house.tell(call.callee.party, to_callee))
    return Narrowing((call.call_id,), tuple(effects), records)


def _told(reason: EndReason, reader: Insider | Guest, ended_by: PartyId | None) -> EndReason:
    """What became of somebody's account is for them and the record alone."""
    return "party_left" if reason == "access_ended" and reader.party != ended_by else reason


def _ended(
    call: Call, reason: EndReason, denied: Decision | None, reader: Insider | Guest, ref: str | None = None
) -> CallEnded:
    if reason == "emergency_stop":
        row = EMERGENCY_STOP
        return CallEnded(call_id=call.call_id, reason=reason, ref=ref, code=row.code, message=row.sentence)
    if denied is None:
        return CallEnded(call_id=call.call_id, reason=reason, ref=ref)
    told = denial(denied, reader)
    return CallEnded(
        call_id=call.call_id,
        reason=reason,
        ref=ref,
        code=told.code,
        message=told.message,
        decision_id=denied.id,
    )
