"""Certificate: for whom it is, who signed it, and until when it is good."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address

from cryptography import x509

from broker.shell.doctor.finding import Finding, counted, ill, look, well

SECONDS_PER_DAY = 86_400
MAX_SHOWN, MAX_NAME = 8, 200
"""Of what a stranger may have put into it."""


class CertificateError(ValueError):
    """Bytes that are no certificate, or one of a form that nobody reads."""


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What one certificate says of itself."""

    subject: str
    issuer: str
    hosts: tuple[str, ...]
    """DNS names in lower case, and addresses."""
    not_before: float
    not_after: float
    """Unix seconds."""

    @property
    def signed_by_itself(self) -> bool:
        return self.subject == self.issuer


def read_certificate(der: bytes) -> CertificateFacts:
    """Raises CertificateError and nothing else: the other end chooses these bytes."""
    try:
        certificate = x509.load_der_x509_certificate(der)
    except (ValueError, x509.InvalidVersion):
        raise CertificateError("not a certificate") from None
    return facts_of(certificate)


def facts_of(certificate: x509.Certificate) -> CertificateFacts:
    """Raises CertificateError."""
    try:
        return CertificateFacts(
            certificate.subject.rfc4514_string(),
            certificate.issuer.rfc4514_string(),
            _hosts(certificate),
            certificate.not_valid_before_utc.timestamp(),
            certificate.not_valid_after_utc.timestamp(),
        )
    except Exception:  # the library reads late, and has many errors for what is wrong with a certificate
        raise CertificateError("a certificate that cannot be read") from None


def _hosts(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    dns = (name.lower() for name in names.get_values_for_type(x509.DNSName))
    return (*dns, *map(str, names.get_values_for_type(x509.IPAddress)))


def is_for(certificate: CertificateFacts, host: str) -> bool:
    """Whether it names this host (RFC 9525): exactly, or by a wildcard in place of the first label."""
    try:
        return str(ip_address(host)) in certificate.hosts
    except ValueError:
        wildcard = f"*.{host.lower().partition('.')[2]}"
        return host.lower() in certificate.hosts or ("." in host and wildcard in certificate.hosts)


def judge_dates(
    check: str, certificate: CertificateFacts, now: float, warning_days: int, change: str
) -> Finding:
    """Whether it is good at this time (Unix seconds), and for long enough."""
    if now >= certificate.not_after:
        return ill(check, f"It expired at {_told(certificate.not_after)}.", change)
    if now < certificate.not_before:
        found = f"It is not valid before {_told(certificate.not_before)}."
        return ill(check, found, f"Look at this machine's clock; if that is right: {_lower(change)}")
    days = int((certificate.not_after - now) // SECONDS_PER_DAY)
    found = f"It is good for {counted(days, 'day', 'days')} more, until {_told(certificate.not_after)}."
    return look(check, found, change) if days < warning_days else well(check, found)


# OpenSSL's numbers (x509_vfy.h) of why a chain is not accepted.
NOT_YET_VALID, EXPIRED, WRONG_HOST, WRONG_ADDRESS = 9, 10, 62, 64
_ITS_OWN_AUTHORITY = (18, 19)
_UNKNOWN_AUTHORITY = (2, 20, 21)


def judge_server(
    check: str,
    host: str,
    certificate: CertificateFacts | None,
    fault: int | None,
    why: str,
    now: float,
    warning_days: int,
) -> Iterator[Finding]:
    """What a server of the directory has shown to somebody who asked for `host`. `fault` is OpenSSL's number,
    None where it accepts the certificate, and `why` its words. All that is wrong is told, not only the
    first."""
    renew = "Have the directory's administrators give the server a certificate that is valid now."
    if certificate is None:
        yield ill(check, "It is not accepted, and cannot be read either.", renew)
        return
    dates = judge_dates(check, certificate, now, warning_days, renew)
    if fault is None:
        yield dates
        return
    told = []
    if now >= certificate.not_after or now < certificate.not_before:
        told.append(dates)
    if fault in (WRONG_HOST, WRONG_ADDRESS) or not is_for(certificate, host):
        names = ", ".join(certificate.hosts[:MAX_SHOWN]) or "nobody"
        told.append(
            ill(
                check,
                f"It is for {names}, and not for {host}, by which ldap.servers names the server.",
                "Name the server in ldap.servers as its certificate does, or have that name added to the "
                "certificate.",
            )
        )
    if fault in (*_ITS_OWN_AUTHORITY, *_UNKNOWN_AUTHORITY):
        signer = "itself" if certificate.signed_by_itself else certificate.issuer[:MAX_NAME]
        told.append(
            ill(
                check,
                f"It is signed by {signer}, and no authority that is trusted here vouches for that.",
                "Put the certificate of the authority that signed it, in PEM, into the file of ldap.ca_file. "
                "If it is there already, the server has to send the certificates in between as well.",
            )
        )
    yield from told or [ill(check, f"It is not accepted: {why}.", renew)]


def _told(unix_seconds: float) -> str:
    return datetime.fromtimestamp(unix_seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]
