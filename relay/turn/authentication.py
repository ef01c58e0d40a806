"""The long-term credential mechanism (RFC 8489 section 9.2.4), in its order of checks."""

from __future__ import annotations

from dataclasses import dataclass, field

from relay.credentials import ClaimedName, CredentialSecrets, read_username
from relay.stun import attributes as a
from relay.stun.integrity import long_term_key
from relay.stun.message import Field, Message
from relay.turn.allocation import Allocation
from relay.turn.events import Now
from relay.turn.nonce import Nonces
from relay.turn.refusal import RefusalError
from relay.vocabulary import FiveTuple


@dataclass(frozen=True, slots=True)
class Requester:
    """Somebody who knows the password of a username. Whether it has expired is Allocate's question alone."""

    username: bytes
    key: bytes = field(repr=False)
    claim: ClaimedName


class Authenticator:
    """Holds no state per client."""

    def __init__(
        self, secrets: CredentialSecrets, nonces: Nonces, realm: bytes, *, with_session: bool
    ) -> None:
        self._secrets = secrets
        self._nonces = nonces
        self._realm = realm
        self._with_session = with_session

    def requester(
        self, request: Message, five_tuple: FiveTuple, allocation: Allocation | None, now: Now
    ) -> Requester:
        """Who sent this request. Raises RefusalError 400, 401, 438 or 441, and MalformedError."""
        if request.integrity_at is None:
            raise self.challenge(401, five_tuple, now)
        username, realm = request.first(a.USERNAME), request.first(a.REALM)
        nonce = request.first(a.NONCE)
        if username is None or realm is None or nonce is None:
            raise RefusalError(400)
        claim = read_username(username, with_session=self._with_session)
        if claim is None or realm != self._realm:
            raise self.challenge(401, five_tuple, now)
        key = self._proven_key(request, username, allocation)
        if key is None:
            raise self.challenge(401, five_tuple, now)
        if not self._nonces.is_valid(nonce, five_tuple, now.monotonic):
            raise self.challenge(438, five_tuple, now, key)
        if allocation is not None and username != allocation.username:
            raise RefusalError(441, key=key)
        return Requester(username, key, claim)

    def challenge(self, code: int, five_tuple: FiveTuple, now: Now, key: bytes | None = None) -> RefusalError:
        """An error that tells the client how to authenticate."""
        fields: list[Field] = [
            (a.REALM, self._realm),
            (a.NONCE, self._nonces.fresh(five_tuple, now.monotonic)),
        ]
        return RefusalError(code, fields=fields, key=key)

    def _proven_key(self, request: Message, username: bytes, allocation: Allocation | None) -> bytes | None:
        if allocation is not None and username == allocation.username:
            # A running call outlives the rotation of the secret that let it in.
            return allocation.key if request.verifies(allocation.key) else None
        for password in self._secrets.passwords(username):
            key = long_term_key(username, self._realm, password)
            if request.verifies(key):
                return key
        return None
