"""Store: the one database, written in batches by the writer's thread and read through a second, read-only
connection.

Records and product state commit in one transaction. SQLite runs in WAL mode with synchronous=FULL, so a
commit that returned is on disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, assert_never

from sqlalchemy import Connection, Engine, create_engine, delete, event, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.engine import make_url

from auth.personal import Personal
from auth.principal import Guest, PartyId
from auth.throttle import SignInFailure
from broker.audit import schema as audit_schema
from broker.audit.history import Record
from broker.audit.ledger import Ledger
from broker.audit.query import latched_stops, open_sessions, records_of_type
from broker.audit.record import Draft
from broker.core import commands as c
from broker.core.events import Started
from broker.core.gate import Receipt
from broker.core.stored import Invitation, LostSession, SecurityKey, StoredSignIn, StoredVisit
from broker.shell.journal import Mark
from broker.shell.schema import (
    CODE_STEPS,
    INVITATIONS,
    JOURNAL_MARK,
    MESSAGES,
    METADATA,
    SECURITY_KEYS,
    SIGN_IN_FAILURES,
    SIGN_INS,
    VISITS,
)


@dataclass(frozen=True, slots=True)
class Entry:
    """What one command wants durable: its records, in order, and the rows that go with them."""

    wall_ms: int
    records: tuple[Draft, ...]
    writes: tuple[c.Write, ...]
    mark: Mark | None = None
    """Where the entry stands in the journal, for those that do."""


@dataclass(frozen=True, slots=True)
class WaitingMessage:
    message_id: str
    sender: PartyId
    text: Personal
    sent_at_ms: int


def open_engine(url: str, *, read_only: bool = False) -> Engine:
    """An engine for the store's URL; for SQLite with the pragmas that durability rests on."""
    # Hidden, because parameters are message texts and names, and errors go to the log.
    engine = create_engine(
        url, pool_size=1, max_overflow=0, connect_args=_connect_args(url), hide_parameters=True
    )
    if engine.dialect.name == "sqlite":
        pragmas = ["journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000"]
        if read_only:
            pragmas = ["busy_timeout=5000", "query_only=ON"]

        @event.listens_for(engine, "connect")
        def set_pragmas(connection: Any, _: Any) -> None:
            for pragma in pragmas:
                connection.execute(f"PRAGMA {pragma}")

    return engine


def _connect_args(url: str) -> dict[str, Any]:
    return {"check_same_thread": False} if url.startswith("sqlite") else {}


def _keep_to_ourselves(url: str) -> None:
    """SQLite gives its journal files the mode of the database: nobody but the service reads any of them."""
    database = make_url(url).database
    if make_url(url).get_backend_name() == "sqlite" and database:
        Path(database).touch(mode=0o600)
        Path(database).chmod(0o600)


