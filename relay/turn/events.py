"""What goes into the TURN server and what comes out: plain values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, NamedTuple

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
    max_allocations_per_credential: int = 16
    max_allocations: int = 100_000
    unauthenticated_answers_per_second: int = 100
    unauthenticated_answers_burst: int = 200
    dtls_budget_bytes: int = 131072


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
    """From now on these RTP payload types pass in an admitted session, and no others."""

    session_id: str
    payload_types: frozenset[int]
    audio_payload_types: frozenset[int]


@dataclass(frozen=True, slots=True)
class EndSession:
    session_id: str


@dataclass(frozen=True, slots=True)
class Woken:
    """The time a Wake asked for has passed."""


Event = Received | Sweep | Woken | Admit | AllowPayloadTypes | EndSession


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


class GoneReason(StrEnum):
    """Why an allocation ended."""

    CLOSED = "closed"
    """The client refreshed it to zero."""
    EXPIRED = "expired"
    REPLACED = "replaced"
    """Its credential made a newer one beyond the bound."""
    SESSION_ENDED = "session_ended"
    SESSION_EXPIRED = "session_expired"


@dataclass(frozen=True, slots=True)
class AllocationMade:
    session_id: str
    party: str
    client_address: Address
    relayed_address: Address


@dataclass(frozen=True, slots=True)
class AllocationGone:
    session_id: str
    party: str
    client_address: Address
    relayed_address: Address
    reason: GoneReason


@dataclass(frozen=True, slots=True)
class Refused:
    """A request was answered with an error that is not part of the normal exchange."""

    ip: str
    code: int


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
)
