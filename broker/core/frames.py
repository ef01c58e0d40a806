"""Frames: the messages on the WebSocket, subprotocol `turngate.v1`, one JSON object each with a `type`.

What a client may send is in `client_frames`. `EdgeFrame` is what the edge sends, in two families that the
type checker keeps apart: an `OpeningFrame` opens or reveals something and leaves the edge only after its
record is durable; a `PlainFrame` opens nothing. JSON Schema and the browser's typedefs are generated from
these models.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from broker.core.frame_fields import (
    EndReason,
    Id,
    Kind,
    Media,
    ShareEndReason,
    ShownStatus,
)


class Frame(BaseModel):
    """Common shape: unknown members are refused, values are never coerced."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


# --- what the edge sends: opening frames --------------------------------------------------------------------


class OpeningFrame(Frame):
    """Opens or reveals something: leaves the edge only after its record is durable."""


class Contact(Frame):
    """A guest's `name` is what they call themselves; their host is told too as whom they were invited."""

    party: Id
    name: str
    kind: Kind
    status: ShownStatus
    invited_as: str | None = None


class InvitationInfo(Frame):
    """`guests` is how many came by it and have not left; those of earlier links are counted too."""

    invitation_id: Id
    guest_name: str
    guest_email: str | None = None
    purpose: str
    expires_at: int
    """Unix seconds."""
    redemptions: int
    """By the link there is now."""
    redemptions_left: int
    guests: int


class WaitingGuest(Frame):
    """`guest_email` and `purpose` are the host's own words of the invitation."""

    guest: Contact
    invitation_id: Id
    guest_email: str | None = None
    purpose: str | None = None


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
    """The invitation is made, or issued again. `link` is shown once and stored nowhere: its secret sits in
    the URL fragment."""

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
    return_after_seconds: int | None = None
    """Where trying again makes sense only after so long; everybody is told another time."""


class ClientRefused(PlainFrame):
    """The program or its version may not be used here; `link` is where one is that may. The connection is
    closed after it."""

    type: Literal["client.refused"] = "client.refused"
    message: str
    link: str


class ClientOutdated(PlainFrame):
    """After the welcome: the program may be used for now; `link` is where a better one is."""

    type: Literal["client.outdated"] = "client.outdated"
    message: str
    link: str


class PresenceStatus(PlainFrame):
    """A contact that is already shown has another status; offline when their last connection closed."""

    type: Literal["presence.status"] = "presence.status"
    party: Id
    status: ShownStatus


class ContactGone(PlainFrame):
    """This contact can no longer be seen."""

    type: Literal["contact.gone"] = "contact.gone"
    party: Id


class InvitationChanged(PlainFrame):
    """To every other connection of its host when it was made or issued again, and to all of them when
    somebody comes or leaves by it, or its time is up."""

    type: Literal["invitation.changed"] = "invitation.changed"
    invitation: InvitationInfo


class InvitationGone(PlainFrame):
    """It was revoked, or its time is up and nobody is in by it."""

    type: Literal["invitation.gone"] = "invitation.gone"
    invitation_id: Id


class SignInInfo(Frame):
    """One of the person's own sign-ins. Times are Unix seconds."""

    sign_in_id: Id
    network: str
    """Where it came from: the /24 or /48 of its address."""
    program: str
    """What the last program to use it said of itself; empty where none has."""
    began_at: int
    used_at: int
    """When it was last in use, within a quarter of the time after which an unused one ends."""
    expires_at: int
    in_use: bool
    this_one: bool
    """The one that this connection was made with."""


class SignIns(PlainFrame):
    """All of the person's, those in use first, then the latest used."""

    type: Literal["sign_ins"] = "sign_ins"
    ref: Id
    sign_ins: list[SignInInfo]


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


class MediaLimit(PlainFrame):
    """What the receiver of this may send of each medium in the call from now on; None for no limit."""

    type: Literal["media.limit"] = "media.limit"
    call_id: Id
    audio_bits_per_second: int | None = None
    video_bits_per_second: int | None = None
    screen_bits_per_second: int | None = None


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
_Told = Error | PresenceStatus | ContactGone | InvitationChanged | InvitationGone | LobbyLeft | LobbyRefused
_CallTold = CallEnded | MediaLimit | CallShareEnded | ForwardedOffer | ForwardedAnswer | ForwardedCandidate
_ClientTold = ClientRefused | ClientOutdated | SignIns
EdgeFrame = _Welcome | _Shown | _CallShown | _Told | _CallTold | _ClientTold
