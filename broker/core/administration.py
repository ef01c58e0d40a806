"""Administration: people who work on the edge itself. Each signs in for one role, is asked about again at
each request, and leaves a record of what they did and looked at.

A sign-in here speaks for one group of the person's, that of its role: whoever is in several signs in again
for another. It is kept in memory only.
"""

from __future__ import annotations

from auth.personal import Personal
from auth.principal import Insider, PartyId
from broker.core import calling, leaving, second_factor, visit
from broker.core.admin_events import (
    AdminSignInProved,
    AdminSignOutRequested,
    AdminViewRequested,
    SecurityKeyMade,
    SecurityKeyRemovalRequested,
    SessionEndRequested,
)
from broker.core.answers import reply, reply_denied
from broker.core.clock import Deadline, Now
from broker.core.commands import (
    Answer,
    Command,
    ConnectionId,
    Narrowing,
    Note,
    ReplyDone,
    ReplyGranted,
)
from broker.core.errors import (
    AUDIT_UNAVAILABLE,
    ENDED_BY_OPERATOR,
    NOT_SIGNED_IN,
    UNKNOWN_SESSION,
)
from broker.core.events import EmergencyRequested
from broker.core.house import AdminSignIn, House
from broker.core.recording import draft, named
from broker.policy.administration import ACTION_OF_ROLE, ACTIONS_OF_VIEW, Role, View, in_role
from broker.policy.decision import Decision
from broker.policy.question import Subject
from config.policy.action import Action

Asked = (
    AdminViewRequested
    | SessionEndRequested
    | EmergencyRequested
    | SecurityKeyMade
    | SecurityKeyRemovalRequested
)


def sign_in(house: House, event: AdminSignInProved, now: Now) -> list[Command]:
    """The directory vouched for the person; the rules of administration say whether they have the role."""
    taken = second_factor.take(house, event, now)
    if taken is None:
        return second_factor.refused(house, event)
    decision = ask_as(house, event.role, event.insider, event.source, ACTION_OF_ROLE[event.role], now)
    if not decision.allowed:
        return reply_denied(event.request_id, decision, event.insider)
    seconds = house.rules.admin_sign_in_seconds
    record = draft(
        "admin.signed_in",
        basis=(decision,),
        personal=named("user", event.insider, event.source),
        user=event.insider.party,
        role=event.role.value,
        method=taken.method,
        expires_at=now.wall_seconds + seconds,
        notice_acknowledged=event.notice_sha256 is not None,
        notice_sha256=event.notice_sha256,
    )
    if event.role is Role.BREAK_GLASS:
        house.break_glass_used_at = now.monotonic_seconds
    house.admin_sign_ins[event.token_digest] = AdminSignIn(
        event.insider, event.role, second_factor=bool(taken.writes)
    )
    house.deadlines.add(now, seconds, "admin.expiry", event.token_digest)
    return [
        house.gate.opening(
            event.token_digest,
            (decision,),
            (record,),
            (ReplyGranted(event.request_id),),
            within=taken.within,
            writes=taken.writes,
            on_failure=(reply(event.request_id, AUDIT_UNAVAILABLE),),
        )
    ]


def sign_out(house: House, event: AdminSignOutRequested, now: Now) -> list[Command]:
    """The token is worth nothing from now on."""
    if event.token_digest in house.admin_sign_ins:
        house.deadlines.cancel("admin.expiry", event.token_digest)
    return _over(house, event.token_digest, "signed_out")


def expired(house: House, deadline: Deadline, now: Now) -> list[Command]:
    """The sign-in's time is up."""
    return _over(house, deadline.key, "expired")


def end_all_of(house: House, party: PartyId, reason: str) -> list[Command]:
    """Every sign-in of this person here is over."""
    own = [digest for digest, signed_in in house.admin_sign_ins.items() if signed_in.party == party]
    for digest in own:
        house.deadlines.cancel("admin.expiry", digest)
    return [command for digest in own for command in _over(house, digest, reason)]


def forget_views(house: House) -> Narrowing:
    """The record fails: what was looked at is looked at anew, and answers that stand on a look whose record
    fails are not given."""
    for signed_in in house.admin_sign_ins.values():
        signed_in.views.clear()
    return Narrowing(tuple(house.admin_sign_ins))


