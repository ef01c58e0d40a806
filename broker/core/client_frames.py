"""What a client may send: `ClientFrame`. Everything else an edge receives is BAD_FRAME."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from broker.core.frame_fields import Email, Id, Media, Name, Purpose, Sdp, Status
from broker.core.frames import Frame


class ClientProgram(Frame):
    name: Annotated[str, Field(min_length=1, max_length=64)]
    version: Annotated[str, Field(min_length=1, max_length=32)]


class Hello(Frame):
    """The first frame of every connection."""

    type: Literal["hello"] = "hello"
    client: ClientProgram


class PresenceSet(Frame):
    type: Literal["presence.set"] = "presence.set"
    status: Status


class ChatSend(Frame):
    """`ref` comes back in `chat.accepted` or `error`. The same `ref` again is answered with the same message
    id."""

    type: Literal["chat.send"] = "chat.send"
    ref: Id
    to: Id
    text: Annotated[str, Field(min_length=1, max_length=16000, pattern=r"^[^\x00]+$")]


class ChatReceived(Frame):
    """The client has the message; it need not be delivered to this person again."""

    type: Literal["chat.received"] = "chat.received"
    message_id: Id


class InvitationCreate(Frame):
    """Whom, and what for. `guest_email` says of which organisation the guest is; policy may ask for it."""

    type: Literal["invitation.create"] = "invitation.create"
    ref: Id
    guest_name: Name
    guest_email: Email | None = None
    purpose: Purpose
    expires_in_seconds: Annotated[int, Field(ge=60)] | None = None
    redemptions: Annotated[int, Field(ge=1)] | None = None


class InvitationReissue(Frame):
    """Another link on the terms of the first, which is worth nothing from then on. Guests who are in stay."""

    type: Literal["invitation.reissue"] = "invitation.reissue"
    ref: Id
    invitation_id: Id


class InvitationRevoke(Frame):
    """Nobody comes in by it any more, and whoever is in by it is shown out."""

    type: Literal["invitation.revoke"] = "invitation.revoke"
    invitation_id: Id


class SignInsList(Frame):
    """Where the person of this connection is signed in; answered by `sign_ins`, as are the next two."""

    type: Literal["sign_ins.list"] = "sign_ins.list"
    ref: Id


class SignInRevoke(Frame):
    """Ends one of the person's own sign-ins and the connections made with it."""

    type: Literal["sign_in.revoke"] = "sign_in.revoke"
    ref: Id
    sign_in_id: Id


class SignInRevokeOthers(Frame):
    """Ends all of them but the one that this connection was made with."""

    type: Literal["sign_in.revoke_others"] = "sign_in.revoke_others"
    ref: Id


class LobbyAdmit(Frame):
    type: Literal["lobby.admit"] = "lobby.admit"
    guest: Id


class LobbyAdmitAll(Frame):
    """Those of these guests who still wait, each decided about for themselves. Named, so that nobody is let
    in whom the host has not seen."""

    type: Literal["lobby.admit_all"] = "lobby.admit_all"
    guests: Annotated[list[Id], Field(min_length=1, max_length=64)]


class LobbyRefuse(Frame):
    """Refuses a waiting guest, or shows an admitted one out."""

    type: Literal["lobby.refuse"] = "lobby.refuse"
    guest: Id


class CallInvite(Frame):
    type: Literal["call.invite"] = "call.invite"
    ref: Id
    to: Id
    media: Media


class CallAccept(Frame):
    type: Literal["call.accept"] = "call.accept"
    call_id: Id


class CallDecline(Frame):
    type: Literal["call.decline"] = "call.decline"
    call_id: Id


class CallCancel(Frame):
    """The caller gives up while it rings."""

    type: Literal["call.cancel"] = "call.cancel"
    call_id: Id


class CallHangUp(Frame):
    type: Literal["call.hang_up"] = "call.hang_up"
    call_id: Id


class CallShare(Frame):
    """This party wants to show its screen in this call; it offers the further video once `call.sharing` says
    so."""

    type: Literal["call.share"] = "call.share"
    call_id: Id


class CallUnshare(Frame):
    type: Literal["call.unshare"] = "call.unshare"
    call_id: Id


class CallOffer(Frame):
    """Both ways: the edge forwards it rebuilt from the allow-list. The caller offers first, after
    `call.accepted`."""

    type: Literal["call.offer"] = "call.offer"
    call_id: Id
    sdp: Sdp


class CallAnswer(Frame):
    type: Literal["call.answer"] = "call.answer"
    call_id: Id
    sdp: Sdp


class CallCandidate(Frame):
    """A trickled candidate (without the `a=` prefix); "" marks the end of candidates. Both ways."""

    type: Literal["call.candidate"] = "call.candidate"
    call_id: Id
    candidate: Annotated[str, Field(max_length=512)]
    mid: Annotated[str, Field(max_length=16, pattern=r"^[A-Za-z0-9]*$")]


_CallFrame = CallInvite | CallAccept | CallDecline | CallCancel | CallHangUp | CallShare | CallUnshare
_CallSignal = CallOffer | CallAnswer | CallCandidate
_InvitationFrame = InvitationCreate | InvitationReissue | InvitationRevoke
_GuestFrame = _InvitationFrame | LobbyAdmit | LobbyAdmitAll | LobbyRefuse
_SignInFrame = SignInsList | SignInRevoke | SignInRevokeOthers
_Said = Hello | PresenceSet | ChatSend | ChatReceived
ClientFrame = _Said | _SignInFrame | _GuestFrame | _CallFrame | _CallSignal

NARROWING_FRAMES = (
    *(CallHangUp, CallDecline, CallCancel, CallUnshare),
    *(InvitationRevoke, LobbyRefuse, SignInRevoke, SignInRevokeOthers),
)
"""Only ever close something: taken also while the edge is too busy for anything else."""
