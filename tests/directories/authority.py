"""A certificate authority made for one test, and the good and bad server certificates it signs."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = timedelta(days=1)


@dataclass(frozen=True)
class ServerCertificate:
    """PEM files: the certificate, its key, and the authority that signed it."""

    certificate: Path
    key: Path
    authority: Path

    def server_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


class Authority:
    """Files are `<name>.pem` and `<name>.key` in `directory`, the authority's own among them.

    A wrong chain is a certificate of a second authority, a wrong name one for other hosts.
    """

    def __init__(self, directory: Path, name: str = "authority") -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _common_name(f"Turngate test {name}")
        now = datetime.now(UTC)
        signed = (
            _unsigned(self._name, self._name, self._key, now - DAY, now + 30 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.path = _written(directory / f"{name}.pem", signed.public_bytes(serialization.Encoding.PEM))

    def certificate(
        self,
        name: str,
        *hosts: str,
        valid_from: datetime | None = None,
        valid_until: datetime | None = None,
    ) -> ServerCertificate:
        """For these DNS names and addresses, valid from yesterday to tomorrow unless told otherwise."""
        now = datetime.now(UTC)
        key = ec.generate_private_key(ec.SECP256R1())
        signed = (
            _unsigned(_common_name(name), self._name, key, valid_from or now - DAY, valid_until or now + DAY)
            .add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return ServerCertificate(
            _written(self._directory / f"{name}.pem", signed.public_bytes(serialization.Encoding.PEM)),
            _written(self._directory / f"{name}.key", secret),
            self.path,
        )

    def expired(self, name: str, *hosts: str) -> ServerCertificate:
        """It ran out an hour ago."""
        now = datetime.now(UTC)
        return self.certificate(name, *hosts, valid_from=now - 2 * DAY, valid_until=now - timedelta(hours=1))

    def not_yet_valid(self, name: str, *hosts: str) -> ServerCertificate:
        """It becomes valid in an hour."""
        now = datetime.now(UTC)
        return self.certificate(name, *hosts, valid_from=now + timedelta(hours=1), valid_until=now + 2 * DAY)


def _unsigned(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    valid_from: datetime,
    valid_until: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(valid_from)
        .not_valid_after(valid_until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _common_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _written(path: Path, text: bytes) -> Path:
    path.touch(mode=0o600)
    path.write_bytes(text)
    return path
