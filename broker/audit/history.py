"""Records as an investigator reads them, and what a session's records amount to.

What is read may have been tampered with: a member that is not what it should be is left out, never an error.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, select, type_coerce
from sqlalchemy.types import NullType

from broker.audit.catalogue import CATALOGUE, COUNTING_TYPES, ENDING_TYPES, OPENING_TYPES
from broker.audit.schema import personal, records

# As the driver has it: the column type would fail on a cell that is no longer bytes.
_BODY = type_coerce(records.c.body, NullType()).label("body")
_ROLES = ("party", "caller", "callee", "guest", "host")
"""Fields that name a party; what is personal about it is called `<role>.login`, `<role>.name`,
`<role>.address`."""
_INTRODUCING_TYPES = (*OPENING_TYPES, "call.answered", "visit.admitted")
SUMMARISED_TYPES = (*_INTRODUCING_TYPES, *ENDING_TYPES, *COUNTING_TYPES, "relay.allocated")
"""All that a summary is made from."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record. `personal` holds None for a value that was redacted."""

    seq: int
    ts: str
    node: str
    type: str
    session_id: str | None
    fields: Mapping[str, Any]
    personal: Mapping[str, str | None]

    def to_json(self) -> dict[str, Any]:
        known = CATALOGUE.get(self.type)
        return asdict(self) | {"sentence": known.sentence if known else ""}


@dataclass(slots=True)
class Party:
    """Someone in a session, under each role's name; None and nothing for what is not recorded or was
    redacted."""

    role: str
    party: str | None = None
    login: str | None = None
    name: str | None = None
    addresses: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Summary:
    """One external connection, in the words of an investigator's question."""

    session_id: str | None
    kind: str | None = None
    """None when the record of its opening is missing."""
    external: bool | None = None
    opened_at: str | None = None
    answered_at: str | None = None
    closed_at: str | None = None
    end: str | None = None
    """`closed`, `lost` or `refused`; None while it is open."""
    end_reason: str | None = None
    parties: list[Party] = field(default_factory=list)
    decisions: list[str] = field(default_factory=list)
    """Ids of the decisions that opened it."""
    rules: list[str] = field(default_factory=list)
    """Ids of the rules that these decisions rest on."""
    policy_revision: int | None = None
    bytes: Mapping[str, Any] = field(default_factory=dict)
    """By direction: `in` and `out` of the edge, or `a_to_b` and `b_to_a` between the parties of a call."""
    packets: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def read_records(connection: Connection, condition: ColumnElement[bool]) -> Iterator[Record]:
    """The records that match, in order, with their personal values."""
    query = (
        select(records.c.seq, records.c.type, records.c.session_id, _BODY)
        .where(condition)
        .order_by(records.c.seq)
    )
    kept = (
        select(personal.c.seq, personal.c.name, personal.c.value)
        .join_from(personal, records, personal.c.seq == records.c.seq)
        .where(condition)
    )
    values: dict[int, dict[str, str]] = {}
    for row in connection.execute(kept):
        values.setdefault(row.seq, {})[row.name] = row.value
    for row in connection.execute(query):
        yield _record(row, values.get(row.seq, {}))


def summarise(history: Sequence[Record]) -> Summary:
    """What a session's records, in order, say about it."""
    summary = Summary(history[0].session_id if history else None)
    people: dict[str, Party] = {}
    for record in history:
        _meet_people(people, record)
        if record.type in OPENING_TYPES:
            _open(summary, record)
        elif record.type == "call.answered":
            summary.answered_at = record.ts
        elif record.type in ENDING_TYPES:
            _end(summary, record)
        _count(summary, record.fields)
    summary.parties = list(people.values())
    return summary


def _open(summary: Summary, record: Record) -> None:
    summary.kind = OPENING_TYPES[record.type]
    summary.opened_at = record.ts
    # A visitor is a guest by definition; the other kinds say whether one of the parties is.
    summary.external = record.fields.get("external", summary.kind == "visit") is True
    for decision in _dicts(record.fields.get("decisions")):
        summary.decisions.append(str(decision.get("id")))
        rules = decision.get("determining_rules")
        for rule in rules if isinstance(rules, list) else []:
            if str(rule) not in summary.rules:
                summary.rules.append(str(rule))
        revision = decision.get("policy_revision")
        summary.policy_revision = revision if isinstance(revision, int) else None


def _end(summary: Summary, record: Record) -> None:
    summary.closed_at = record.ts
    summary.end = record.type.rpartition(".")[2]
    reason = record.fields.get("reason")
    summary.end_reason = reason if isinstance(reason, str) else None
    last_count = record.fields.get("last_count")
    if isinstance(last_count, str):
        _count(summary, _dict(last_count))


def _count(summary: Summary, fields: Mapping[str, Any]) -> None:
    """Later counters replace earlier ones: they only ever grow."""
    carried, packets = fields.get("bytes"), fields.get("packets")
    if isinstance(carried, dict) and isinstance(packets, dict):
        summary.bytes, summary.packets = carried, packets


def _meet_people(people: dict[str, Party], record: Record) -> None:
    if record.type in _INTRODUCING_TYPES:
        for role in _ROLES:
            party = record.fields.get(role)
            if isinstance(party, str):
                people.setdefault(role, Party(role)).party = party
        for role, person in people.items():
            person.login = record.personal.get(f"{role}.login") or person.login
            person.name = record.personal.get(f"{role}.name") or person.name
            _add_address(person, record.personal.get(f"{role}.address"))
    elif record.type == "relay.allocated":
        for person in people.values():
            if person.party == record.fields.get("party"):
                _add_address(person, record.personal.get("client.address"))


def _add_address(person: Party, address: str | None) -> None:
    if address is not None and address not in person.addresses:
        person.addresses.append(address)


def _record(row: Row[Any], values: Mapping[str, Any]) -> Record:
    body = _dict(row.body)
    committed = _dict(body.get("personal"))
    return Record(
        seq=row.seq,
        ts=str(body.get("ts", "")),
        node=str(body.get("node", "")),
        type=str(row.type),
        session_id=row.session_id,
        fields=_dict(body.get("fields")),
        personal={name: values.get(name) for name in committed},
    )


def _dict(value: object) -> dict[str, Any]:
    """The value, or the JSON text of one, if it is an object; else an empty one."""
    if isinstance(value, bytes | str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return value if isinstance(value, dict) else {}


def _dicts(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
