"""Asking one server of the directory, over one connection and with one bind, all that is to be known."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Timer
from typing import TypeVar

from auth.ldap_link import AnswerError, LdapLink, LdapServer, LinkError
from auth.ldap_lockout import LockoutPolicy, read_lockout
from auth.ldap_schema import generalized_time
from broker.shell.doctor.certificate import CertificateError, CertificateFacts, read_certificate
from broker.shell.doctor.directory_contents import Questions
from broker.shell.doctor.directory_groups import GroupFacts, MembershipFacts, NestedFacts
from broker.shell.doctor.directory_people import DisabledFacts, LoginFacts, PeopleFacts, Refused
from broker.shell.doctor.directory_reach import Connected, ReachFacts
from broker.shell.doctor.resolving import addresses_of
from config.ldap import LdapSettings

Answer = TypeVar("Answer")

SERVER_SECONDS = 90.0
"""For all questions to one server, however slowly it answers each."""


@dataclass(slots=True)
class ContentFacts:
    """What a server answered; None for what was not come to."""

    ahead_seconds: float | None = None
    """How far this machine's clock is ahead of the server's."""
    people: PeopleFacts | Refused | None = None
    disabled: DisabledFacts | Refused | None = None
    groups: GroupFacts | Refused | None = None
    membership: MembershipFacts | Refused | None = None
    follows_chains: bool | Refused | None = None
    nested: NestedFacts | Refused | None = None
    named: dict[str, int | None] | Refused | None = None
    """Of groups that the settings or the policy name, how many members each lists; None for one that is not
    there."""
    lockout: list[LockoutPolicy] | Refused | None = None
    login: LoginFacts | Refused | None = None
    broke_off: str | None = None
    """Why there are no further answers."""


def ask_server(
    server: LdapServer,
    kind: str,
    settings: LdapSettings,
    context: ssl.SSLContext,
    groups: Sequence[str],
    login: str | None,
    *,
    spare_bind: bool,
) -> tuple[ReachFacts, ContentFacts | None]:
    """Blocks for a time that is bounded; raises nothing."""
    reach = _connected(server, settings.timeout_seconds)
    if not any(not one.failure for one in reach.addresses):
        return reach, None
    with _open_link(server, context, settings.timeout_seconds) as link:
        reach = _secured(link, server, reach, settings.timeout_seconds)
        if not reach.secured:
            return reach, None
        if spare_bind:
            return replace(reach, bind_spared=True), None
        reach = _bound(link, reach, settings)
        if reach.bound is None or not reach.bound.accepted:
            return reach, None
        return reach, _answers(Questions(link, kind, settings), groups, login)


def _connected(server: LdapServer, timeout_seconds: float) -> ReachFacts:
    try:
        found = addresses_of(server.host)
    except OSError as unknown:
        return ReachFacts(server.host, unknown.strerror or "it is unknown")
    return ReachFacts(
        server.host, None, tuple(_connect(address, server.port, timeout_seconds) for address in found)
    )


def _connect(address: str, port: int, timeout_seconds: float) -> Connected:
    try:
        socket.create_connection((address, port), timeout_seconds).close()
    except TimeoutError:
        return Connected(address, "no answer")
    except OSError as failed:
        return Connected(address, failed.strerror or "it fails")
    return Connected(address, "")


@contextmanager
def _open_link(server: LdapServer, context: ssl.SSLContext, timeout_seconds: int) -> Iterator[LdapLink]:
    """A link, not open yet, that is cut when all of it has taken too long."""
    link = LdapLink(server, context, timeout_seconds)
    clock = Timer(SERVER_SECONDS, link.cut)
    clock.daemon = True
    clock.start()
    try:
        yield link
    finally:
        clock.cancel()
        link.close()


def _secured(link: LdapLink, server: LdapServer, reach: ReachFacts, timeout_seconds: int) -> ReachFacts:
    try:
        link.open()
    except LinkError as error:
        if error.certificate_fault is None:
            return replace(reach, failed=str(error))
        words = str(error).rpartition(": ")[2]
        shown = _shown(server, timeout_seconds)
        return replace(reach, certificate=shown, fault=error.certificate_fault, fault_words=words)
    return replace(reach, certificate=_read(link))


def _shown(server: LdapServer, timeout_seconds: int) -> CertificateFacts | None:
    """The certificate that was not accepted: it is looked at, and nothing is said to the server."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with _open_link(server, context, timeout_seconds) as link:
        try:
            link.open()
        except LinkError:
            return None
        return _read(link)


def _read(link: LdapLink) -> CertificateFacts | None:
    try:
        return read_certificate(link.certificate())
    except CertificateError:
        return None


def _bound(link: LdapLink, reach: ReachFacts, settings: LdapSettings) -> ReachFacts:
    password = settings.bind_password.get_secret_value().encode() if settings.bind_password else b""
    try:
        return replace(reach, bound=link.bind(settings.bind_dn or "", password))
    except LinkError as error:
        return replace(reach, bind_failed=str(error))


def _answers(questions: Questions, groups: Sequence[str], login: str | None) -> ContentFacts:
    """The answers, until the server gives none any more."""
    told = ContentFacts()
    link = questions.link
    try:
        told.ahead_seconds = _ahead(link)
        told.people = _asked(questions.people)
        told.disabled = _asked(questions.disabled)
        told.groups = _asked(questions.groups)
        told.membership = _asked(questions.membership)
        if questions.mode == "chain":
            told.follows_chains = _asked(questions.follows_chains)
        told.nested = _asked(questions.nested)
        told.named = _asked(lambda: questions.named(groups))
        told.lockout = _asked(lambda: read_lockout(link))
        if login is not None:
            told.login = _asked(lambda: questions.login(login))
    except LinkError as error:
        told.broke_off = str(error)
    return told


def _asked(question: Callable[[], Answer]) -> Answer | Refused:
    try:
        return question()
    except AnswerError as answer:
        return Refused(answer.code)


def _ahead(link: LdapLink) -> float | None:
    """None where the server does not tell its time."""
    before = time.time()
    try:
        told = generalized_time(link.root().first("currentTime"))
    except (AnswerError, ValueError):
        return None
    return None if told is None else (before + time.time()) / 2 - told
