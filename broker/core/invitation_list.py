"""Invitation list: what a host is told of their invitations, and when one of them is forgotten.

An invitation stays as long as it can be used or somebody is in by it: whoever looks at a guest can be told
whom the host had asked in.
"""

from __future__ import annotations

from dataclasses import replace

from broker.core.clock import Now
from broker.core.commands import Tell
from broker.core.frames import InvitationChanged, InvitationGone, InvitationInfo
from broker.core.house import House
from broker.core.stored import Invitation


def info(house: House, invitation: Invitation) -> InvitationInfo:
    """The invitation as its host sees it."""
    email = invitation.guest_email
    return InvitationInfo(
        invitation_id=invitation.invitation_id,
        guest_name=invitation.guest_name.reveal(),
        guest_email=email.reveal() if email is not None else None,
        purpose=invitation.purpose.reveal(),
        expires_at=invitation.expires_at_unix_seconds,
        redemptions=invitation.redemptions,
        redemptions_left=invitation.redemptions_left,
        guests=_guests_in(house, invitation.invitation_id),
    )


def changed(house: House, invitation: Invitation) -> tuple[Tell, ...]:
    """Its host is told how it stands."""
    return house.tell(invitation.invited_by, InvitationChanged(invitation=info(house, invitation)))


def guest_left(house: House, invitation_id: str, now: Now) -> tuple[Tell, ...]:
    """Somebody is in by it no more, or its time is up: it is forgotten when both are so of everybody."""
    invitation = house.invitations.get(invitation_id)
    if invitation is None:
        return ()
    if now.wall_seconds < invitation.expires_at_unix_seconds or _guests_in(house, invitation_id):
        return changed(house, invitation)
    del house.invitations[invitation_id]
    return house.tell(invitation.invited_by, InvitationGone(invitation_id=invitation_id))


def give_back(house: House, invitation: Invitation) -> None:
    """A redemption could not be recorded."""
    left = min(invitation.redemptions, invitation.redemptions_left + 1)
    house.invitations[invitation.invitation_id] = replace(invitation, redemptions_left=left)


def take_back(house: House, invitation: Invitation) -> tuple[Tell, ...]:
    """An issue could not be recorded, and nobody was shown its link. The first was never made. A later one
    leaves the invitation without a good link until the next: only the store knows which was before it."""
    if invitation.issue == 1:
        del house.invitations[invitation.invitation_id]
        return ()
    closed = house.invitations[invitation.invitation_id] = replace(invitation, redemptions_left=0)
    return changed(house, closed)


def watch_expiry(house: House, invitation: Invitation, now: Now) -> None:
    """This issue of it ends by itself."""
    left = invitation.expires_at_unix_seconds - now.wall_seconds
    house.deadlines.add(now, left, "invitation.expiry", expiry_key(invitation))


def expiry_key(invitation: Invitation) -> str:
    """Of the deadline of this issue."""
    return f"{invitation.invitation_id}.{invitation.issue}"


def _guests_in(house: House, invitation_id: str) -> int:
    """How many came by it and have not left, waiting ones included."""
    return sum(visit.guest.invitation_id == invitation_id for visit in house.visits.values())
