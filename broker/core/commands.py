"""Commands: everything the core can ask of the shell, in four kinds that are released differently.

* `Opening`: opens or widens something. Its records are durable before any of its effects (law 5); only the
  gate makes one.
* `Note`: puts something on record and then answers; opens nothing.
* `Answer`: a signal inside a grant or an error; waits only for what was commanded before it.
* `Narrowing`: closes or removes. Its effects happen at once and its records follow through the journal.

Effects are split the same way, so that the type checker refuses an opening effect anywhere but in an
`Opening`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NewType

from auth.personal import Personal
from auth.principal import PartyId
from auth.throttle import SignInFailure
from broker.audit.record import Draft
from broker.core.errors import ErrorRow
from broker.core.frames import Error, OpeningFrame, PlainFrame
from broker.core.stored import Invitation, SecurityKey, StoredSignIn
from broker.policy.decision import Decision
from broker.policy.stop import Scope, Stop

ConnectionId = NewType("ConnectionId", str)
RequestId = NewType("RequestId", str)
"""One HTTP request that waits for its reply."""

# --- effects that open --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Show:
    """Send an opening frame."""

    connection_id: ConnectionId
    frame: OpeningFrame


@dataclass(frozen=True, slots=True)
class AdmitMedia:
    """Let the two parties of this session allocate on the relay and reach each other there only."""

    session_id: str
    parties: tuple[PartyId, PartyId]
    until_unix_seconds: int
    bits_per_second: int | None
    """Of what each of them may send; None where policy sets no limit."""


@dataclass(frozen=True, slots=True)
class ReplyGranted:
    """Answer an HTTP request that asked to sign in or to redeem: the token it waits with becomes valid."""

    request_id: RequestId


@dataclass(frozen=True, slots=True)
class Unlatch:
    """Take the latch of an emergency stop off the disk; comes back as the event StopLifted."""

    scope: Scope


OpeningEffect = Show | AdmitMedia | ReplyGranted | Unlatch

# --- effects that open nothing ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tell:
    """Send a plain frame."""

    connection_id: ConnectionId
    frame: PlainFrame


@dataclass(frozen=True, slots=True)
class ReplyRefused:
    """Answer an HTTP request with an error."""

    request_id: RequestId
    http_status: int
    error: Error


@dataclass(frozen=True, slots=True)
class AllowPayloadTypes:
    """The RTP payload types that this party of an admitted session may send, as negotiated."""

    session_id: str
    party: PartyId
    payload_types: frozenset[int]
    audio_payload_types: frozenset[int]


@dataclass(frozen=True, slots=True)
class ReadUndelivered:
    """Read what waits for this party; comes back as the event UndeliveredRead, after earlier commits."""

    connection_id: ConnectionId
    party: PartyId
    later: bool = False
    """Not at once: a client may acknowledge no faster than it may send."""


@dataclass(frozen=True, slots=True)
class ReplyDone:
    """Answer an HTTP request that opens nothing: it ended something, or looks once more at what its sign-in
    was granted to see."""

    request_id: RequestId


@dataclass(frozen=True, slots=True)
class LimitMedia:
    """This admitted session lasts no longer than that and each of its parties sends no faster; more than it
    was admitted for changes nothing, and of a session that was not admitted there is nothing to limit."""

    session_id: str
    until_unix_seconds: int
    bits_per_second: int | None


@dataclass(frozen=True, slots=True)
class ShareBandwidth:
    """What these parties of a session may send in all, in bits per second, None for as much as it is, or will
    be, admitted for; never more than that, so that nothing is widened by it."""

    session_id: str
    rates: tuple[tuple[PartyId, int | None], ...]


PlainEffect = AllowPayloadTypes | LimitMedia | ReadUndelivered | ReplyDone | ReplyRefused | Tell

# --- effects that close -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WithdrawMedia:
    """Remove every row of this session from the relay; comes back as the event MediaWithdrawn."""

    session_id: str


@dataclass(frozen=True, slots=True)
class StopPayloadTypes:
    """This party may send RTP of these payload types no more."""

    session_id: str
    party: PartyId
    payload_types: frozenset[int]


@dataclass(frozen=True, slots=True)
class CloseConnection:
    """Tell why, then close."""

    connection_id: ConnectionId
    row: ErrorRow
    return_after_seconds: int | None = None
    """Not to be back before that, where there is something to wait for."""


@dataclass(frozen=True, slots=True)
class Latch:
    """Put an emergency stop on the disk, where it outlives the process."""

    stop: Stop


@dataclass(frozen=True, slots=True)
class SoundAlarm:
    """Tell whoever listens that an alarm began or ended."""

    name: str
    change: Literal["raised", "cleared"]
    sentence: str


@dataclass(frozen=True, slots=True)
class SilenceMedia:
    """Nothing of these sessions is forwarded any more, of none for None: all their rows at once, before each
    is withdrawn by itself."""

    session_ids: frozenset[str] | None


NarrowingEffect = (
    CloseConnection
    | Latch
    | LimitMedia
    | ReplyDone
    | ShareBandwidth
    | SilenceMedia
    | SoundAlarm
    | StopPayloadTypes
    | Tell
    | WithdrawMedia
)

# --- what is stored together with the records ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SaveSignIn:
    """Inserts, or replaces the row of the same token."""

    sign_in: StoredSignIn


@dataclass(frozen=True, slots=True)
class SaveSignInFailure:
    """Saves this one, and forgets those that had stopped counting by then."""

    failure: SignInFailure


@dataclass(frozen=True, slots=True)
class SaveCodeStep:
    """Inserts, or replaces the row of the same party."""

    party: PartyId
    step: int


@dataclass(frozen=True, slots=True)
class SaveSecurityKey:
    """Inserts, or replaces the row of the same key."""

    key: SecurityKey


@dataclass(frozen=True, slots=True)
class SaveMessage:
    """Saving the same id again changes nothing."""

    message_id: str
    sender: PartyId
    recipient: PartyId
    text: Personal
    sent_at_ms: int


@dataclass(frozen=True, slots=True)
class SettleMessage:
    """The message needs no further delivery: its recipient has it, or policy withheld it. Names the
    recipient, so that nobody settles another's message."""

    message_id: str
    recipient: PartyId
    outcome: str


