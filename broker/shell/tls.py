"""TLS 1.2 and newer for every listener, and the certificate that the demo makes for itself."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from weakref import WeakKeyDictionary

import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from broker.core.events import CertificateSeen, Event
from config.tls import TlsSettings

DEMO_DAYS = 7
CERTIFICATE_SECONDS = 60.0
"""How often it is told: a new certificate clears the alarm of the old one within a minute."""

log = structlog.get_logger(__name__)


def server_context(certificate_file: Path, private_key_file: Path) -> ssl.SSLContext:
    """What the listeners speak: TLS 1.2 or 1.3, no compression, no renegotiation."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(certificate_file, private_key_file)
    _note_end(context, certificate_file)
    return context


_ends: WeakKeyDictionary[ssl.SSLContext, int] = WeakKeyDictionary()
"""Until when the certificate is good that a context shows (Unix seconds): it does not tell by itself."""


def _note_end(context: ssl.SSLContext, certificate_file: Path) -> None:
    certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
    _ends[context] = int(certificate.not_valid_after_utc.timestamp())


def reload_certificate(context: ssl.SSLContext, tls: TlsSettings) -> None:
    """Show another certificate to connections to come; those there are go on with theirs.

    Raises OSError or ssl.SSLError, and then the old one stays.
    """
    if tls.certificate_file is None or tls.private_key_file is None:
        return
    # A context that took the certificate but not its key would be left with halves of two.
    server_context(tls.certificate_file, tls.private_key_file)
    context.load_cert_chain(tls.certificate_file, tls.private_key_file)
    _note_end(context, tls.certificate_file)


def show_certificate_again(context: ssl.SSLContext, tls: TlsSettings) -> None:
    """As `reload_certificate`; what became of it is logged."""
    try:
        reload_certificate(context, tls)
    except (OSError, ssl.SSLError) as unusable:
        log.error("certificate.not_reloaded", why=str(unusable))  # noqa: TRY400 (the reason says it all)
    else:
        log.info("certificate.reloaded")


async def watch_certificate(context: ssl.SSLContext, submit: Callable[[Event], None]) -> None:
    """Runs for ever: until when the certificate is good that the listeners show now, as events."""
    while True:
        ends = _ends.get(context)
        if ends is not None:
            submit(CertificateSeen(ends))
        await asyncio.sleep(CERTIFICATE_SECONDS)


def make_demo_certificate(folder: Path, hosts: list[str]) -> tuple[Path, Path]:
    """A self-signed certificate for these hosts, good for a week: the demo's only."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Turngate demo")])
    start = datetime.now(UTC) - timedelta(minutes=5)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=DEMO_DAYS))
        .add_extension(x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "demo-certificate.pem", folder / "demo-key.pem"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    descriptor = os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
    return certificate_file, key_file


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)
