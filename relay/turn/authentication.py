"""The long-term credential mechanism (RFC 8489 section 9.2.4), in its order of checks."""

from __future__ import annotations

from dataclasses import dataclass

from relay.credentials import ClaimedName, CredentialSecrets, read_username
from relay.stun import attributes as a
from relay.stun.integrity import PasswordAlgorithm, long_term_key
from relay.stun.message import Field, Message
from relay.turn.allocation import Allocation
from relay.turn.events import Now
from relay.turn.nonce import Nonces
from relay.turn.refusal import RefusalError, RefusalReason, Seal
from relay.vocabulary import FiveTuple

OFFERED = ((int(PasswordAlgorithm.SHA_256), b""), (int(PasswordAlgorithm.MD5), b""))
"""The value of PASSWORD-ALGORITHMS, the preferred one first."""


@dataclass(frozen=True, slots=True)
class Requester:
    """Somebody who knows the password of a username. Whether it has expired is Allocate's question alone."""

    username: bytes
    seal: Seal
    algorithm: PasswordAlgorithm
    """By which the key was made."""
    claim: ClaimedName


class Authenticator:
    """Holds no state per client."""

    def __init__(
        self, secrets: CredentialSecrets, nonces: Nonces, realm: bytes, *, with_session: bool
    ) -> None:
        self.secrets = secrets
        self._nonces = nonces
        self._realm = realm
        self._with_session = with_session

    def requester(
        self, request: Message, five_tuple: FiveTuple, allocation: Allocation | None, now: Now
    ) -> Requester:
        """Who sent this request. Raises RefusalError 400, 401 or 438, and MalformedError."""
        if not request.has_integrity:
            raise self.challenge(RefusalReason.NO_CREDENTIAL, five_tuple, now)
        username, realm = request.first(a.USERNAME), request.first(a.REALM)
        nonce = request.first(a.NONCE)
        if username is None or realm is None or nonce is None:
            raise RefusalError(RefusalReason.LOGIN_INCOMPLETE)
        chosen = _algorithm(request)
        claim = read_username(username, with_session=self._with_session)
        if claim is None:
            raise self.challenge(RefusalReason.UNKNOWN_USERNAME, five_tuple, now)
        if realm != self._realm:
            raise self.challenge(RefusalReason.WRONG_REALM, five_tuple, now)
        algorithm = chosen or PasswordAlgorithm.MD5
        key = self._proven_key(request, username, algorithm, allocation)
        if key is None:
            raise self.challenge(RefusalReason.WRONG_PASSWORD, five_tuple, now)
        # Who names no algorithm is of the time before there was a choice, unless only SHA-256 is there.
        seal = Seal(key, sha256=chosen is not None or request.integrity_at is None)
        if not self._nonces.is_valid(nonce, five_tuple, now.monotonic):
            raise self.challenge(RefusalReason.STALE_NONCE, five_tuple, now, seal)
        return Requester(username, seal, algorithm, claim)

    def challenge(
        self, reason: RefusalReason, five_tuple: FiveTuple, now: Now, seal: Seal | None = None
    ) -> RefusalError:
        """An error that tells the client how to authenticate."""
        fields: list[Field] = [
            (a.REALM, self._realm),
            (a.NONCE, self._nonces.fresh(five_tuple, now.monotonic)),
            (a.PASSWORD_ALGORITHMS, OFFERED),
        ]
        return RefusalError(reason, fields=fields, seal=seal)

    def _proven_key(
        self,
        request: Message,
        username: bytes,
        algorithm: PasswordAlgorithm,
        allocation: Allocation | None,
    ) -> bytes | None:
        owner = allocation is not None and (username, algorithm) == (
            allocation.username,
            allocation.algorithm,
        )
        if allocation is not None and owner and request.verifies(allocation.seal.key):
            # A running call outlives the rotation of the secret that let it in.
            return allocation.seal.key
        for password in self.secrets.passwords(username):
            key = long_term_key(username, self._realm, password, algorithm)
            if request.verifies(key):
                return key
        return None


def _algorithm(request: Message) -> PasswordAlgorithm | None:
    """The algorithm the client chose; None if it knows nothing of the choice.

    The list comes back with the choice, under integrity: who took something out of it on the way is found
    out. Raises RefusalError 400.
    """
    offered, chosen = request.first(a.PASSWORD_ALGORITHMS), request.first(a.PASSWORD_ALGORITHM)
    if offered is None and chosen is None:
        return None
    if offered != OFFERED or chosen not in OFFERED:
        raise RefusalError(RefusalReason.ALGORITHM_NOT_OFFERED)
    return PasswordAlgorithm(chosen[0])
