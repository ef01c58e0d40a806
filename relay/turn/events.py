"""What goes into the TURN server and what comes out: plain values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, NamedTuple

from relay.credentials import CredentialSecrets
from relay.revocations import Revocations
from relay.turn.refusal import RefusalReason
from relay.vocabulary import Address, FiveTuple, Leg, Route


class Now(NamedTuple):
    """One reading of both clocks, in seconds."""

    wall: float
    """Since 1970, UTC: what expiries of credentials and sessions speak."""
    monotonic: float


@dataclass(frozen=True, slots=True)
class Randomness:
    """Where unpredictable numbers come from."""

    below: Callable[[int], int]
    """A number from 0 to one less than the argument."""
    octets: Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class Admission:
    """Permission for exactly two parties to allocate in a session and to reach each other there."""

    session_id: str
    parties: tuple[str, str]
    expires_at: float
    """Unix seconds; the session ends then by itself."""


@dataclass(frozen=True, slots=True)
class TurnRules:
    """The settings that the TURN server follows."""

    relayed_prefix: str
    realm: bytes = b"turngate"
    pairing: Literal["session", "any"] = "session"
    admission_required: bool = True
    """Otherwise a valid credential admits its session by itself, and routes have no class check."""
    legacy_channels: bool = False
    default_lifetime_seconds: int = 120
    max_lifetime_seconds: int = 600
    max_allocations_per_credential: int = 32
    max_allocations: int = 100_000
    unauthenticated_answers_per_second: int = 50
    unauthenticated_answers_burst: int = 500
    dtls_budget_bytes: int = 131072
    alternate_servers: tuple[Address, ...] = ()
    """Where clients are sent while draining; the first of a client's own address family counts."""


# --- events ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Received:
    """A datagram for which the plane had no row."""

    five_tuple: FiveTuple
    datagram: bytes


@dataclass(frozen=True, slots=True)
class Sweep:
    """Time has passed: remove what has expired."""


@dataclass(frozen=True, slots=True)
class Admit:
    """Open a session, or prolong it. Parties of a session never change."""

    admission: Admission


@dataclass(frozen=True, slots=True)
class AllowPayloadTypes:
    """From now on a party of an admitted session may send RTP of these payload types, and of no others."""

    session_id: str
    party: str
    payload_types: frozenset[int]
    audio_payload_types: frozenset[int]


@dataclass(frozen=True, slots=True)
class StopPayloadTypes:
    """From now on this party may send RTP of these payload types no more; of others as before."""

    session_id: str
    party: str
    payload_types: frozenset[int]


@dataclass(frozen=True, slots=True)
class EndSession:
    session_id: str


@dataclass(frozen=True, slots=True)
class Woken:
    """The time a Wake asked for has passed."""


@dataclass(frozen=True, slots=True)
class StreamClosed:
    """A stream client's connection is over."""

    five_tuple: FiveTuple


@dataclass(frozen=True, slots=True)
class Revoke:
    """From now on exactly these are let in no more; what they have ends."""

    revocations: Revocations


@dataclass(frozen=True, slots=True)
class Drain:
    """No new allocations; those there are go on."""


@dataclass(frozen=True, slots=True)
class Reconfigure:
    """Other rules and secrets.

    `relayed_prefix`, `realm`, `pairing` and `admission_required` stay as they were.
    """

    rules: TurnRules
    secrets: CredentialSecrets


Event = (
    Received
    | Sweep
    | Woken
    | Admit
    | AllowPayloadTypes
    | StopPayloadTypes
    | EndSession
    | StreamClosed
    | Revoke
    | Drain
    | Reconfigure
)


# --- commands -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Send:
    five_tuple: FiveTuple
    datagram: bytes


@dataclass(frozen=True, slots=True)
class Own:
    five_tuple: FiveTuple


@dataclass(frozen=True, slots=True)
class Disown:
    five_tuple: FiveTuple


@dataclass(frozen=True, slots=True)
class Install:
    route: Route
    sender: str
    """Party whose packets the route carries."""
    receiver: str


@dataclass(frozen=True, slots=True)
class Remove:
    session_id: str
    source: Leg


@dataclass(frozen=True, slots=True)
class RemoveSession:
    session_id: str


@dataclass(frozen=True, slots=True)
class Forward:
    source: Leg
    payload: bytes


@dataclass(frozen=True, slots=True)
class Wake:
    """Hand in the event Woken after this time."""

    in_seconds: float


@dataclass(frozen=True, slots=True)
class CloseStream:
    """End a stream client's connection: its allocation is over, and not by the client's own wish."""

    five_tuple: FiveTuple


class ControlDrop(StrEnum):
    """Why control left something unanswered or undelivered."""

    MALFORMED = "malformed"
    """Neither STUN nor ChannelData, or not as they are written."""
    UNEXPECTED = "unexpected"
    """A response, an indication that is none of a client's, or a request for something unknown."""
    UNBOUND = "unbound"
    """ChannelData on a channel that is not bound, or not any more."""
    NOT_PERMITTED = "not_permitted"
    """A Send indication to a peer its sender has no permission for."""
    FOREIGN_PEER = "foreign_peer"
    """A peer that is no live allocation of another party of the session."""
    NOT_HELD = "not_held"
    """Its receiver has not permitted the sender yet, and there was no room to wait for that."""
    AMPLIFYING = "amplifying"
    """The answer to a stranger would be too long for what was asked."""
    OVER_BUDGET = "over_budget"
    """The network of a stranger has had its answers."""


class GoneReason(StrEnum):
    """Why an allocation ended."""

    CLOSED = "closed"
    """The client refreshed it to zero."""
    STREAM_CLOSED = "stream_closed"
    """The connection it was made on is over."""
    EXPIRED = "expired"
    REPLACED = "replaced"
    """Its credential made a newer one beyond the bound."""
    SESSION_ENDED = "session_ended"
    SESSION_EXPIRED = "session_expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class AllocationMade:
    session_id: str
    party: str
    five_tuple: FiveTuple
    relayed_address: Address


@dataclass(frozen=True, slots=True)
class AllocationGone:
    session_id: str
    party: str
    five_tuple: FiveTuple
    relayed_address: Address
    reason: GoneReason


@dataclass(frozen=True, slots=True)
class Refused:
    """A request was refused for a reason that is not part of the normal exchange."""

    five_tuple: FiveTuple
    reason: RefusalReason
    session_id: str | None = None
    """Of a requester who proved the password; None for everybody else. The same holds for the party."""
    party: str | None = None
    relayed_address: Address | None = None
    """Of the allocation on this five-tuple, if there is one."""


Command = (
    Send
    | Own
    | Disown
    | Install
    | Remove
    | RemoveSession
    | Forward
    | Wake
    | AllocationMade
    | AllocationGone
    | Refused
    | CloseStream
)
