"""Why a request is refused, what that is on the wire, and the error its handlers raise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from relay.stun.message import Field


class RefusalReason(Enum):
    """One line per reason: the error code (RFC 8489 section 14.8, RFC 8656 section 19) and what logs say.

    Several reasons share a code where telling them apart would help only those who probe.
    """

    GO_ELSEWHERE = 300, "the relay is draining and names another"
    MALFORMED = 400, "an attribute is missing, malformed or contradicts another"
    LOGIN_INCOMPLETE = 400, "integrity without username, realm or nonce"
    ALGORITHM_NOT_OFFERED = 400, "the password algorithms are not those that were offered"
    CHANNEL_OUT_OF_RANGE = 400, "the channel number may not be bound"
    CHANNEL_TAKEN = 400, "the channel or the peer is bound already"
    NO_CREDENTIAL = 401, "no credential yet: the challenge every client starts with"
    UNKNOWN_USERNAME = 401, "the username has not the form of a credential of this relay"
    WRONG_REALM = 401, "another realm"
    WRONG_PASSWORD = 401, "the integrity was not made with this credential's password"
    CREDENTIAL_EXPIRED = 401, "the credential has expired"
    NOT_ADMITTED = 403, "the session is not open for this party"
    REVOKED = 403, "the credential, its session or its user was revoked"
    PEER_NOT_IN_SESSION = 403, "the peer is no live allocation of another party of the session"
    MOBILITY = 405, "allocations do not move"
    UNKNOWN_ATTRIBUTE = 420, "an attribute that must be understood is not"
    NO_ALLOCATION = 437, "there is no allocation on this five-tuple"
    ALLOCATION_EXISTS = 437, "there is an allocation on this five-tuple already"
    STALE_NONCE = 438, "the nonce is too old or another address's"
    FAMILY_NOT_RELAYED = 440, "no relayed addresses of this family"
    OTHER_USERNAME = 441, "the allocation belongs to another username"
    TRANSPORT_NOT_RELAYED = 442, "only UDP is relayed"
    FAMILY_MISMATCH = 443, "the address family is not the allocation's"
    ALLOCATING_TOO_FAST = 486, "the session allocates too fast"
    DRAINING = 508, "the relay is draining"
    FULL = 508, "the relay holds all the allocations it may"
    NO_ADDRESS = 508, "no relayed address or port is free"
    TOKEN_UNKNOWN = 508, "the reservation is unknown, used or over"

    def __init__(self, code: int, sentence: str) -> None:
        self.code = code
        self.sentence = sentence

    @property
    def is_routine(self) -> bool:
        """Part of every normal exchange, and so nothing to report."""
        return self in (RefusalReason.NO_CREDENTIAL, RefusalReason.STALE_NONCE)


@dataclass(frozen=True, slots=True)
class Seal:
    """What gives an answer integrity that its receiver can check (RFC 8489 section 9.2.4, at its end)."""

    key: bytes = field(repr=False)
    sha256: bool = False


class RefusalError(Exception):
    """Answer with an error."""

    def __init__(
        self, reason: RefusalReason, *, fields: Sequence[Field] = (), seal: Seal | None = None
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.fields = tuple(fields)
        self.seal = seal
        """Set when the requester proved to know the key; the answer then carries integrity."""
