"""Signing in and out: a person's sign-ins from the password to their ends, and what the person sees of them.

A sign-in ends when it is signed out or revoked, makes room for a newer one, was not used for too long
(`idle`), or is as old as any may be (`expired`). Its connections end with it.
"""

from __future__ import annotations

from auth.principal import PartyId
from broker.core import visit
from broker.core.answers import refuse, reply, reply_denied
from broker.core.client_frames import SignInRevoke, SignInRevokeOthers, SignInsList
from broker.core.clock import Deadline, Now
from broker.core.commands import (
    Answer,
    Command,
    EndSignIn,
    Narrowing,
    Note,
    ReplyDone,
    ReplyGranted,
    SaveSignIn,
    SaveSignInFailure,
    Tell,
)
from broker.core.errors import (
    AUDIT_UNAVAILABLE,
    SIGN_IN_EXPIRED,
    SIGN_IN_REPLACED,
    SIGN_IN_REVOKED,
    SIGNED_OUT,
    UNKNOWN_SIGN_IN,
    ErrorRow,
)
from broker.core.events import PasswordRefused, SignInProved, SignOutRequested
from broker.core.frames import SignInInfo, SignIns
from broker.core.house import Connection, House
from broker.core.leaving import close
from broker.core.recording import draft, named
from broker.core.sign_in import CHECKS_PER_IDLE_TIME, SignIn
from broker.core.stored import StoredSignIn
from broker.policy.question import Subject
from config.policy.action import Action


def sign_in(house: House, event: SignInProved, now: Now) -> list[Command]:
    """The directory vouched for the person; policy says whether they may use the edge from where they are."""
    subject = Subject(event.insider, event.source.reveal())
    decision = house.gate.ask(Action.EDGE_SIGNIN, subject, None, now)
    if not decision.allowed:
        return reply_denied(event.request_id, decision, event.insider)
    party, digest = event.insider.party, event.token_digest
    others = _by_use(house, party)
    surplus = len(others) + 1 - house.rules.max_sign_ins_per_person
    replaced: list[Command] = []
    for other in others[: max(0, surplus)]:
        replaced += end(house, other, "replaced", SIGN_IN_REPLACED)
    expires_at = now.wall_seconds + house.rules.sign_in_seconds
    kept = StoredSignIn(
        f"s-{house.ids()}", digest, party, event.prefix, "", now.wall_seconds, now.wall_seconds, expires_at
    )
    begin(house, kept, now)
    record = draft(
        "auth.accepted",
        basis=(decision,),
        personal=named("user", event.insider, event.source),
        user=party,
        method="password",
        sign_in=kept.sign_in_id,
        other_sign_ins=len(house.sign_ins_of(party)) - 1,
        expires_at=expires_at,
        notice_acknowledged=event.notice_sha256 is not None,
        notice_sha256=event.notice_sha256,
    )
    opening = house.gate.opening(
        digest,
        (decision,),
        (record,),
        (ReplyGranted(event.request_id),),
        writes=(SaveSignIn(kept),),
        on_failure=(reply(event.request_id, AUDIT_UNAVAILABLE),),
    )
    return [*replaced, opening]


def password_refused(house: House, event: PasswordRefused, now: Now) -> list[Command]:
    """A stranger's failure is stored, and on record only as one of many. Where it cannot be stored the answer
    is no other: it counts for this run."""
    answer = (ReplyDone(event.request_id),)
    return [Note((), answer, (SaveSignInFailure(event.failure),), on_failure=answer)]


def begin(house: House, kept: StoredSignIn, now: Now) -> None:
    """From now on the token is worth something, also one of an earlier run. One that is over already ends
    with the next look at the deadlines."""
    begun = SignIn.of(kept, house.rules.sign_in_seconds, now)
    house.sign_ins[kept.token_digest] = begun
    house.tokens_of.setdefault(kept.party, []).append(kept.token_digest)
    left = begun.seconds_left(now, house.rules.sign_in_idle_seconds)
    house.deadlines.add(now, left, "sign_in.check", kept.token_digest)


def forget(house: House, token_digest: str) -> SignIn | None:
    """The token is worth nothing from now on."""
    forgotten = house.sign_ins.pop(token_digest, None)
    if forgotten is not None:
        tokens = house.tokens_of[forgotten.kept.party]
        tokens.remove(token_digest)
        if not tokens:
            del house.tokens_of[forgotten.kept.party]
    return forgotten


def live(house: House, token_digest: str, now: Now) -> SignIn | None:
    """The sign-in of this token, while it lasts."""
    found = house.sign_ins.get(token_digest)
    return found if found is not None and not found.over(now, house.rules.sign_in_idle_seconds) else None


