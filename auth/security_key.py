"""Security keys: what authenticators sign for a page, and for no other (WebAuthn Level 3, W3C).

A key is made for a host name and knows its person (a discoverable credential, after a PIN or a fingerprint),
so that nobody has to be named before it is used. Which of the keys it was, and whether the signature is that
key's, is said here; whose the key is and whether its counter goes on is for the caller to see to.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import (
    base64url_to_bytes,
    bytes_to_base64url,
    parse_authentication_credential_json,
    parse_client_data_json,
    parse_registration_credential_json,
)
from webauthn.helpers.structs import (
    AuthenticationCredential,
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    RegistrationCredential,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from auth.challenge import LIFETIME_SECONDS

MAX_CREDENTIAL_BYTES = 255
"""Of the id of a key; those that know their person have short ones."""
MAX_PUBLIC_KEY_BYTES = 1024
_VERIFIED = UserVerificationRequirement.REQUIRED


class SecurityKeyError(ValueError):
    """What was sent is no key's answer, or not one to what was asked. The message does not repeat it."""


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """The page that keys are made for: its origin, and the host name in it."""

    id: str
    origin: str


@dataclass(frozen=True, slots=True)
class NewKey:
    """`credential_id` in base64url, `public_key` as COSE has it (RFC 9052)."""

    credential_id: str
    public_key: bytes
    sign_count: int


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A key that was made, as a browser tells of it; not looked at yet."""

    challenge: bytes
    response: RegistrationCredential


@dataclass(frozen=True, slots=True)
class Use:
    """What a key of that id is said to have signed; not looked at yet."""

    challenge: bytes
    credential_id: str
    response: AuthenticationCredential


def enrolment_options(
    party: RelyingParty, challenge: bytes, user_handle: bytes, login: str, known: Iterable[str]
) -> dict[str, Any]:
    """What the page hands to `navigator.credentials.create`, as JSON. `known` are the ids of the person's
    keys, none of which is enrolled twice."""
    options = generate_registration_options(
        rp_id=party.id,
        rp_name="Turngate",
        user_id=user_handle,
        user_name=login,
        challenge=challenge,
        timeout=LIFETIME_SECONDS * 1000,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=_VERIFIED
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(base64url_to_bytes(one)) for one in known],
    )
    told: dict[str, Any] = json.loads(options_to_json(options))
    return told


def use_options(party: RelyingParty, challenge: bytes) -> dict[str, Any]:
    """What the page hands to `navigator.credentials.get`, as JSON: the same for everybody."""
    options = generate_authentication_options(
        rp_id=party.id,
        challenge=challenge,
        timeout=LIFETIME_SECONDS * 1000,
        user_verification=_VERIFIED,
    )
    told: dict[str, Any] = json.loads(options_to_json(options))
    return told


def parse_enrolment(text: str) -> Enrolment:
    """The JSON of a browser's answer to `enrolment_options`. Raises SecurityKeyError and nothing else."""
    try:
        response = parse_registration_credential_json(text)
        return Enrolment(parse_client_data_json(response.response.client_data_json).challenge, response)
    except Exception:  # the library lets through what its decoders raise
        raise SecurityKeyError("is no answer of a security key") from None


def parse_use(text: str) -> Use:
    """The JSON of a browser's answer to `use_options`. Raises SecurityKeyError and nothing else."""
    try:
        response = parse_authentication_credential_json(text)
        challenge = parse_client_data_json(response.response.client_data_json).challenge
        return Use(challenge, bytes_to_base64url(response.raw_id), response)
    except Exception:  # as above
        raise SecurityKeyError("is no answer of a security key") from None


def verified_enrolment(party: RelyingParty, enrolment: Enrolment) -> NewKey:
    """The key, once it was made for this page, with its person there and known to it. The challenge is the
    caller's to have looked at. Raises SecurityKeyError and nothing else."""
    try:
        made = verify_registration_response(
            credential=enrolment.response,
            expected_challenge=enrolment.challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            require_user_verification=True,
        )
    except Exception:  # as above
        raise SecurityKeyError("was not made for this page, with its person there") from None
    too_long = len(made.credential_id) > MAX_CREDENTIAL_BYTES
    if too_long or len(made.credential_public_key) > MAX_PUBLIC_KEY_BYTES:
        raise SecurityKeyError("is larger than it may be")
    return NewKey(bytes_to_base64url(made.credential_id), made.credential_public_key, made.sign_count)


def verified_sign_count(party: RelyingParty, use: Use, public_key: bytes) -> int:
    """How often the key says that it was used, this time included, or 0 where it does not count; once the
    signature is that key's, for this page, with its person there and known to it. The challenge is the
    caller's to have looked at. Raises SecurityKeyError and nothing else."""
    try:
        return verify_authentication_response(
            credential=use.response,
            expected_challenge=use.challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            credential_public_key=public_key,
            credential_current_sign_count=0,  # compared where the last one is kept
            require_user_verification=True,
        ).new_sign_count
    except Exception:  # as above
        raise SecurityKeyError("was not signed by this key for this page") from None