class Store:
    """The database. `commit` belongs to the writer's thread, the read methods to the reader's."""

    def __init__(self, url: str, ledger: Ledger) -> None:
        _keep_to_ourselves(url)
        self._engine = open_engine(url)
        METADATA.create_all(self._engine)
        audit_schema.metadata.create_all(self._engine)
        self._reader = open_engine(url, read_only=True)
        self._ledger = ledger
        with self._engine.connect() as connection:
            ledger.load(connection)

    def close(self) -> None:
        self._engine.dispose()
        self._reader.dispose()

    # --- the writer's side ----------------------------------------------------------------------------------

    def commit(self, entries: Sequence[Entry]) -> tuple[Receipt, str | None]:
        """Make the entries durable in one transaction; returns the receipt and the new signed head, which
        there is none of where none of them has a record.

        Raises what SQLAlchemy raises, and ValueError for a record that cannot be; nothing is written then.
        """
        with self._engine.begin() as connection:
            drafts = [(entry.wall_ms, draft) for entry in entries for draft in entry.records]
            appended = self._ledger.append(connection, drafts) if drafts else None
            for entry in entries:
                for write in entry.writes:
                    _write(connection, write)
                if entry.mark is not None:
                    _mark(connection, entry.mark)
        if appended is None:
            return Receipt(self._ledger.size + 1, self._ledger.size), None
        self._ledger.adopt(appended)
        return Receipt(appended.first_seq, appended.last_seq), appended.head_note

    # --- the reader's side ----------------------------------------------------------------------------------

    def sign_in_failures(self) -> list[SignInFailure]:
        """The wrong passwords of earlier runs that may still count."""
        with self._reader.connect() as connection:
            rows = connection.execute(select(SIGN_IN_FAILURES)).all()
        return [
            SignInFailure(row.login_key, Personal(row.source_key), row.at_ms, row.counts_until_ms)
            for row in rows
        ]

    def invited_by(self, invitation_id: str) -> PartyId | None:
        """Who made this invitation."""
        query = select(INVITATIONS.c.invited_by).where(INVITATIONS.c.invitation_id == invitation_id)
        with self._reader.connect() as connection:
            party = connection.execute(query).scalar()
        return PartyId(party) if party is not None else None

    def guest(self, party: PartyId) -> Guest | None:
        """A guest by their party id, while their visit lasts."""
        with self._reader.connect() as connection:
            row = connection.execute(select(VISITS).where(VISITS.c.guest == party)).one_or_none()
        return _guest(row) if row is not None else None

    def waiting_messages(self, party: PartyId, limit: int) -> list[WaitingMessage]:
        """The oldest messages that wait for this party."""
        query = (
            select(MESSAGES)
            .where(MESSAGES.c.recipient == party, MESSAGES.c.outcome.is_(None))
            .order_by(MESSAGES.c.sent_at_ms, MESSAGES.c.message_id)
            .limit(limit)
        )
        with self._reader.connect() as connection:
            rows = connection.execute(query).all()
        return [
            WaitingMessage(row.message_id, PartyId(row.sender), Personal(row.text), row.sent_at_ms)
            for row in rows
        ]

    def started(self, now_unix_seconds: int) -> Started:
        """What the previous run left: invitations that are good or by which somebody is in, live visits,
        sign-ins, and sessions it never closed."""
        with self._reader.connect() as connection:
            last = VISITS.c.expires_at > now_unix_seconds
            visits = connection.execute(select(VISITS).where(last)).all()
            somebody_is_in = INVITATIONS.c.invitation_id.in_(select(VISITS.c.invitation_id).where(last))
            good = INVITATIONS.c.expires_at > now_unix_seconds
            invitations = connection.execute(select(INVITATIONS).where(good | somebody_is_in)).all()
            sign_ins = connection.execute(select(SIGN_INS).order_by(SIGN_INS.c.began_at)).all()
            lost = open_sessions(connection)
            stops = latched_stops(connection)
            code_steps = connection.execute(select(CODE_STEPS)).all()
            keys = connection.execute(select(SECURITY_KEYS).order_by(SECURITY_KEYS.c.enrolled_at)).all()
        return Started(
            tuple(
                Invitation(
                    row.invitation_id,
                    PartyId(row.invited_by),
                    Personal(row.guest_name),
                    _personal(row.guest_email),
                    Personal(row.purpose),
                    row.lifetime_seconds,
                    row.redemptions,
                    row.issue,
                    row.expires_at,
                    row.redemptions_left,
                )
                for row in invitations
            ),
            tuple(StoredVisit(_guest(row), row.token_digest, row.admitted, row.expires_at) for row in visits),
            tuple(LostSession(session.session_id, session.kind, session.last_counters) for session in lost),
            stops,
            code_steps=tuple((PartyId(row.party), row.step) for row in code_steps),
            sign_ins=tuple(
                StoredSignIn(
                    row.sign_in_id,
                    row.token_digest,
                    PartyId(row.party),
                    Personal(row.prefix),
                    row.program,
                    row.began_at,
                    row.used_at,
                    row.expires_at,
                )
                for row in sign_ins
            ),
            security_keys=tuple(
                SecurityKey(
                    row.credential_id,
                    PartyId(row.party),
                    Personal(row.name),
                    row.public_key,
                    row.sign_count,
                    row.enrolled_at,
                    row.used_at,
                )
                for row in keys
            ),
        )

    def policy_history(self, limit: int) -> list[Record]:
        """The newest records of policies that came into force, newest first."""
        with self._reader.connect() as connection:
            return list(records_of_type(connection, ("policy.applied",)))[-limit:][::-1]

    def journal_mark(self) -> Mark:
        """How far the journal had been entered."""
        with self._reader.connect() as connection:
            row = connection.execute(select(JOURNAL_MARK)).one_or_none()
        return Mark(row.generation, row.entered) if row is not None else Mark(0, 0)


def _guest(row: Any) -> Guest:
    return Guest(
        PartyId(row.guest),
        Personal(row.name),
        row.invitation_id,
        PartyId(row.invited_by),
        email=_personal(row.email),
    )


def _personal(text: str | None) -> Personal | None:
    return None if text is None else Personal(text)


def _text(personal: Personal | None) -> str | None:
    return None if personal is None else personal.reveal()


def _mark(connection: Connection, mark: Mark) -> None:
    connection.execute(delete(JOURNAL_MARK))
    connection.execute(insert(JOURNAL_MARK).values(generation=mark.generation, entered=mark.entered))


