"""Questions to the record: which connections were there, between whom, what let them through, what did they
carry.

All over a read-only connection. A connection, to an investigator, is a session: a signalling connection, a
call or a visit. What is read here is not proven; `verify` does that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, FromClause, Select, and_, exists, func, or_, select, true

from auth.principal import PartyId
from broker.audit.catalogue import CATALOGUE, COUNTING_TYPES, ENDING_TYPES, OPENING_TYPES, SESSION_KINDS
from broker.audit.history import SUMMARISED_TYPES, Record, Summary, read_records, summarise
from broker.audit.record import canonical
from broker.audit.schema import personal, records
from broker.policy.stop import Scope, ScopeError, Stop, parse_scope

_SESSIONS_AT_ONCE = 100
_PERSON_NAMES = ("%login", "%name")
_ADDRESS_NAMES = ("%address", "%prefix")


class QueryError(ValueError):
    """A question that has no answer because it is not one."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Each narrows; all must hold. Times are milliseconds since 1970."""

    person: str | None = None
    """A login or a name, as it was recorded."""
    address: str | None = None
    """An address (or a stranger's prefix), as it was recorded."""
    since_ms: int | None = None
    """Sessions that were still open then, or opened later."""
    until_ms: int | None = None
    """Sessions that were opened before then."""
    session_id: str | None = None
    type: str | None = None
    """A kind of session, or a type of record that the session has."""
    limit: int = 100


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session of the last run that was opened and never ended."""

    session_id: str
    kind: str
    last_counters: str
    """The fields of its last counters as JSON; empty when none were recorded."""


def list_sessions(connection: Connection, filters: Filters) -> Iterator[Summary]:
    """The newest sessions that pass, newest first."""
    opened = records.alias("opened")
    query = (
        select(opened.c.session_id)
        .where(
            opened.c.type.in_(OPENING_TYPES), opened.c.session_id.is_not(None), *_conditions(opened, filters)
        )
        .order_by(opened.c.seq.desc())
        .limit(filters.limit)
    )
    found = list(dict.fromkeys(connection.execute(query).scalars()))
    for start in range(0, len(found), _SESSIONS_AT_ONCE):
        chunk = found[start : start + _SESSIONS_AT_ONCE]
        chosen = and_(records.c.session_id.in_(chunk), records.c.type.in_(SUMMARISED_TYPES))
        by_session: dict[str, list[Record]] = {}
        for record in read_records(connection, chosen):
            by_session.setdefault(record.session_id or "", []).append(record)
        yield from (summarise(by_session[session_id]) for session_id in chunk)


def show_session(connection: Connection, session_id: str) -> tuple[Summary, list[Record]] | None:
    """A session with all its records in order; None when none is about it."""
    history = list(read_records(connection, records.c.session_id == session_id))
    return (summarise(history), history) if history else None


def records_of_type(connection: Connection, types: Sequence[str]) -> Iterator[Record]:
    """All records of these types, in order."""
    return read_records(connection, records.c.type.in_(types))


def latched_stops(connection: Connection) -> tuple[Stop, ...]:
    """Emergency stops that began and were not lifted since. A record that was tampered with is passed over:
    verification tells of it."""
    latched: dict[Scope, Stop] = {}
    lifted: dict[Scope, Stop] = {}
    types = ("emergency.stopped", "emergency.lifted", "emergency.lift_failed")
    for record in records_of_type(connection, types):
        named = str(record.fields.get("scope"))
        try:
            scope = parse_scope(f"user:{record.personal.get('scope.user')}" if named == "user" else named)
        except ScopeError:
            continue
        if record.type == "emergency.lifted" and scope in latched:
            lifted[scope] = latched.pop(scope)
        elif record.type == "emergency.lift_failed" and scope in lifted:
            latched[scope] = lifted.pop(scope)
        elif record.type == "emergency.stopped":
            since_ms = record.fields.get("since_ms")
            by = record.fields.get("by")
            latched[scope] = Stop(
                scope,
                since_ms if isinstance(since_ms, int) else 0,
                "restart",
                PartyId(by) if isinstance(by, str) else None,
            )
    return tuple(latched.values())


def open_sessions(connection: Connection) -> list[OpenSession]:
    """Sessions that never ended, with their last counters. Of connections and calls only those of the last
    run are looked at: earlier ones were settled by the records that follow `node.started`. A visit outlives
    its run."""
    last_start = connection.execute(
        select(func.max(records.c.seq)).where(records.c.type == "node.started")
    ).scalar()
    found = []
    for opening, kind in OPENING_TYPES.items():
        since = 0 if kind == "visit" else last_start or 0
        query = select(records.c.seq, records.c.session_id).where(
            records.c.type == opening,
            records.c.seq > since,
            records.c.session_id.is_not(None),
            ~_session_has(records, ENDING_TYPES),
        )
        found += [(row.seq, row.session_id, kind) for row in connection.execute(query)]
    return [
        OpenSession(session, kind, _last_counters(connection, session)) for _, session, kind in sorted(found)
    ]


def _last_counters(connection: Connection, session_id: str) -> str:
    newest = select(func.max(records.c.seq)).where(
        records.c.session_id == session_id, records.c.type.in_(COUNTING_TYPES)
    )
    for record in read_records(connection, records.c.seq == newest.scalar_subquery()):
        return canonical(record.fields).decode()
    return ""


def _conditions(opened: FromClause, filters: Filters) -> Iterator[ColumnElement[bool]]:
    if filters.session_id is not None:
        yield opened.c.session_id == filters.session_id
    if filters.until_ms is not None:
        yield opened.c.ts_ms < filters.until_ms
    if filters.since_ms is not None:
        yield or_(
            opened.c.ts_ms >= filters.since_ms,
            _session_has(opened, ENDING_TYPES, lambda other: other.c.ts_ms >= filters.since_ms),
            ~_session_has(opened, ENDING_TYPES),
        )
    if filters.type in SESSION_KINDS:
        yield opened.c.type == f"{filters.type}.opened"
    elif filters.type in CATALOGUE:
        yield _session_has(opened, (filters.type,))
    elif filters.type is not None:
        raise QueryError(f"no kind of session and no type of record is called {filters.type!a}")
    if filters.person is not None:
        yield opened.c.session_id.in_(_sessions_with(filters.person, _PERSON_NAMES))
    if filters.address is not None:
        yield opened.c.session_id.in_(_sessions_with(filters.address, _ADDRESS_NAMES))


def _session_has(
    session: FromClause,
    types: Sequence[str],
    and_also: Callable[[FromClause], ColumnElement[bool]] = lambda _: true(),
) -> ColumnElement[bool]:
    other = records.alias()
    same = other.c.session_id == session.c.session_id
    return exists().where(same, other.c.type.in_(types), and_also(other))


def _sessions_with(value: str, names: Sequence[str]) -> Select[tuple[str]]:
    """Session ids of records that hold this personal value under such a name."""
    named = or_(*(personal.c.name.like(name) for name in names))
    return (
        select(records.c.session_id)
        .join_from(personal, records, personal.c.seq == records.c.seq)
        .where(personal.c.value == value, named, records.c.session_id.is_not(None))
    )
