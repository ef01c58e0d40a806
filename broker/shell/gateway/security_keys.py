"""Security keys at the door: what they are asked to sign, and whether they did."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from typing import Any

from auth.challenge import NONCE_BYTES, Challenges
from auth.principal import Insider, PartyId
from auth.security_key import (
    NewKey,
    RelyingParty,
    SecurityKeyError,
    enrolment_options,
    parse_enrolment,
    parse_use,
    use_options,
    verified_enrolment,
    verified_sign_count,
)
from broker.core.admin_events import KeyUse
from broker.core.clock import Now
from broker.core.errors import SECURITY_KEY_REFUSED, SECURITY_KEYS_NOT_OFFERED
from broker.shell.driver import Driver
from broker.shell.gateway.http import RefusedError

_SECRET_BYTES = 32
_USE = "use"
_ENROLMENT = "enrolment by "


class SecurityKeys:
    """Of this page, or none where it has no host name. A challenge to enrol is good for one sign-in, one to
    sign in for anybody who has a key."""

    def __init__(self, party: RelyingParty | None, driver: Driver, clock: Callable[[], Now]) -> None:
        self._party = party
        self._driver = driver
        self._clock = clock
        self._challenges = Challenges(secrets.token_bytes(_SECRET_BYTES))

    @property
    def offered(self) -> bool:
        """Whether there can be any: browsers make none for addresses."""
        return self._party is not None

    def to_use(self) -> dict[str, Any]:
        """What a page hands to a key, to sign in. Raises RefusedError."""
        return use_options(self._relying_party(), self._challenge(_USE))

    def to_enrol(self, token_digest: str, insider: Insider) -> dict[str, Any]:
        """What a page hands to a key that is to be this person's. Raises RefusedError."""
        handle = hashlib.sha256(f"turngate administrator {insider.party}".encode()).digest()
        known = [key.credential_id for key in self._driver.security_keys_of(insider.party)]
        challenge = self._challenge(_ENROLMENT + token_digest)
        return enrolment_options(self._relying_party(), challenge, handle, insider.login.reveal(), known)

    def enrolled(self, token_digest: str, text: str) -> NewKey:
        """The key that came of `to_enrol`. Raises RefusedError."""
        party, now = self._relying_party(), self._clock().monotonic_seconds
        try:
            enrolment = parse_enrolment(text)
            if not self._challenges.holds(enrolment.challenge, _ENROLMENT + token_digest, now):
                raise SecurityKeyError("signed what it was not asked to")
            key = verified_enrolment(party, enrolment)
        except SecurityKeyError:
            raise RefusedError(SECURITY_KEY_REFUSED) from None
        self._challenges.use_up(enrolment.challenge, now)
        return key

    def used(self, text: str, party: PartyId | None) -> KeyUse | None:
        """What a key of this party says that came of `to_use`; None for anything else. Looked at in the same
        way whosever it is."""
        now = self._clock().monotonic_seconds
        try:
            use = parse_use(text)
            key = self._driver.security_key(use.credential_id)
            if self._party is None or key is None or not self._challenges.holds(use.challenge, _USE, now):
                return None
            sign_count = verified_sign_count(self._party, use, key.public_key)
        except SecurityKeyError:
            return None
        self._challenges.use_up(use.challenge, now)
        return KeyUse(key.credential_id, sign_count) if key.party == party else None

    def _challenge(self, purpose: str) -> bytes:
        nonce = secrets.token_bytes(NONCE_BYTES)
        return self._challenges.issue(purpose, nonce, self._clock().monotonic_seconds)

    def _relying_party(self) -> RelyingParty:
        if self._party is None:
            raise RefusedError(SECURITY_KEYS_NOT_OFFERED)
        return self._party
