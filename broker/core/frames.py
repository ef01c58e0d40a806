"""Frames: the messages on the WebSocket, subprotocol `turngate.v1`, one JSON object each with a `type`.

`ClientFrame` is what a client may send; everything else an edge receives is BAD_FRAME. `EdgeFrame` is what
the edge sends, in two families that the type checker keeps apart: an `OpeningFrame` opens or reveals
something and leaves the edge only after its record is durable; a `PlainFrame` opens nothing. JSON Schema and
the browser's typedefs are generated from these models.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from broker.core.frame_fields import (
    Email,
    EndReason,
    Id,
    Kind,
    Media,
    Name,
    Sdp,
    ShareEndReason,
    ShownStatus,
    Status,
)


class Frame(BaseModel):
    """Common shape: unknown members are refused, values are never coerced."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


# --- what a client may send ---------------------------------------------------------------------------------


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
    """`guest_email` says of which organisation the guest is; policy may ask for it."""

    type: Literal["invitation.create"] = "invitation.create"
    ref: Id
    guest_name: Name
    guest_email: Email | None = None
    expires_in_seconds: Annotated[int, Field(ge=60)] | None = None
    redemptions: Annotated[int, Field(ge=1)] | None = None


class InvitationRevoke(Frame):
    type: Literal["invitation.revoke"] = "invitation.revoke"
    invitation_id: Id


class LobbyAdmit(Frame):
    type: Literal["lobby.admit"] = "lobby.admit"
    guest: Id


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
_GuestFrame = InvitationCreate | InvitationRevoke | LobbyAdmit | LobbyRefuse
ClientFrame = Hello | PresenceSet | ChatSend | ChatReceived | _GuestFrame | _CallFrame | _CallSignal

NARROWING_FRAMES = (CallHangUp, CallDecline, CallCancel, CallUnshare, InvitationRevoke, LobbyRefuse)
"""Only ever close something: taken also while the edge is too busy for anything else."""

# --- what the edge sends: opening frames --------------------------------------------------------------------


class OpeningFrame(Frame):
    """Opens or reveals something: leaves the edge only after its record is durable."""


class Contact(Frame):
    party: Id
    name: str
    kind: Kind
    status: ShownStatus


class InvitationInfo(Frame):
    invitation_id: Id
    guest_name: str
    guest_email: str | None = None
    expires_at: int
    """Unix seconds."""
    redemptions_left: int


class WaitingGuest(Frame):
    guest: Contact
    invitation_id: Id


class IceServer(Frame):
    """The caller's or callee's own credential for this call's relay; the only ICE server there is."""

    urls: list[str]
    username: str
    credential: str


class InsiderWelcome(OpeningFrame):
    type: Literal["welcome"] = "welcome"
    you: Contact
    contacts: list[Contact]
    invitations: list[InvitationInfo]
    lobby: list[WaitingGuest]


class GuestWelcome(OpeningFrame):
    """A guest starts in the lobby; `host` is there once admitted (also after a reconnect)."""

    type: Literal["guest.welcome"] = "guest.welcome"
    you: Contact
    notice: str
    host: Contact | None = None


class PresenceChanged(OpeningFrame):
    """A contact is new, or came back."""

    type: Literal["presence.changed"] = "presence.changed"
    contact: Contact


class ChatAccepted(OpeningFrame):
    """The message is durable and will be delivered if policy still allows it then."""

    type: Literal["chat.accepted"] = "chat.accepted"
    ref: Id
    message_id: Id
    sent_at_ms: int


class ChatMessage(OpeningFrame):
    """May arrive more than once with the same `message_id`; answer each with `chat.received`."""

    type: Literal["chat.message"] = "chat.message"
    message_id: Id
    sender: Contact
    text: str
    sent_at_ms: int


class InvitationCreated(OpeningFrame):
    """`link` is shown once and stored nowhere: its secret sits in the URL fragment."""

    type: Literal["invitation.created"] = "invitation.created"
    ref: Id
    invitation: InvitationInfo
    link: str


