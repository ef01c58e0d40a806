"""Invitation: an insider asks an outsider in. Signed, expiring, redeemable a few times, revocable at once."""

from __future__ import annotations

from auth.personal import Personal
from auth.principal import Guest, PartyId
from broker.core import visit
from broker.core.answers import deny, refuse, reply, reply_denied, unrecorded
from broker.core.client_frames import InvitationCreate, InvitationRevoke
from broker.core.clock import Deadline, Now
from broker.core.commands import (
    Answer,
    Command,
    Narrowing,
    ReplyGranted,
    RevokeInvitation,
    SaveInvitation,
    SaveVisit,
    Show,
)
from broker.core.errors import AUDIT_UNAVAILABLE, INVITATION_INVALID, INVITATION_LIMIT, UNKNOWN_INVITATION
from broker.core.events import EntryRefused, RedeemRequested
from broker.core.frames import InvitationCreated, InvitationInfo, InvitationRevoked
from broker.core.house import Connection, House, Invitation, Visit
from broker.core.outage import count_refusal
from broker.core.reach import ask_everywhere, places, verdict
from broker.core.recording import draft, named
from broker.policy.question import Subject
from config.policy.action import Action

MAX_OPEN_INVITATIONS = 100
"""Of one person, so that the welcome which lists them stays small."""


def create(house: House, connection: Connection, frame: InvitationCreate, now: Now) -> list[Command]:
    """Decide, record, then show the link once."""
    rules = house.rules
    seconds = frame.expires_in_seconds or rules.invitation_default_expiry_seconds
    redemptions = frame.redemptions or rules.invitation_default_redemptions
    if seconds > rules.invitation_max_expiry_seconds or redemptions > rules.invitation_max_redemptions:
        return refuse(connection.connection_id, INVITATION_LIMIT, frame.ref)
    own = [i for i in house.invitations.values() if i.invited_by == connection.party]
    if len(own) >= MAX_OPEN_INVITATIONS:
        return refuse(connection.connection_id, INVITATION_LIMIT, frame.ref)
    invitation_id = f"i-{house.ids()}"
    name = Personal(frame.guest_name)
    email = Personal(frame.guest_email) if frame.guest_email is not None else None
    to_be = Guest(PartyId(invitation_id), name, invitation_id, connection.party, email=email)
    decision = house.gate.ask(Action.GUEST_INVITE, connection.subject, Subject(to_be, None), now)
    if not decision.allowed:
        return deny(connection, decision, ref=frame.ref)
    expires_at = now.wall_seconds + seconds
    invitation = Invitation(invitation_id, connection.party, name, email, expires_at, redemptions)
    record = draft(
        "invitation.created",
        connection.connection_id,
        basis=(decision,),
        personal=named("host", connection.principal, connection.source) | named("guest", to_be),
        invitation=invitation_id,
        host=connection.party,
        expires_at=invitation.expires_at_unix_seconds,
        redemptions=redemptions,
    )
    house.invitations[invitation_id] = invitation
    house.deadlines.add(now, seconds, "invitation.expiry", invitation_id)
    created = InvitationCreated(
        ref=frame.ref,
        invitation=info(invitation),
        link=house.invitation_link(invitation_id, invitation.expires_at_unix_seconds),
    )
    return [
        house.gate.opening(
            invitation_id,
            (decision,),
            (record,),
            (Show(connection.connection_id, created),),
            within=house.standing(connection),
            writes=(_row(invitation),),
            on_failure=unrecorded(connection.connection_id, frame.ref),
        )
    ]


