"""Events: everything that can happen to the core, as plain data.

A flow that needs the world (a password check, a stored row) is a shell coroutine that gathers the facts first
and then submits one event carrying them; the core never waits in the middle of a decision.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from auth.personal import Personal
from auth.principal import Guest, Insider, PartyId
from auth.throttle import SignInFailure
from broker.core.admin_events import AdminEvent
from broker.core.client_frames import ClientFrame
from broker.core.commands import ConnectionId, RequestId
from broker.core.stored import Invitation, LostSession, SecurityKey, StoredMessage, StoredSignIn, StoredVisit
from broker.policy.index import PolicyIndex
from broker.policy.stop import Scope, Stop

# --- doors: HTTP requests and connections -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SignInProved:
    """The directory accepted a password. `token_digest` is of the token that waits with the request, `prefix`
    the network that `source` is in."""

    request_id: RequestId
    insider: Insider
    source: Personal
    token_digest: str
    prefix: Personal
    notice_sha256: str | None = None
    """Of the notice that they acknowledged, in hex; None where there was none."""


@dataclass(frozen=True, slots=True)
class PasswordRefused:
    """A password was wrong; whoever tried it hears so once the failure is durable."""

    request_id: RequestId
    failure: SignInFailure


@dataclass(frozen=True, slots=True)
class EntryRefused:
    """Somebody without a session was refused at a door; counted per source prefix and minute, not kept one by
    one."""

    kind: str
    code: str
    prefix: Personal
    count: int = 1


@dataclass(frozen=True, slots=True)
class RedeemRequested:
    """An invitation whose signature and expiry hold, with the notice acknowledged."""

    request_id: RequestId
    invitation_id: str
    issue: int
    name: Personal
    """What the guest calls themselves."""
    source: Personal
    prefix: Personal
    token_digest: str
    inviter: Insider | None
    """The inviting insider as the directory knows them now; None when it no longer does."""
    notice_sha256: str | None = None
    """As above."""


@dataclass(frozen=True, slots=True)
class SignOutRequested:
    """Ends a sign-in (insider) or a visit (guest) by its token's digest."""

    token_digest: str


@dataclass(frozen=True, slots=True)
class Connected:
    """A WebSocket whose session is authenticated. `host` is a guest's inviter as the directory knows them
    now."""

    connection_id: ConnectionId
    principal: Insider | Guest
    source: Personal
    token_digest: str
    host: Insider | None = None


@dataclass(frozen=True, slots=True)
class Disconnected:
    """A WebSocket is gone, whoever closed it."""

    connection_id: ConnectionId
    reason: str
    bytes_in: int
    bytes_out: int
    frames_in: int
    frames_out: int


# --- emergency stops ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EmergencyRequested:
    """An administrator wants this scope stopped, a stop of it lifted (or approves that another does), or a
    stop of it rehearsed. `insider` is the person as the directory knows them now, None when it no longer
    does; for a stop, where the directory does not answer, as it last knew them."""

    request_id: RequestId
    token_digest: str
    insider: Insider | None
    source: Personal
    what: Literal["stop", "lift", "drill"]
    scope: Scope
    reason: Personal | None = None
    requester: Insider | None = None
    """For a lift that another has asked for: that person, as the directory knows them now."""


@dataclass(frozen=True, slots=True)
class LatchFound:
    """A file says stop. What else it says nobody vouches for."""

    scope: Scope
    told_by: Personal | None
    reason: Personal | None


@dataclass(frozen=True, slots=True)
class LatchMissing:
    """The file of a stop that is latched is gone."""

    scope: Scope


@dataclass(frozen=True, slots=True)
class DrillFound:
    """A file asks for a rehearsal."""

    scope: Scope


@dataclass(frozen=True, slots=True)
class StopLifted:
    """The files of a stop were to be removed, after a lift that is on record."""

    scope: Scope
    removed: bool


# --- frames -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FrameReceived:
    """`counterpart` is the principal named by the frame's `to`, gathered by the shell; None when there is no
    such party."""

    connection_id: ConnectionId
    frame: ClientFrame
    counterpart: Insider | Guest | None = None
    people: tuple[Insider, ...] = ()
    """For hello: the insiders the directory lists, candidates for the contact list."""


# --- stored facts -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MessageHeldBack:
    """A message is stored, and an emergency stop kept it from being let out."""

    message_id: str
    recipient: PartyId


@dataclass(frozen=True, slots=True)
class UndeliveredRead:
    connection_id: ConnectionId
    messages: tuple[StoredMessage, ...]
    more: bool = False
    """Whether others may wait behind these."""


