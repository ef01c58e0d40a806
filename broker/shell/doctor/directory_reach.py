"""Reach: whether a server of the directory is found, answers, is who it says, and lets the service account
in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from auth.ldap_link import INVALID_CREDENTIALS, BindResult
from broker.shell.doctor.certificate import CertificateFacts, judge_server
from broker.shell.doctor.finding import Finding, ill, look, well

_CODE = re.compile(r"\bdata ([0-9a-f]{3,4})\b")


@dataclass(frozen=True, slots=True)
class Connected:
    """One address of a server."""

    address: str
    failure: str
    """Empty where it connects."""


@dataclass(frozen=True, slots=True)
class ReachFacts:
    """How far one came with one server; what was not come to is None."""

    host: str
    unresolved: str | None
    """Why the name has no address."""
    addresses: tuple[Connected, ...] = ()
    failed: str | None = None
    """Why there is no conversation over TLS, for another reason than the certificate."""
    certificate: CertificateFacts | None = None
    fault: int | None = None
    """OpenSSL's number of why the certificate is not accepted, and its words."""
    fault_words: str = ""
    bound: BindResult | None = None
    bind_failed: str | None = None
    bind_spared: bool = False
    """Not tried, because another server has refused the password: some lock an account for that."""

    @property
    def secured(self) -> bool:
        """Whether there is a conversation over TLS."""
        answered = any(not one.failure for one in self.addresses)
        return answered and self.failed is None and self.fault is None


def judge_reach(server: str, facts: ReachFacts, now: float, warning_days: int) -> Iterator[Finding]:
    """`server` as a finding calls it; `now` in Unix seconds."""
    yield from _judge_network(server, facts)
    if not any(not one.failure for one in facts.addresses):
        return
    if facts.failed is not None:
        yield ill(
            f"{server}: TLS",
            f"It does not begin TLS: {facts.failed}.",
            "Check port and scheme in ldap.servers (ldaps:// is TLS from the first byte, mostly port 636; "
            "ldap:// is StartTLS, mostly port 389), and that the server has a certificate.",
        )
        return
    certificate = (facts.certificate, facts.fault, facts.fault_words)
    yield from judge_server(f"{server}: certificate", facts.host, *certificate, now, warning_days)
    if facts.secured:
        yield _judge_bind(f"{server}: bind", facts)


def _judge_network(server: str, facts: ReachFacts) -> Iterator[Finding]:
    if facts.unresolved is not None:
        yield ill(
            f"{server}: name",
            f"The name {facts.host} has no address: {facts.unresolved}.",
            "Correct the name in ldap.servers, or let this machine ask a DNS server that knows it "
            "(/etc/resolv.conf).",
        )
        return
    failed = [one for one in facts.addresses if one.failure]
    told = ", ".join(f"{one.address} ({one.failure})" for one in failed)
    change = (
        "Look whether the server runs and whether the firewalls in between let this machine in; "
        "`turngate ports` has the line for them."
    )
    if len(failed) == len(facts.addresses):
        yield ill(f"{server}: network", f"No connection: {told}.", change)
    elif failed:
        yield look(f"{server}: network", f"Not every address of the name answers: {told}.", change)
    else:
        addresses = ", ".join(one.address for one in facts.addresses)
        yield well(f"{server}: network", f"It answers at {addresses}.")


# What Active Directory says behind result 49.
_REASONS = {
    "525": ("it knows no account of this name", "Correct ldap.bind_dn."),
    "52e": ("name or password is wrong", "Correct ldap.bind_dn, or what ldap.bind_password_file holds."),
    "530": ("the account may not sign in at this hour", "Allow the account all hours."),
    "531": ("the account may not sign in from here", "Allow the account this machine."),
    "532": ("its password has expired", "Let the account's password never expire, or set a new one."),
    "533": ("the account is disabled", "Enable the account."),
    "701": ("the account has expired", "Let the account never expire."),
    "773": ("its password must be changed first", "Set a password that need not be changed."),
    "775": ("the account is locked", "Unlock it, and see who uses a wrong password of it."),
}
# RFC 4511 appendix A.
_CODES = {
    8: ("it wants a stronger way to sign in than a password", "Let it take a simple bind over TLS."),
    13: ("it wants TLS", "Use ldaps:// in ldap.servers, or ldap:// with StartTLS on the server."),
    32: ("it has no entry of this name", "Correct ldap.bind_dn."),
    34: ("the name of the account is no distinguished name", "Correct ldap.bind_dn."),
    48: ("the entry has no password to sign in with", "Name an account that has one in ldap.bind_dn."),
    49: ("name or password is wrong", "Correct ldap.bind_dn, or what ldap.bind_password_file holds."),
    50: ("the account may not sign in", "Allow it to."),
    51: ("it is too busy", "Try again; if it stays so, ask those who run the server."),
    52: ("it is not available", "Try again; if it stays so, ask those who run the server."),
    53: ("it is unwilling to, mostly because the account is locked or disabled", "Ask those who run it."),
}


def refused_password(facts: ReachFacts) -> bool:
    """Whether it counted as a wrong password."""
    return facts.bound is not None and facts.bound.code == INVALID_CREDENTIALS


def _judge_bind(check: str, facts: ReachFacts) -> Finding:
    if facts.bind_spared:
        return look(
            check,
            "Not tried: another server has refused the password, and every try counts against the account.",
            "Mend the service account first, then run this again.",
        )
    if facts.bound is None:
        return ill(
            check,
            f"The service account got no answer: {facts.bind_failed or 'nothing came back'}.",
            "Look at the server's log: it closes or holds up the conversation.",
        )
    if facts.bound.accepted:
        return well(check, "The service account signs in.")
    code = facts.bound.code
    data = _CODE.search(facts.bound.diagnostic) if code == INVALID_CREDENTIALS else None
    unknown = (f"it gives the result {code}", "Ask those who run the server what it means.")
    words, change = _REASONS.get(data[1] if data else "") or _CODES.get(code, unknown)
    return ill(check, f"The service account is refused: {words}.", change)