def revoke(house: House, connection: Connection, frame: InvitationRevoke, now: Now) -> list[Command]:
    """Nobody enters by it any more, and whoever entered by it is shown out."""
    invitation = house.invitations.get(frame.invitation_id)
    if invitation is None or invitation.invited_by != connection.party:
        return refuse(connection.connection_id, UNKNOWN_INVITATION)
    del house.invitations[invitation.invitation_id]
    record = draft(
        "invitation.revoked",
        connection.connection_id,
        personal=named("host", connection.principal, connection.source),
        invitation=invitation.invitation_id,
        host=connection.party,
    )
    revoked = house.tell(connection.party, InvitationRevoked(invitation_id=invitation.invitation_id))
    commands: list[Command] = [
        Narrowing(
            (invitation.invitation_id,), revoked, (record,), (RevokeInvitation(invitation.invitation_id),)
        )
    ]
    guests = [v for v in house.visits.values() if v.guest.invitation_id == invitation.invitation_id]
    for guest_visit in guests:
        commands.extend(visit.end(house, guest_visit, "invitation_revoked", now))
    return commands


def redeem(house: House, event: RedeemRequested, now: Now) -> list[Command]:
    """An outsider asks to come in. Any reason why not looks the same from outside."""
    invitation = house.invitations.get(event.invitation_id)
    usable = (
        invitation is not None
        and invitation.redemptions_left > 0
        and now.wall_seconds < invitation.expires_at_unix_seconds
    )
    if invitation is None or not usable or event.inviter is None:
        counted = count_refusal(
            house, EntryRefused("invitation.refused", INVITATION_INVALID.code, event.prefix), now
        )
        return [*counted, Answer((reply(event.request_id, INVITATION_INVALID),))]
    guest = Guest(
        PartyId(f"g-{house.ids()}"),
        event.name,
        invitation.invitation_id,
        invitation.invited_by,
        email=invitation.guest_email,
    )
    subject = Subject(guest, event.source.reveal())
    host = places(house, event.inviter)
    decision = verdict(ask_everywhere(house, Action.EDGE_JOIN, [subject], host, now))
    if not decision.allowed:
        return reply_denied(event.request_id, decision, guest)
    record = draft(
        "visit.opened",
        guest.party,
        basis=(decision,),
        personal=named("guest", guest, event.source) | named("host", event.inviter),
        guest=guest.party,
        host=guest.invited_by,
        invitation=invitation.invitation_id,
        notice_acknowledged=True,
        notice_sha256=event.notice_sha256,
        verified_by=guest.verified_by,
    )
    invitation.redemptions_left -= 1
    expires_at = now.wall_seconds + house.rules.visit_seconds
    house.visits[guest.party] = Visit(
        guest, event.token_digest, False, expires_at, now.wall_seconds, (decision,)
    )
    house.deadlines.add(now, house.rules.visit_seconds, "visit.expiry", guest.party)
    row = SaveVisit(
        guest.party,
        guest.name,
        guest.email,
        guest.invitation_id,
        guest.invited_by,
        event.token_digest,
        False,
        expires_at,
    )
    return [
        house.gate.opening(
            guest.party,
            (decision,),
            (record,),
            (ReplyGranted(event.request_id),),
            within=(invitation.invitation_id,),
            writes=(row, _row(invitation)),
            on_failure=(reply(event.request_id, AUDIT_UNAVAILABLE),),
        )
    ]


def expired(house: House, deadline: Deadline, now: Now) -> list[Command]:
    """Forget an invitation whose time is up; guests who entered by it stay until their visit ends."""
    house.invitations.pop(deadline.key, None)
    return []


def info(invitation: Invitation) -> InvitationInfo:
    """The invitation as its host sees it."""
    return InvitationInfo(
        invitation_id=invitation.invitation_id,
        guest_name=invitation.guest_name.reveal(),
        guest_email=invitation.guest_email.reveal() if invitation.guest_email is not None else None,
        expires_at=invitation.expires_at_unix_seconds,
        redemptions_left=invitation.redemptions_left,
    )


def _row(invitation: Invitation) -> SaveInvitation:
    return SaveInvitation(
        invitation.invitation_id,
        invitation.invited_by,
        invitation.guest_name,
        invitation.guest_email,
        invitation.expires_at_unix_seconds,
        invitation.redemptions_left,
    )
