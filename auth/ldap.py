"""LdapDirectory: people and groups of an OpenLDAP or Active Directory, asked over the network."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog

from auth.case_ignore import case_ignore_key
from auth.directory import (
    CredentialCheck,
    CredentialOutcome,
    DirectoryEntry,
    DirectoryUnavailable,
    EntryState,
)
from auth.ldap_filter import all_of, any_of, equals
from auth.ldap_groups import GroupGraph, follows_chains, in_chain, member_of
from auth.ldap_link import (
    CONSTRAINT_VIOLATION,
    INSUFFICIENT_ACCESS_RIGHTS,
    INVALID_CREDENTIALS,
    UNWILLING_TO_PERFORM,
    BindResult,
    LdapLink,
    LdapRecord,
    LdapServer,
    verifying_context,
)
from auth.ldap_people import MAX_LOGIN_CHARACTERS, LdapPeople
from auth.ldap_schema import schema_of
from auth.ldap_servers import Attempt, LdapServers
from auth.passwords import password_bytes
from auth.threads import BoundedThreads
from config.ldap import LdapSettings

log = structlog.get_logger(__name__)

_REFUSALS = (CONSTRAINT_VIOLATION, INVALID_CREDENTIALS, INSUFFICIENT_ACCESS_RIGHTS, UNWILLING_TO_PERFORM)
"""Results that speak of the account; all others speak of the server."""
IDS_PER_SEARCH = 100
MAX_WAITING = 64
MAX_KNOWN = 16_384
"""Entries kept for when they are asked for again."""


@dataclass(frozen=True, slots=True)
class _Known:
    entry: DirectoryEntry
    read_at: float


class LdapDirectory:
    """Fulfils `auth.directory.Directory`. Belongs to one event loop; whatever waits for a server does so in a
    thread. Passwords, questions about people, and the watch over those who are present have threads of their
    own: none of them can hold up another."""

    def __init__(
        self,
        kind: str,
        settings: LdapSettings,
        *,
        outage_grace_seconds: float,
        wall_clock: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Does not connect yet. Raises OSError, ssl.SSLError for authorities that do not load, and
        ValueError where the settings name no server, account or base."""
        service = (settings.bind_dn, settings.bind_password)
        if not settings.servers or None in (*service, settings.people_base, settings.groups_base):
            raise ValueError("an LDAP directory needs servers, a service account and both bases")
        schema = schema_of(kind, settings)
        self._people = LdapPeople.configured(schema, settings)
        self._schema = schema
        self._groups_base = settings.groups_base or ""
        self._nested_groups = settings.nested_groups
        password = settings.bind_password.get_secret_value().encode() if settings.bind_password else b""
        self._servers = LdapServers(
            [LdapServer.at(url) for url in settings.servers],
            verifying_context(settings.ca_file),
            (settings.bind_dn or "", password),
            settings.timeout_seconds,
        )
        # Every server may have to run into its timeout before the last one answers.
        self._limit_seconds = float(settings.timeout_seconds * (len(settings.servers) + 1))
        self._fresh_seconds = float(settings.poll_seconds)
        self._grace_seconds = outage_grace_seconds
        self._wall_clock, self._clock = wall_clock, clock
        self._passwords = BoundedThreads("sign-ins", settings.threads, MAX_WAITING)
        self._questions = BoundedThreads("questions to the directory", 2, MAX_WAITING)
        self._watch = BoundedThreads("looks at the directory", 1, 1)
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._listed: tuple[int, float, Sequence[DirectoryEntry]] = (0, -math.inf, ())
        """For how many it was, when it was read, and whom it named."""
        self._graph = self._new_graph()
        self._graph_at = -math.inf
        self._chains_followed = False

    async def check(self, login: str, password: str) -> CredentialCheck:
        """See `Directory.check`. An unknown login costs a bind like a known one. The password is sent once,
        to one server; an empty one, or one that a server could take for empty, to none."""
        encoded = password_bytes(password)
        if encoded is None or b"\0" in encoded or not _could_be_a_login(login):
            return CredentialCheck(CredentialOutcome.WRONG, None)
        attempt = Attempt()
        try:
            checked = await self._passwords.run(
                lambda: self._check(attempt, login, encoded), 2 * self._limit_seconds, attempt.abandon
            )
        except DirectoryUnavailable as unavailable:
            raise DirectoryUnavailable(str(unavailable), may_have_counted=attempt.bind_unanswered) from None
        self._remember(checked.entry)
        return checked

    async def get(self, stable_id: str) -> DirectoryEntry | None:
        """See `Directory.get`. What was read within the interval of the watch is taken as it was; while no
        server answers, so is what was read within the grace of an outage."""
        known = self._known.get(stable_id)
        age = self._clock() - known.read_at if known is not None else math.inf
        if known is not None and age < self._fresh_seconds:
            return known.entry
        try:
            return (await self._read(self._questions, (stable_id,))).get(stable_id)
        except DirectoryUnavailable:
            if known is not None and age < self._grace_seconds:
                return known.entry
            raise

    async def find(self, login: str) -> DirectoryEntry | None:
        if not _could_be_a_login(login):
            return None
        attempt = Attempt()
        _, entry = await self._questions.run(
            lambda: self._find(attempt, login), self._limit_seconds, attempt.abandon
        )
        self._remember(entry)
        return entry

    async def list_entries(self, limit: int) -> Sequence[DirectoryEntry]:
        """See `Directory.list_entries`; the first that the server names, sorted by name. The same is told
        again within the interval of the watch and, while no server answers, within the grace of an outage."""
        if limit <= 0:
            return []
        now = self._clock()
        asked, at, told = self._listed
        if asked >= limit and now - at < self._fresh_seconds:
            return told[:limit]
        attempt = Attempt()
        try:
            entries = await self._questions.run(
                lambda: self._list(attempt, limit), 10 * self._limit_seconds, attempt.abandon
            )
        except DirectoryUnavailable:
            if asked >= limit and now - at < self._grace_seconds:
                return told[:limit]
            raise
        entries.sort(key=lambda entry: (case_ignore_key(entry.name.reveal()), entry.stable_id))
        self._listed = (limit, now, entries)
        return entries

    async def read(self, stable_ids: Iterable[str]) -> Mapping[str, DirectoryEntry]:
        """See `Directory.read`."""
        self._graph_at = -math.inf  # groups are read anew, too
        return await self._read(self._watch, tuple(stable_ids))

    def servers(self) -> Mapping[str, bool]:
        """Which servers answer, by address."""
        return self._servers.states()

    async def close(self) -> None:
        for threads in (self._passwords, self._questions, self._watch):
            await threads.close()
        self._servers.close()

    async def _read(self, threads: BoundedThreads, ids: Sequence[str]) -> dict[str, DirectoryEntry]:
        attempt = Attempt()
        limit_seconds = self._limit_seconds + len(ids) / IDS_PER_SEARCH
        known = [found for one in ids if (found := _as_uuid(one)) is not None]
        entries = await threads.run(lambda: self._read_ids(attempt, known), limit_seconds, attempt.abandon)
        for one in ids:
            self._known.pop(one, None)
        for entry in entries:
            self._remember(entry)
        return {entry.stable_id: entry for entry in entries}

    # --- in threads -----------------------------------------------------------------------------------------

    def _check(self, attempt: Attempt, login: str, password: bytes) -> CredentialCheck:
        dn, entry = self._find(attempt, login)
        result = self._servers.bind_as(attempt, dn, password)
        if result.accepted and entry is not None and entry.state is EntryState.LOCKED:
            # OpenLDAP takes off a lock whose time is over when the password is right.
            _, entry = self._find(attempt, login)
        return self._outcome(entry, result)

    def _find(self, attempt: Attempt, login: str) -> tuple[str, DirectoryEntry | None]:
        """The distinguished name and the person of this login; a name that nobody has where it is not
        exactly one's."""
        people = self._people
        wanted = all_of(people.filter_text, equals(people.login_attribute, login))
        nobody = f"cn=nobody,{people.base}"

        def search(link: LdapLink) -> tuple[str, DirectoryEntry | None]:
            records = link.search(people.base, wanted, people.attributes, limit=2)
            if len(records) > 1:
                log.error("directory.login_taken_twice", attribute=people.login_attribute)
                return nobody, None
            records = [record for record in records if people.goes_by(record, login)]
            entries = self._entries(link, records)
            return (records[0].dn, entries[0]) if entries else (nobody, None)

        return self._servers.search(attempt, search)

    def _list(self, attempt: Attempt, limit: int) -> list[DirectoryEntry]:
        now = self._wall_clock()

        def is_active(record: LdapRecord) -> bool:
            return self._schema.state(record, now) is EntryState.ACTIVE

        def search(link: LdapLink) -> list[DirectoryEntry]:
            people = self._people
            found = link.search(
                people.base, people.filter_text, people.attributes, limit=limit, wanted=is_active
            )
            return self._entries(link, found)

        return self._servers.search(attempt, search)

    def _outcome(self, entry: DirectoryEntry | None, result: BindResult) -> CredentialCheck:
        if result.accepted:
            if entry is None:
                # Some servers let anybody in as nobody.
                return CredentialCheck(CredentialOutcome.UNKNOWN, None)
            is_active = entry.state is EntryState.ACTIVE
            outcome = CredentialOutcome.ACCEPTED if is_active else CredentialOutcome.NOT_ACTIVE
            return CredentialCheck(outcome, entry, entry.state.value)
        if result.code not in _REFUSALS:
            raise DirectoryUnavailable(f"a bind was answered with result {result.code}")
        if entry is None:
            return CredentialCheck(CredentialOutcome.UNKNOWN, None)
        code, was_right = self._schema.refusal(result)
        outcome = CredentialOutcome.NOT_ACTIVE if was_right else CredentialOutcome.WRONG
        return CredentialCheck(outcome, entry, code)

    def _read_ids(self, attempt: Attempt, ids: Sequence[UUID]) -> list[DirectoryEntry]:
        def search(link: LdapLink) -> list[DirectoryEntry]:
            people = self._people
            records: list[LdapRecord] = []
            for start in range(0, len(ids), IDS_PER_SEARCH):
                some = any_of(self._schema.id_filter(one) for one in ids[start : start + IDS_PER_SEARCH])
                records += link.search(people.base, all_of(people.filter_text, some), people.attributes)
            if not ids:
                link.root()  # to know whether the server is there
            return self._entries(link, records)

        return self._servers.search(attempt, search)

    def _entries(self, link: LdapLink, records: Sequence[LdapRecord]) -> list[DirectoryEntry]:
        now = self._wall_clock()
        if self._nested_groups == "chain":
            self._demand_chains(link)
            groups = [in_chain(link, self._schema, self._groups_base, record.dn) for record in records]
        else:
            graph = self._current_graph()
            graph.read(link, (name for record in records for name in member_of(record)))
            groups = [graph.groups_of(member_of(record)) for record in records]
        people = (self._people.person(record, of, now) for record, of in zip(records, groups, strict=True))
        return [person for person in people if person is not None]

    def _demand_chains(self, link: LdapLink) -> None:
        """Without them, a server answers that nobody is in any group."""
        if not self._chains_followed:
            if not follows_chains(link, self._schema, self._people.base, self._groups_base):
                raise DirectoryUnavailable("the server does not follow groups in a chain: set nested_groups")
            self._chains_followed = True

    def _new_graph(self) -> GroupGraph:
        return GroupGraph(self._schema, self._groups_base, nested=self._nested_groups == "expand")

    def _current_graph(self) -> GroupGraph:
        """Shared among those who ask within the interval of the watch."""
        now = self._clock()
        if now - self._graph_at >= self._fresh_seconds:
            self._graph, self._graph_at = self._new_graph(), now
        return self._graph

    def _remember(self, entry: DirectoryEntry | None) -> None:
        if entry is None:
            return
        self._known[entry.stable_id] = _Known(entry, self._clock())
        self._known.move_to_end(entry.stable_id)
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)


def _as_uuid(stable_id: str) -> UUID | None:
    """None for what another kind of directory gave out."""
    try:
        return UUID(stable_id)
    except ValueError:
        return None


def _could_be_a_login(login: str) -> bool:
    return bool(login.strip()) and len(login) <= MAX_LOGIN_CHARACTERS
