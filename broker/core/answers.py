"""Answers that refuse: the error frame for a row of the table or for a decision, and a denial on record."""

from __future__ import annotations

import zlib

from auth.principal import Guest, Insider
from broker.core.commands import (
    Answer,
    Command,
    ConnectionId,
    Note,
    PlainEffect,
    ReplyRefused,
    RequestId,
    Tell,
)
from broker.core.errors import AUDIT_UNAVAILABLE, EMERGENCY_STOP, POLICY_REFUSED, ErrorRow
from broker.core.frames import Error
from broker.core.house import Connection
from broker.core.recording import draft
from broker.policy.decision import Code, Decision
from broker.policy.sentences import user_sentence

RETURN_AFTER_SECONDS = 60
RETURN_SPREAD_SECONDS = 120


def return_after_seconds(key: str) -> int:
    """When whoever was sent away by an emergency stop may try again: spread by a key that is another one for
    everybody, so that they do not all come at once."""
    return RETURN_AFTER_SECONDS + zlib.crc32(key.encode()) % RETURN_SPREAD_SECONDS


def error(
    row: ErrorRow,
    ref: str | None = None,
    call_id: str | None = None,
    return_after: int | None = None,
) -> Error:
    """The frame of one row."""
    return Error(
        code=row.code,
        message=row.sentence,
        retryable=row.retryable,
        ref=ref,
        call_id=call_id,
        return_after_seconds=return_after,
    )


def entry_refused(decision: Decision | None) -> ErrorRow:
    """The row with which a connection that may not be here is closed."""
    stopped = decision is not None and decision.code is Code.STOPPED
    return EMERGENCY_STOP if stopped else POLICY_REFUSED


def denial(
    decision: Decision, reader: Insider | Guest, ref: str | None = None, call_id: str | None = None
) -> Error:
    """The frame of a decision that denies: its code, id and sentence, and nothing of the rules. An outsider
    is not told which kind of denial it is: a zone or an expiry says something about the organisation."""
    stopped = decision.code is Code.STOPPED
    told = isinstance(reader, Insider) or decision.code is Code.NOT_YOUR_HOST
    code = EMERGENCY_STOP.code if stopped else decision.code if told else Code.DENIED
    return Error(
        code=code,
        message=user_sentence(decision.code, isinstance(reader, Insider)),
        retryable=stopped,
        decision_id=decision.id,
        ref=ref,
        call_id=call_id,
        return_after_seconds=return_after_seconds(decision.id) if stopped else None,
    )


def refuse(
    connection_id: ConnectionId, row: ErrorRow, ref: str | None = None, call_id: str | None = None
) -> list[Command]:
    """Tell one connection that it cannot be."""
    return [Answer((Tell(connection_id, error(row, ref, call_id)),))]


def unrecorded(
    connection_id: ConnectionId, ref: str | None = None, call_id: str | None = None
) -> tuple[PlainEffect, ...]:
    """What a connection hears when the record of its action could not be written."""
    return (Tell(connection_id, error(AUDIT_UNAVAILABLE, ref, call_id)),)


def deny(
    connection: Connection,
    decision: Decision,
    session_id: str | None = None,
    ref: str | None = None,
    call_id: str | None = None,
) -> list[Command]:
    """Record a denial, then tell the connection that asked."""
    connection_id = connection.connection_id
    record = draft("decision.denied", session_id or connection_id, basis=(decision,))
    told = Tell(connection_id, denial(decision, connection.principal, ref, call_id))
    return [Note((record,), (told,), on_failure=unrecorded(connection_id, ref, call_id))]


def instead_of(effects: tuple[PlainEffect, ...]) -> tuple[PlainEffect, ...]:
    """What an opening's failure would have said, in the words of the emergency stop that came before it was
    let out."""
    told: list[PlainEffect] = []
    for effect in effects:
        if isinstance(effect, ReplyRefused):
            told.append(reply(effect.request_id, EMERGENCY_STOP))
        elif isinstance(effect, Tell) and isinstance(effect.frame, Error):
            frame = error(EMERGENCY_STOP, effect.frame.ref, effect.frame.call_id)
            told.append(Tell(effect.connection_id, frame))
    return tuple(told)


def reply(request_id: RequestId, row: ErrorRow) -> ReplyRefused:
    """The HTTP answer of one row."""
    return ReplyRefused(request_id, row.http_status, error(row))


def reply_denied(request_id: RequestId, decision: Decision, reader: Insider | Guest) -> list[Command]:
    """Record a denial at a door, then answer the request."""
    answer = ReplyRefused(request_id, entry_refused(decision).http_status, denial(decision, reader))
    record = draft("decision.denied", basis=(decision,))
    return [Note((record,), (answer,), on_failure=(reply(request_id, AUDIT_UNAVAILABLE),))]
