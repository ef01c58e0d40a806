"""Where the files of a run are: the secret that relay and clients share, and a certificate for TLS."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Place:
    """Paths of files, all readable by the owner alone."""

    secret_file: Path
    certificate: Path
    key: Path
    trust: Path
    """Who signed the certificate."""

    @property
    def secret(self) -> str:
        return self.secret_file.read_text().strip()


@contextmanager
def place() -> Iterator[Place]:
    """It is gone afterwards."""
    with TemporaryDirectory(prefix="turngate-load-") as folder:
        made = Place(*(Path(folder) / name for name in ("secret", "leaf.pem", "leaf.key", "authority.pem")))
        for path in (made.secret_file, made.key):
            path.touch(0o600)
        made.secret_file.write_text(secrets.token_hex(16) + "\n")
        authority_key, leaf_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        authority = _name("load test authority")
        signed = _certificate(authority, authority_key.public_key(), authority).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        made.trust.write_bytes(_pem(signed.sign(authority_key, hashes.SHA256())))
        leaf = _certificate(_name("load test relay"), leaf_key.public_key(), authority).add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        made.certificate.write_bytes(_pem(leaf.sign(authority_key, hashes.SHA256())))
        made.key.write_bytes(
            leaf_key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        yield made


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _certificate(
    subject: x509.Name, key: ec.EllipticCurvePublicKey, issuer: x509.Name
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        public_key=key,
        serial_number=x509.random_serial_number(),
        not_valid_before=now - timedelta(minutes=5),
        not_valid_after=now + timedelta(days=2),
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