def _write(connection: Connection, write: c.Write) -> None:
    match write:
        case c.SaveSignIn():
            kept = write.sign_in
            row = {
                "sign_in_id": kept.sign_in_id,
                "party": kept.party,
                "prefix": kept.prefix.reveal(),
                "program": kept.program,
                "began_at": kept.began_at_unix_seconds,
                "used_at": kept.used_at_unix_seconds,
                "expires_at": kept.expires_at_unix_seconds,
            }
            statement = upsert(SIGN_INS).values(token_digest=kept.token_digest, **row)
            connection.execute(statement.on_conflict_do_update(index_elements=["token_digest"], set_=row))
        case c.SaveSignInFailure():
            failure = write.failure
            over = SIGN_IN_FAILURES.c.counts_until_ms <= failure.at_ms
            connection.execute(delete(SIGN_IN_FAILURES).where(over))
            connection.execute(
                insert(SIGN_IN_FAILURES).values(
                    login_key=failure.login_key,
                    source_key=failure.source_key.reveal(),
                    at_ms=failure.at_ms,
                    counts_until_ms=failure.counts_until_ms,
                )
            )
        case c.SaveCodeStep():
            statement = upsert(CODE_STEPS).values(party=write.party, step=write.step)
            connection.execute(
                statement.on_conflict_do_update(index_elements=["party"], set_={"step": write.step})
            )
        case c.SaveSecurityKey():
            row = {
                "party": write.key.party,
                "name": write.key.name.reveal(),
                "public_key": write.key.public_key,
                "sign_count": write.key.sign_count,
                "enrolled_at": write.key.enrolled_at_unix_seconds,
                "used_at": write.key.used_at_unix_seconds,
            }
            statement = upsert(SECURITY_KEYS).values(credential_id=write.key.credential_id, **row)
            connection.execute(statement.on_conflict_do_update(index_elements=["credential_id"], set_=row))
        case c.SaveMessage():
            connection.execute(
                upsert(MESSAGES)
                .values(
                    message_id=write.message_id,
                    sender=write.sender,
                    recipient=write.recipient,
                    text=write.text.reveal(),
                    sent_at_ms=write.sent_at_ms,
                )
                .on_conflict_do_nothing()
            )
        case c.SettleMessage():
            connection.execute(
                update(MESSAGES)
                .where(MESSAGES.c.message_id == write.message_id, MESSAGES.c.recipient == write.recipient)
                .values(outcome=write.outcome)
            )
        case c.SaveInvitation():
            invitation = write.invitation
            row = {
                "invited_by": invitation.invited_by,
                "guest_name": invitation.guest_name.reveal(),
                "guest_email": _text(invitation.guest_email),
                "purpose": invitation.purpose.reveal(),
                "lifetime_seconds": invitation.lifetime_seconds,
                "redemptions": invitation.redemptions,
                "issue": invitation.issue,
                "expires_at": invitation.expires_at_unix_seconds,
                "redemptions_left": invitation.redemptions_left,
            }
            statement = upsert(INVITATIONS).values(invitation_id=invitation.invitation_id, **row)
            connection.execute(statement.on_conflict_do_update(index_elements=["invitation_id"], set_=row))
        case c.SaveVisit():
            row = {
                "name": write.name.reveal(),
                "email": _text(write.email),
                "invitation_id": write.invitation_id,
                "invited_by": write.invited_by,
                "token_digest": write.token_digest,
                "admitted": write.admitted,
                "expires_at": write.expires_at_unix_seconds,
            }
            statement = upsert(VISITS).values(guest=write.guest, **row)
            connection.execute(statement.on_conflict_do_update(index_elements=["guest"], set_=row))
        case c.EndSignIn():
            connection.execute(delete(SIGN_INS).where(SIGN_INS.c.token_digest == write.token_digest))
        case c.EndSignInsOf():
            connection.execute(delete(SIGN_INS).where(SIGN_INS.c.party == write.party))
        case c.EndEverySignIn():
            connection.execute(delete(SIGN_INS))
        case c.RemoveSecurityKey():
            gone = SECURITY_KEYS.c.credential_id == write.credential_id
            connection.execute(delete(SECURITY_KEYS).where(gone))
        case c.RevokeInvitation():
            connection.execute(delete(INVITATIONS).where(INVITATIONS.c.invitation_id == write.invitation_id))
        case c.EndVisit():
            connection.execute(delete(VISITS).where(VISITS.c.guest == write.guest))
        case _:
            assert_never(write)