def take_back(house: House, token_digest: str) -> None:
    """The record of a sign-in could not be written: it never was."""
    house.admin_sign_ins.pop(token_digest, None)


def _over(house: House, token_digest: str, reason: str) -> list[Command]:
    ended = house.admin_sign_ins.pop(token_digest, None)
    if ended is None:
        return []
    record = draft("admin.signed_out", user=ended.party, role=ended.role.value, reason=reason)
    return [Narrowing((token_digest,), (), (record,))]


def view(house: House, event: AdminViewRequested, now: Now) -> list[Command]:
    """Ask again whether the person may see it, and put on record that they look, once for each sign-in."""
    signed_in = sign_in_of(house, event)
    if signed_in is None or event.insider is None:
        return [Answer((reply(event.request_id, NOT_SIGNED_IN),))]
    decision = ask_to_see(house, signed_in.role, event, event.insider, event.view, now)
    if not decision.allowed:
        return reply_denied(event.request_id, decision, event.insider)
    done = (ReplyDone(event.request_id),)
    if event.view is None or event.view in signed_in.views:
        return [Answer(done, event.token_digest)]
    if house.outage_since is None:  # during an outage each look asks whether the record can be written again
        signed_in.views.add(event.view)
    record = draft(
        "admin.viewed",
        basis=(decision,),
        personal=named("user", event.insider, event.source),
        user=signed_in.party,
        role=signed_in.role.value,
        what=event.view.value,
    )
    return [Note((record,), done, on_failure=(reply(event.request_id, AUDIT_UNAVAILABLE),))]


def end_session(house: House, event: SessionEndRequested, now: Now) -> list[Command]:
    """An operator ends a call, a connection or a visit: at once, and on record by whom."""
    signed_in = sign_in_of(house, event)
    if signed_in is None or event.insider is None:
        return [Answer((reply(event.request_id, NOT_SIGNED_IN),))]
    decision = ask_as(house, signed_in.role, event.insider, event.source, Action.ADMIN_OPERATE, now)
    if not decision.allowed:
        return reply_denied(event.request_id, decision, event.insider)
    ended = _end(house, event.session_id, now)
    if not ended:
        return [Answer((reply(event.request_id, UNKNOWN_SESSION),))]
    record = draft(
        "admin.session_ended",
        event.session_id,
        basis=(decision,),
        personal=named("user", event.insider, event.source),
        session=event.session_id,
        user=signed_in.party,
        role=signed_in.role.value,
    )
    return [*ended, Narrowing((), (ReplyDone(event.request_id),), (record,))]


def _end(house: House, session_id: str, now: Now) -> list[Command]:
    call = house.calls.get(session_id)
    if call is not None:
        return [calling.end(house, call, "operator", None)]
    ended_visit = house.visits.get(PartyId(session_id))
    if ended_visit is not None:
        return visit.end(house, ended_visit, "ended_by_operator", now)
    connection = house.connections.get(ConnectionId(session_id))
    return leaving.close(house, connection, ENDED_BY_OPERATOR) if connection is not None else []


def sign_in_of(house: House, event: Asked) -> AdminSignIn | None:
    """The sign-in of this token, if it is still the same person's."""
    found = house.admin_sign_ins.get(event.token_digest)
    known = event.insider.party if event.insider is not None else None
    return found if found is not None and found.party == known else None


def ask_to_see(
    house: House, role: Role, event: Asked, insider: Insider, view: View | None, now: Now
) -> Decision:
    """Whether the person may see this in the role they signed in for."""
    own = ACTION_OF_ROLE[role]
    may_see = (own,) if view is None else ACTIONS_OF_VIEW[view]
    # Whose role may not see it is asked for one that may, and does not have it: the answer is a denial.
    return ask_as(house, role, insider, event.source, own if own in may_see else may_see[0], now)


def ask_as(
    house: House, role: Role, insider: Insider, source: Personal, action: Action, now: Now
) -> Decision:
    """Whether the person may, with no group but that of the role they signed in for."""
    actor = Subject(in_role(insider, role, house.gate.administrators), source.reveal())
    return house.gate.ask(action, actor, None, now)
