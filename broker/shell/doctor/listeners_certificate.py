"""Listeners' certificate: what [tls] has the listeners show, and whether browsers can follow it."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from broker.shell.doctor.certificate import (
    EXPIRED,
    NOT_YET_VALID,
    CertificateError,
    CertificateFacts,
    facts_of,
    is_for,
    judge_dates,
)
from broker.shell.doctor.finding import Finding, counted, ill, look, well
from config.settings import Settings

CHECK = "certificate"
HANDSHAKE_STEPS = 4


@dataclass(frozen=True, slots=True)
class ChainFacts:
    """What the two files of [tls] hold."""

    certificates: tuple[CertificateFacts, ...]
    """In the file's order."""
    broken_after: int | None
    """How many certificates there are before the first that did not sign the one in front of it; None when
    each signed the one in front."""
    key_matches: bool
    fault: int | None
    """Why a client with this system's authorities does not accept it, by OpenSSL's number; None if it does.
    """


class Origin(NamedTuple):
    section: str
    host: str


def origins_of(settings: Settings) -> list[Origin]:
    """The hosts that people type."""
    return [Origin(name, urlsplit(one.origin).hostname or "") for name, one in settings.listeners()]


def read_chain(certificate_file: Path, key_file: Path) -> ChainFacts:
    """Raises OSError; CertificateError for what is no certificate or no key."""
    try:
        chain = x509.load_pem_x509_certificates(certificate_file.read_bytes())
    except (ValueError, x509.InvalidVersion):
        raise CertificateError("the file of tls.certificate_file holds no certificate in PEM") from None
    try:
        key = load_pem_private_key(key_file.read_bytes(), password=None)
    except (ValueError, TypeError):
        raise CertificateError("the file of tls.private_key_file holds no unencrypted key in PEM") from None
    links = [_signed(issuer, issued) for issued, issuer in pairwise(chain)]
    broken_after = links.index(False) + 1 if False in links else None
    key_matches = key.public_key() == chain[0].public_key()
    fault = _fault(certificate_file, key_file) if key_matches else None
    return ChainFacts(tuple(map(facts_of, chain)), broken_after, key_matches, fault)


def judge_chain(
    chain: ChainFacts, origins: Sequence[Origin], now: float, warning_days: int
) -> Iterator[Finding]:
    """`now` in Unix seconds."""
    leaf = chain.certificates[0]
    if not chain.key_matches:
        # No listener can show it: what else could be said of it does not matter yet.
        yield ill(
            f"{CHECK}: key",
            "The private key is not that of the first certificate in the file.",
            "Name the key that the certificate was made for in tls.private_key_file; the server's own "
            "certificate has to come first in tls.certificate_file.",
        )
        return
    yield well(f"{CHECK}: key", "The private key is that of the certificate.")
    renew = "Put a new certificate in its place and send the service SIGHUP."
    yield judge_dates(f"{CHECK}: dates", leaf, now, warning_days, renew)
    for number, issuer in enumerate(chain.certificates[1:], 2):
        if not issuer.not_before <= now < issuer.not_after:
            yield judge_dates(f"{CHECK}: dates of number {number}", issuer, now, warning_days, renew)
    yield from _judge_hosts(leaf, origins)
    if chain.broken_after is not None or chain.fault not in (NOT_YET_VALID, EXPIRED):
        yield _judge_links(chain)


def _judge_hosts(leaf: CertificateFacts, origins: Sequence[Origin]) -> Iterator[Finding]:
    missing = [origin for origin in origins if not is_for(leaf, origin.host)]
    for section, host in missing:
        yield ill(
            f"{CHECK}: name",
            f"It is not for {host}, the host of {section}.origin: browsers refuse it.",
            f"Get a certificate that names {host} as well, or correct {section}.origin.",
        )
    if not missing:
        hosts = ", ".join(dict.fromkeys(origin.host for origin in origins))
        yield well(f"{CHECK}: name", f"It is for {hosts}, the hosts of every origin.")


def _judge_links(chain: ChainFacts) -> Finding:
    check, count = f"{CHECK}: chain", len(chain.certificates)
    last = chain.certificates[-1]
    if chain.broken_after is not None:
        number = chain.broken_after
        return ill(
            check,
            f"Certificate {number + 1} in the file did not sign certificate {number}.",
            "Order tls.certificate_file so that the server's own certificate is first and each one is "
            "followed by that of its issuer.",
        )
    if chain.fault is None:
        certificates = counted(count, "certificate", "certificates")
        return well(check, f"It is complete ({certificates}): this system trusts who signed it.")
    if last.signed_by_itself:
        who = "It is signed by itself" if count == 1 else "It ends at an authority of its own"
        return look(
            check,
            f"{who}, which this system does not trust.",
            "Make sure that every browser, the guests' too, trusts it; else get a certificate of an "
            "authority that browsers know.",
        )
    return look(
        check,
        f"It ends with one that {last.issuer} has signed, whom this system does not trust.",
        "If that is an authority in between, append its certificate to tls.certificate_file; if it is the "
        "organisation's own, make sure that every browser trusts it.",
    )


def _signed(issuer: x509.Certificate, issued: x509.Certificate) -> bool:
    try:
        issued.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _fault(certificate_file: Path, key_file: Path) -> int | None:
    """What a client with this system's authorities says of the chain: a handshake in memory."""
    asking, answering = ssl.create_default_context(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    asking.check_hostname = False  # whom it is for is looked at for every origin
    answering.load_cert_chain(certificate_file, key_file)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client, server = asking.wrap_bio(back, there), answering.wrap_bio(there, back, server_side=True)
    for _ in range(HANDSHAKE_STEPS):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLCertVerificationError as refused:
                return refused.verify_code
            except ssl.SSLWantReadError:
                continue
    return None