@dataclass(frozen=True, slots=True)
class SaveInvitation:
    """Inserts, or replaces the row of the same id."""

    invitation: Invitation


@dataclass(frozen=True, slots=True)
class SaveVisit:
    """Inserts, or replaces the row of the same guest."""

    guest: PartyId
    name: Personal
    email: Personal | None
    invitation_id: str
    invited_by: PartyId
    token_digest: str
    admitted: bool
    expires_at_unix_seconds: int


@dataclass(frozen=True, slots=True)
class EndSignIn:
    token_digest: str


@dataclass(frozen=True, slots=True)
class RemoveSecurityKey:
    credential_id: str


@dataclass(frozen=True, slots=True)
class RevokeInvitation:
    invitation_id: str


@dataclass(frozen=True, slots=True)
class EndVisit:
    guest: PartyId


@dataclass(frozen=True, slots=True)
class EndSignInsOf:
    """All of one insider's."""

    party: PartyId


@dataclass(frozen=True, slots=True)
class EndEverySignIn:
    """Everybody's."""


NarrowingWrite = EndSignIn | EndSignInsOf | EndEverySignIn | RemoveSecurityKey | RevokeInvitation | EndVisit
Write = (
    SaveSignIn
    | SaveSignInFailure
    | SaveCodeStep
    | SaveSecurityKey
    | SaveMessage
    | SettleMessage
    | SaveInvitation
    | SaveVisit
    | NarrowingWrite
)

# --- the four kinds -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Opening:
    """Made by `broker.core.gate` only. `scope` names what opens, `within` what it stands on: when one of them
    ends, effects not yet released never will be."""

    scope: str
    within: tuple[str, ...]
    decisions: tuple[Decision, ...]
    records: tuple[Draft, ...]
    writes: tuple[Write, ...]
    effects: tuple[OpeningEffect, ...]
    on_failure: tuple[PlainEffect, ...]
    """What to say if the record cannot be written; nothing of `effects` happens then."""
    then: tuple[PlainEffect, ...] = ()
    """Plain effects that follow the opening ones."""


@dataclass(frozen=True, slots=True)
class Note:
    records: tuple[Draft, ...]
    effects: tuple[PlainEffect, ...] = ()
    writes: tuple[Write, ...] = ()
    on_failure: tuple[PlainEffect, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """`scope` as in Opening: what is said about something that never opened is not said."""

    effects: tuple[PlainEffect, ...]
    scope: str = ""
    within: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Narrowing:
    """`scopes` are what ends here: openings of theirs that were not yet released never will be."""

    scopes: tuple[str, ...] = ()
    effects: tuple[NarrowingEffect, ...] = ()
    records: tuple[Draft, ...] = ()
    writes: tuple[NarrowingWrite, ...] = ()


Command = Opening | Note | Answer | Narrowing