def end(house: House, ended: SignIn, reason: str, row: ErrorRow, by: SignIn | None = None) -> list[Command]:
    """The token is worth nothing any more, and every connection made with it closes. `by` is the sign-in of
    the same person that revoked it."""
    kept = ended.kept
    commands: list[Command] = []
    for connection in _connections(house, ended):
        commands += close(house, connection, row)
    forget(house, kept.token_digest)
    more = {"by": by.kept.sign_in_id} if by is not None else {}
    record = draft("auth.ended", user=kept.party, sign_in=kept.sign_in_id, reason=reason, more=more)
    over = Narrowing((kept.token_digest,), (), (record,), (EndSignIn(kept.token_digest),))
    return [*commands, over]


def sign_out(house: House, event: SignOutRequested, now: Now) -> list[Command]:
    """The holder of the token wants it ended: a sign-in, or a guest's visit."""
    own_visit = visit.of_token(house, event.token_digest)
    if own_visit is not None:
        return visit.end(house, own_visit, "left", now)
    own = house.sign_ins.get(event.token_digest)
    return end(house, own, "signed_out", SIGNED_OUT) if own is not None else []


def check(house: House, deadline: Deadline, now: Now) -> list[Command]:
    """Whether it is over; if not, look again when it may be. While it is used, that is noted meanwhile."""
    checked = house.sign_ins.get(deadline.key)
    if checked is None:
        return []
    idle_seconds = house.rules.sign_in_idle_seconds
    used = [SaveSignIn(checked.use(now))] if _connections(house, checked) else []
    reason = checked.over(now, idle_seconds)
    if reason is not None:
        return end(house, checked, reason, SIGN_IN_EXPIRED)
    left = checked.seconds_left(now, idle_seconds)
    again = min(left, idle_seconds / CHECKS_PER_IDLE_TIME) if used else left
    house.deadlines.add(now, again, "sign_in.check", deadline.key)
    return [Note((), writes=tuple(used))] if used else []


# --- what the person sees of them ---------------------------------------------------------------------------


def show(house: House, connection: Connection, frame: SignInsList, now: Now) -> list[Command]:
    """The person's own sign-ins, and nobody else's."""
    return [Answer((_told(house, connection, frame.ref, now),))]


def revoke(house: House, connection: Connection, frame: SignInRevoke, now: Now) -> list[Command]:
    """One of the person's own ends; there are no others, as far as anybody can find out."""
    own = house.sign_ins_of(connection.party)
    revoked = [each for each in own if each.kept.sign_in_id == frame.sign_in_id]
    if not revoked:
        return refuse(connection.connection_id, UNKNOWN_SIGN_IN, frame.ref)
    return _revoked(house, connection, revoked, frame.ref, now)


def revoke_others(house: House, connection: Connection, frame: SignInRevokeOthers, now: Now) -> list[Command]:
    """All end but the one that asks."""
    own = house.sign_ins_of(connection.party)
    others = [each for each in own if each.kept.token_digest != connection.token_digest]
    return _revoked(house, connection, others, frame.ref, now)


def _revoked(
    house: House, connection: Connection, revoked: list[SignIn], ref: str, now: Now
) -> list[Command]:
    by = house.sign_ins.get(connection.token_digest)
    commands = [c for each in revoked for c in end(house, each, "revoked", SIGN_IN_REVOKED, by)]
    if not connection.closing:
        commands.append(Answer((_told(house, connection, ref, now),), connection.connection_id))
    return commands


def _told(house: House, connection: Connection, ref: str, now: Now) -> Tell:
    own = [
        SignInInfo(
            sign_in_id=each.kept.sign_in_id,
            network=each.kept.prefix.reveal(),
            program=each.kept.program,
            began_at=each.kept.began_at_unix_seconds,
            used_at=each.kept.used_at_unix_seconds,
            expires_at=each.kept.expires_at_unix_seconds,
            in_use=bool(_connections(house, each)),
            this_one=each.kept.token_digest == connection.token_digest,
        )
        for each in reversed(_by_use(house, connection.party))
        if each.over(now, house.rules.sign_in_idle_seconds) is None
    ]
    return Tell(connection.connection_id, SignIns(ref=ref, sign_ins=own))


def _by_use(house: House, party: PartyId) -> list[SignIn]:
    """The person's sign-ins, those that are used now last, the longest unused first."""
    own = house.sign_ins_of(party)
    return sorted(own, key=lambda each: (bool(_connections(house, each)), each.used_at_monotonic_seconds))


def _connections(house: House, used: SignIn) -> list[Connection]:
    own = [house.connections[each] for each in house.by_party.get(used.kept.party, ())]
    return [c for c in own if c.token_digest == used.kept.token_digest and not c.closing]
