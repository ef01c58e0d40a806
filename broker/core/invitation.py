"""Invitation: an insider asks an outsider in, by name and for a purpose. Signed, expiring, redeemable a few
times, issued again with another link, revocable at once."""

from __future__ import annotations

from dataclasses import replace

from auth.email_address import EmailAddressError, email_address
from auth.personal import Personal
from auth.principal import Guest, PartyId
from auth.shown_text import ShownTextError, shown_text
from broker.core import visit
from broker.core.answers import deny, refuse, reply, reply_denied, unrecorded
from broker.core.client_frames import InvitationCreate, InvitationReissue, InvitationRevoke
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
from broker.core.errors import (
    AUDIT_UNAVAILABLE,
    EMAIL_INVALID,
    INVITATION_INVALID,
    INVITATION_LIMIT,
    TEXT_INVALID,
    UNKNOWN_INVITATION,
)
from broker.core.events import EntryRefused, RedeemRequested
from broker.core.frames import InvitationCreated, InvitationGone
from broker.core.house import Connection, House, Visit
from broker.core.invitation_list import changed, expiry_key, guest_left, info, watch_expiry
from broker.core.outage import count_refusal
from broker.core.reach import ask_everywhere, places, verdict
from broker.core.recording import draft, named
from broker.core.stored import Invitation
from broker.policy.question import Subject
from config.policy.action import Action

MAX_OPEN_INVITATIONS = 100
"""Of one person, so that the welcome which lists them stays small."""


def create(house: House, connection: Connection, frame: InvitationCreate, now: Now) -> list[Command]:
    """Decide, record, then show the link once."""
    try:
        name, purpose = Personal(shown_text(frame.guest_name)), Personal(shown_text(frame.purpose))
        email = None if frame.guest_email is None else Personal(email_address(frame.guest_email))
    except ShownTextError:
        return refuse(connection.connection_id, TEXT_INVALID, frame.ref)
    except EmailAddressError:
        return refuse(connection.connection_id, EMAIL_INVALID, frame.ref)
    own = [i for i in house.invitations.values() if i.invited_by == connection.party]
    if len(own) >= MAX_OPEN_INVITATIONS:
        return refuse(connection.connection_id, INVITATION_LIMIT, frame.ref)
    seconds = frame.expires_in_seconds or house.rules.invitation_default_expiry_seconds
    redemptions = frame.redemptions or house.rules.invitation_default_redemptions
    invitation = Invitation(
        f"i-{house.ids()}",
        connection.party,
        name,
        email,
        purpose,
        lifetime_seconds=seconds,
        redemptions=redemptions,
        issue=1,
        expires_at_unix_seconds=now.wall_seconds + seconds,
        redemptions_left=redemptions,
    )
    return _issue(house, connection, invitation, "invitation.created", frame.ref, now)


def reissue(house: House, connection: Connection, frame: InvitationReissue, now: Now) -> list[Command]:
    """The same invitation by another link, for as long and as often as at first. The old link is worth
    nothing from now on; whoever is in by it stays."""
    old = house.invitations.get(frame.invitation_id)
    if old is None or old.invited_by != connection.party:
        return refuse(connection.connection_id, UNKNOWN_INVITATION, frame.ref)
    again = replace(
        old,
        issue=old.issue + 1,
        expires_at_unix_seconds=now.wall_seconds + old.lifetime_seconds,
        redemptions_left=old.redemptions,
    )
    return _issue(house, connection, again, "invitation.reissued", frame.ref, now)


def _issue(
    house: House, connection: Connection, invitation: Invitation, record_type: str, ref: str, now: Now
) -> list[Command]:
    rules, invitation_id = house.rules, invitation.invitation_id
    too_long = invitation.lifetime_seconds > rules.invitation_max_expiry_seconds
    if too_long or invitation.redemptions > rules.invitation_max_redemptions:
        return refuse(connection.connection_id, INVITATION_LIMIT, ref)
    name, email, host = invitation.guest_name, invitation.guest_email, connection.party
    to_be = Guest(PartyId(invitation_id), name, invitation_id, host, email=email)
    decision = house.gate.ask(Action.GUEST_INVITE, connection.subject, Subject(to_be, None), now)
    if not decision.allowed:
        return deny(connection, decision, ref=ref)
    record = draft(
        record_type,
        connection.connection_id,
        basis=(decision,),
        personal=named("host", connection.principal, connection.source)
        | named("invited", to_be)
        | {"invited.purpose": invitation.purpose},
        invitation=invitation_id,
        host=host,
        expires_at=invitation.expires_at_unix_seconds,
        redemptions=invitation.redemptions,
    )
    house.invitations[invitation_id] = invitation
    watch_expiry(house, invitation, now)
    link = house.invitation_link(invitation_id, invitation.issue, invitation.expires_at_unix_seconds)
    created = InvitationCreated(ref=ref, invitation=info(house, invitation), link=link)
    others = [tell for tell in changed(house, invitation) if tell.connection_id != connection.connection_id]
    return [
        house.gate.opening(
            invitation_id,
            (decision,),
            (record,),
            (Show(connection.connection_id, created),),
            within=house.standing(connection),
            writes=(SaveInvitation(invitation),),
            on_failure=unrecorded(connection.connection_id, ref),
            then=tuple(others),
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
    gone = house.tell(connection.party, InvitationGone(invitation_id=invitation.invitation_id))
    commands: list[Command] = [
        Narrowing((invitation.invitation_id,), gone, (record,), (RevokeInvitation(invitation.invitation_id),))
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
        and invitation.issue == event.issue
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
        personal=named("guest", guest, event.source)
        | named("host", event.inviter)
        | {"invited.name": invitation.guest_name, "invited.purpose": invitation.purpose},
        guest=guest.party,
        host=guest.invited_by,
        invitation=invitation.invitation_id,
        notice_acknowledged=True,
        notice_sha256=event.notice_sha256,
        verified_by=guest.verified_by,
    )
    used = replace(invitation, redemptions_left=invitation.redemptions_left - 1)
    house.invitations[invitation.invitation_id] = used
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
            writes=(row, SaveInvitation(used)),
            on_failure=(reply(event.request_id, AUDIT_UNAVAILABLE),),
            then=changed(house, used),
        )
    ]


def expired(house: House, deadline: Deadline, now: Now) -> list[Command]:
    """Its time is up. Guests who entered by it stay until their visit ends, and so long it is on the list."""
    invitation = house.invitations.get(deadline.key.rpartition(".")[0])
    if invitation is None or expiry_key(invitation) != deadline.key:
        return []
    at = min(invitation.expires_at_unix_seconds, now.wall_seconds)
    house.invitations[invitation.invitation_id] = replace(
        invitation, redemptions_left=0, expires_at_unix_seconds=at
    )
    told = guest_left(house, invitation.invitation_id, now)
    return [Answer(told)] if told else []
