"""A security key made of software, which also makes what no key would: each part can be forged by itself."""

from __future__ import annotations

import hashlib
import json
import secrets
import struct
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from webauthn.helpers import bytes_to_base64url

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40
ES256 = -7


@dataclass
class SoftwareKey:
    """Answers what a page hands to `navigator.credentials`. `rp_id`, `origin` and `flags` are what it claims
    of the page, and of its person."""

    origin: str
    rp_id: str
    flags: int = PRESENT | VERIFIED
    counts: bool = True
    sign_count: int = 0
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    private_key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def made(self, options: dict[str, Any], **claims: str) -> str:
        """The JSON of `navigator.credentials.create`."""
        attested = bytes(16) + struct.pack(">H", len(self.credential_id)) + self.credential_id + self._cose()
        told = self._told(self.flags | ATTESTED) + attested
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": told})
        client_data = self._client_data("webauthn.create", options, claims)
        return self._answer({"clientDataJSON": client_data, "attestationObject": attestation})

    def used(self, options: dict[str, Any], **claims: str) -> str:
        """The JSON of `navigator.credentials.get`."""
        self.sign_count += self.counts
        told = self._told(self.flags)
        client_data = self._client_data("webauthn.get", options, claims)
        signed = told + hashlib.sha256(client_data).digest()
        signature = self.private_key.sign(signed, ec.ECDSA(SHA256(), deterministic_signing=True))
        return self._answer(
            {"clientDataJSON": client_data, "authenticatorData": told, "signature": signature}
        )

    def _told(self, flags: int) -> bytes:
        return hashlib.sha256(self.rp_id.encode()).digest() + struct.pack(">BI", flags, self.sign_count)

    def _cose(self) -> bytes:
        numbers = self.private_key.public_key().public_numbers()
        return cbor2.dumps(
            {1: 2, 3: ES256, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        )

    def _client_data(self, kind: str, options: dict[str, Any], claims: dict[str, str]) -> bytes:
        honest = {"type": kind, "challenge": options["challenge"], "origin": self.origin}
        return json.dumps(honest | claims).encode()

    def _answer(self, response: dict[str, bytes]) -> str:
        own_id = bytes_to_base64url(self.credential_id)
        told = {name: bytes_to_base64url(value) for name, value in response.items()}
        return json.dumps({"id": own_id, "rawId": own_id, "type": "public-key", "response": told})


UNCHANGING = SoftwareKey(
    "https://localhost",
    "localhost",
    credential_id=bytes(16),
    private_key=ec.derive_private_key(7, ec.SECP256R1()),
)
"""Says the same in every run."""
ASKED = {"challenge": "AAEC"}
