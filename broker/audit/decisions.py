"""Decisions as the record holds them, for whoever asks the same questions of another policy."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection

from broker.audit.history import read_records
from broker.audit.schema import records
from broker.policy.replay import RecordedDecision


def recorded_decisions(connection: Connection, since_ms: int) -> Iterator[RecordedDecision]:
    """Every decision recorded in full since then, in the order of the record."""
    for record in read_records(connection, records.c.ts_ms >= since_ms):
        decisions = record.fields.get("decisions")
        for number, decision in enumerate(decisions if isinstance(decisions, list) else ()):
            if isinstance(decision, dict):
                prefix = f"decision.{number}."
                personal = {
                    name.removeprefix(prefix): value
                    for name, value in record.personal.items()
                    if name.startswith(prefix)
                }
                yield RecordedDecision(record.seq, record.ts, decision, personal)