class LobbyWaiting(OpeningFrame):
    type: Literal["lobby.waiting"] = "lobby.waiting"
    waiting: WaitingGuest


class LobbyAdmitted(OpeningFrame):
    """To the guest: the host has let them in."""

    type: Literal["lobby.admitted"] = "lobby.admitted"
    host: Contact


class CallCreated(OpeningFrame):
    """To the caller: it is ringing."""

    type: Literal["call.created"] = "call.created"
    ref: Id
    call_id: Id
    to: Contact
    media: Media
    ice_server: IceServer


class CallRing(OpeningFrame):
    """To every connection of the callee."""

    type: Literal["call.ring"] = "call.ring"
    call_id: Id
    caller: Contact
    media: Media


class CallAccepted(OpeningFrame):
    """To the caller (who now offers) and to the accepting connection (which now has its ICE server)."""

    type: Literal["call.accepted"] = "call.accepted"
    call_id: Id
    role: Literal["caller", "callee"]
    ice_server: IceServer


class CallSharing(OpeningFrame):
    """To both connections of the call: this party shows its screen now. What it shows is not inspected."""

    type: Literal["call.sharing"] = "call.sharing"
    call_id: Id
    party: Id


# --- what the edge sends: plain frames ----------------------------------------------------------------------


class PlainFrame(Frame):
    """Opens nothing: an answer, a signal inside a grant, or the end of something."""


class Error(PlainFrame):
    type: Literal["error"] = "error"
    code: str
    message: str
    retryable: bool
    decision_id: str | None = None
    ref: str | None = None
    call_id: str | None = None


class PresenceStatus(PlainFrame):
    """A contact that is already shown has another status; offline when their last connection closed."""

    type: Literal["presence.status"] = "presence.status"
    party: Id
    status: ShownStatus


class ContactGone(PlainFrame):
    """This contact can no longer be seen."""

    type: Literal["contact.gone"] = "contact.gone"
    party: Id


class InvitationRevoked(PlainFrame):
    type: Literal["invitation.revoked"] = "invitation.revoked"
    invitation_id: Id


class LobbyLeft(PlainFrame):
    """To the host: this guest no longer waits (left, refused, expired or admitted elsewhere)."""

    type: Literal["lobby.left"] = "lobby.left"
    guest: Id


class LobbyRefused(PlainFrame):
    """To the guest: not let in, or shown out. The connection is closed after it."""

    type: Literal["lobby.refused"] = "lobby.refused"


class CallEnded(PlainFrame):
    """`ref` is the caller's own, so that a call ended before `call.created` left can be told apart. Where
    policy ended it, `code` and `message` say why and the decision can be asked for by its id."""

    type: Literal["call.ended"] = "call.ended"
    call_id: Id
    reason: EndReason
    ref: str | None = None
    code: str | None = None
    message: str | None = None
    decision_id: str | None = None


class CallShareEnded(PlainFrame):
    """To both: this party's screen is not shown any more. When the call ends, `call.ended` alone says it."""

    type: Literal["call.share_ended"] = "call.share_ended"
    call_id: Id
    party: Id
    reason: ShareEndReason


class ForwardedOffer(PlainFrame):
    type: Literal["call.offer"] = "call.offer"
    call_id: Id
    sdp: str


class ForwardedAnswer(PlainFrame):
    type: Literal["call.answer"] = "call.answer"
    call_id: Id
    sdp: str


class ForwardedCandidate(PlainFrame):
    type: Literal["call.candidate"] = "call.candidate"
    call_id: Id
    candidate: str
    mid: str


_Welcome = InsiderWelcome | GuestWelcome
_Shown = PresenceChanged | ChatAccepted | ChatMessage | InvitationCreated | LobbyWaiting | LobbyAdmitted
_CallShown = CallCreated | CallRing | CallAccepted | CallSharing
_Told = Error | PresenceStatus | ContactGone | InvitationRevoked | LobbyLeft | LobbyRefused
_CallTold = CallEnded | CallShareEnded | ForwardedOffer | ForwardedAnswer | ForwardedCandidate
EdgeFrame = _Welcome | _Shown | _CallShown | _Told | _CallTold
