"""Router: the table from an event, a frame or a deadline to the function in its noun's file. No logic of its
own."""

from __future__ import annotations

from typing import assert_never

from auth.principal import Guest, Insider, PartyId
from broker.core import admin_events as ae
from broker.core import (
    administration,
    alarms,
    calling,
    chat,
    connection,
    emergency,
    invitation,
    media,
    negotiation,
    outage,
    people,
    presence,
    review,
    run,
    security_key,
    sharing,
    signing_in,
    stop,
    visit,
)
from broker.core import client_frames as cf
from broker.core import events as e
from broker.core.clock import Deadline, Now
from broker.core.commands import Command
from broker.core.house import House


def handle(house: House, event: e.Event, now: Now) -> list[Command]:
    """What the core commands in answer to one event. Never waits, never raises for what anyone sent."""
    if house.stopping and isinstance(event, run.Arrival):
        return run.turn_away(event)
    match event:
        case e.FrameReceived():
            return _frame(house, event, now)
        case e.Ticked():
            deadline = house.deadlines.next_due(now)
            return _due(house, deadline, now) if deadline is not None else []
        case e.SignInProved():
            return signing_in.sign_in(house, event, now)
        case e.PasswordRefused():
            return signing_in.password_refused(house, event, now)
        case e.EntryRefused():
            return outage.count_refusal(house, event, now)
        case e.RedeemRequested():
            return invitation.redeem(house, event, now)
        case e.SignOutRequested():
            return signing_in.sign_out(house, event, now)
        case e.Connected():
            return connection.connected(house, event, now)
        case e.Disconnected():
            return connection.disconnected(house, event, now)
        case ae.AdminSignInProved():
            return administration.sign_in(house, event, now)
        case ae.AdminSignOutRequested():
            return administration.sign_out(house, event, now)
        case ae.AdminViewRequested():
            return administration.view(house, event, now)
        case ae.SessionEndRequested():
            return administration.end_session(house, event, now)
        case ae.SecurityKeyMade():
            return security_key.made(house, event, now)
        case ae.SecurityKeyRemovalRequested():
            return security_key.removal_requested(house, event, now)
        case e.EmergencyRequested():
            return emergency.requested(house, event, now)
        case e.LatchFound():
            return emergency.latch_found(house, event, now)
        case e.LatchMissing():
            return emergency.latch_missing(house, event, now)
        case e.DrillFound():
            return emergency.drill_found(house, event, now)
        case e.StopLifted():
            return emergency.stop_lifted(house, event, now)
        case e.MessageHeldBack():
            return chat.held_back(house, event, now)
        case e.UndeliveredRead():
            return chat.deliver_undelivered(house, event, now)
        case e.Started():
            return run.started(house, event, now)
        case e.PolicyApplied():
            return review.policy_applied(house, event, now)
        case e.PolicyRefused():
            return review.policy_refused(house, event, now)
        case e.PeopleRead():
            return people.people_read(house, event, now)
        case e.DirectorySilent():
            return people.directory_silent(house, event, now)
        case e.Stopping():
            return run.stopping(house, event, now)
        case e.MediaAllocated():
            return media.allocated(house, event, now)
        case e.MediaReleased():
            return media.released(house, event, now)
        case e.MediaWithdrawn():
            return media.withdrawn(house, event, now)
        case e.MediaCounted():
            return media.counted(house, event, now)
        case e.CertificateSeen():
            return alarms.certificate_seen(house, event, now)
        case e.CommitFailed():
            return outage.commit_failed(house, event, now)
        case e.RecordResumed():
            return outage.record_resumed(house, event, now)
        case _:
            assert_never(event)


def _frame(house: House, event: e.FrameReceived, now: Now) -> list[Command]:
    sender = house.connections.get(event.connection_id)
    if sender is None or sender.closing:
        return []
    frame = event.frame
    if isinstance(frame, cf.Hello):
        return connection.hello(house, sender, event, frame, now)
    if sender.program is None:
        return connection.not_hello(house, sender)
    match frame:
        case cf.PresenceSet():
            return presence.set_status(house, sender, frame, now)
        case cf.ChatSend():
            return chat.send(house, sender, frame, _counterpart(house, event, frame.to), now)
        case cf.ChatReceived():
            return chat.received(house, sender, frame, now)
        case cf.InvitationCreate():
            return invitation.create(house, sender, frame, now)
        case cf.InvitationReissue():
            return invitation.reissue(house, sender, frame, now)
        case cf.InvitationRevoke():
            return invitation.revoke(house, sender, frame, now)
        case cf.LobbyAdmit():
            return visit.admit(house, sender, frame, now)
        case cf.LobbyAdmitAll():
            return visit.admit_all(house, sender, frame, now)
        case cf.LobbyRefuse():
            return visit.refuse_guest(house, sender, frame, now)
        case cf.SignInsList():
            return signing_in.show(house, sender, frame, now)
        case cf.SignInRevoke():
            return signing_in.revoke(house, sender, frame, now)
        case cf.SignInRevokeOthers():
            return signing_in.revoke_others(house, sender, frame, now)
        case cf.CallInvite():
            return calling.invite(house, sender, frame, _counterpart(house, event, frame.to), now)
        case cf.CallAccept():
            return calling.accept(house, sender, frame, now)
        case cf.CallDecline():
            return calling.decline(house, sender, frame, now)
        case cf.CallCancel():
            return calling.cancel(house, sender, frame, now)
        case cf.CallHangUp():
            return calling.hang_up(house, sender, frame, now)
        case cf.CallShare():
            return sharing.share(house, sender, frame, now)
        case cf.CallUnshare():
            return sharing.unshare(house, sender, frame, now)
        case cf.CallOffer():
            return negotiation.offer(house, sender, frame, now)
        case cf.CallAnswer():
            return negotiation.answer(house, sender, frame, now)
        case cf.CallCandidate():
            return negotiation.candidate(house, sender, frame, now)
        case _:
            assert_never(frame)


def _counterpart(house: House, event: e.FrameReceived, to: str) -> Insider | Guest | None:
    """The named party: an insider as the directory knows them now, or a guest of this house."""
    visit_of_guest = house.visits.get(PartyId(to))
    return visit_of_guest.guest if visit_of_guest is not None else event.counterpart


def _due(house: House, deadline: Deadline, now: Now) -> list[Command]:
    match deadline.noun:
        case "connection.hello":
            return connection.hello_timed_out(house, deadline, now)
        case "sign_in.check":
            return signing_in.check(house, deadline, now)
        case "admin.expiry":
            return administration.expired(house, deadline, now)
        case "call.ring":
            return calling.ring_timed_out(house, deadline, now)
        case "call.limit":
            return calling.limit_reached(house, deadline, now)
        case "review.clock":
            return review.clock(house, deadline, now)
        case "review.slice":
            return review.next_slice(house, deadline, now)
        case "call.share":
            return sharing.limit_reached(house, deadline, now)
        case "stop.slice":
            return stop.end_next(house, deadline, now)
        case "emergency.lift":
            return emergency.lift_expired(house, deadline, now)
        case "invitation.expiry":
            return invitation.expired(house, deadline, now)
        case "visit.expiry":
            return visit.expired(house, deadline, now)
        case "directory.grace":
            return people.grace_over(house, deadline, now)
        case "directory.slice":
            return people.next_silenced(house, deadline, now)
        case "outage.grace":
            return outage.grace_over(house, deadline, now)
        case "refusals.flush":
            return outage.flush_refusals(house, deadline, now)
        case noun:
            raise AssertionError(f"no handler for the deadline {noun}")