@dataclass(frozen=True, slots=True)
class MediaCount:
    """What the relay forwarded for one session, from the first party's side and from the second's."""

    parties: tuple[PartyId, PartyId]
    packets: tuple[int, int]
    bytes: tuple[int, int]
    dropped: tuple[tuple[str, int], ...] = ()
    last_packet_ms: tuple[int | None, int | None] = (None, None)
    """When the last was forwarded (Unix milliseconds)."""


@dataclass(frozen=True, slots=True)
class Started:
    """The first event of every run: what the store still holds."""

    invitations: tuple[Invitation, ...]
    visits: tuple[StoredVisit, ...]
    lost: tuple[LostSession, ...]
    stops: tuple[Stop, ...] = ()
    """Emergency stops that the record knows of, and no lift of them."""
    latches: tuple[LatchFound, ...] = ()
    """Those that are latched on disk."""
    code_steps: tuple[tuple[PartyId, int], ...] = ()
    """Of each administrator, the step of the last one-time code that was taken."""
    sign_ins: tuple[StoredSignIn, ...] = ()
    """Those that were over when it was read, too: they end on record."""
    security_keys: tuple[SecurityKey, ...] = ()


@dataclass(frozen=True, slots=True)
class Stopping:
    """The last event of an orderly run."""


# --- policy and people --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PolicyApplied:
    """Another policy holds from now on. `by` is the administrator who applied it; None for whoever may write
    the file."""

    policy: PolicyIndex
    how: str
    """`file`, `console` or `rollback`."""
    by: Insider | None = None


@dataclass(frozen=True, slots=True)
class PolicyRefused:
    """The policy file changed and cannot be used: the old policy goes on."""

    sha256: str
    errors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PeopleRead:
    """What the directory says now of everybody who has something open."""

    asked: int
    """How many they are."""
    changed: tuple[Insider, ...] = ()
    """People about whom it says something else than before."""
    ended: tuple[tuple[PartyId, str], ...] = ()
    """People whose account it says is `disabled`, `expired` or `locked`."""
    vanished: tuple[PartyId, ...] = ()
    """People whom it does not know any more."""


@dataclass(frozen=True, slots=True)
class DirectorySilent:
    """The directory was asked about everybody who has something open and did not answer."""


# --- the relay ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MediaAllocated:
    session_id: str
    party: PartyId
    client_address: Personal
    relayed_address: tuple[str, int]
    transport: str
    """How the client reaches the relay: udp, tcp or tls."""


@dataclass(frozen=True, slots=True)
class MediaReleased:
    session_id: str
    party: PartyId
    relayed_address: tuple[str, int]
    reason: str


@dataclass(frozen=True, slots=True)
class MediaWithdrawn:
    """The rows are gone. `count` is None when the session never had any."""

    session_id: str
    count: MediaCount | None


@dataclass(frozen=True, slots=True)
class MediaCounted:
    """The running counters of a live session, for the record's checkpoints."""

    session_id: str
    count: MediaCount


# --- the record and the clock -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CertificateSeen:
    """The certificate that the listeners show."""

    ends_at_unix_seconds: int


@dataclass(frozen=True, slots=True)
class CommitFailed:
    """Records could not be written; these scopes never opened. `outage` says that the store itself failed,
    rather than one record."""

    scopes: tuple[str, ...]
    outage: bool


@dataclass(frozen=True, slots=True)
class RecordResumed:
    """The record can be written again; `missed` narrowing entries did not fit into the journal meanwhile."""

    missed: int


@dataclass(frozen=True, slots=True)
class Ticked:
    """A deadline may be due. The earliest one is handled; further ones take further events."""


_AtTheDoors = SignInProved | PasswordRefused | EntryRefused | RedeemRequested | SignOutRequested
_OfConnections = Connected | Disconnected | FrameReceived
_OfEmergencies = EmergencyRequested | LatchFound | LatchMissing | DrillFound | StopLifted
_OfPeople = PolicyApplied | PolicyRefused | PeopleRead | DirectorySilent
_OfTheRelay = MediaAllocated | MediaReleased | MediaWithdrawn | MediaCounted
_OfTheStore = MessageHeldBack | UndeliveredRead | CommitFailed | RecordResumed
_OfTheRun = Started | Stopping | CertificateSeen | Ticked
Event = (
    _AtTheDoors
    | _OfConnections
    | AdminEvent
    | _OfEmergencies
    | _OfPeople
    | _OfTheRelay
    | _OfTheStore
    | _OfTheRun
)
