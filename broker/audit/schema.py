"""The tables of the record. Rows of `records` and `heads` are only ever inserted; a row of `personal` may be
deleted, which redacts it; `frontier` is one row that saves reading the whole log at start."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, MetaData, Table, Text

metadata = MetaData()

# In SQLite only a primary key spelled INTEGER is the row's own number, and needs no second index.
_SEQ = BigInteger().with_variant(Integer, "sqlite")

records = Table(
    "records",
    metadata,
    Column("seq", _SEQ, primary_key=True, autoincrement=False, comment="from 1, without gaps"),
    Column("ts_ms", BigInteger, nullable=False),
    Column("type", Text, nullable=False),
    Column("session_id", Text),
    Column("leaf", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("records_by_session", "session_id", "type"),
    Index("records_by_type", "type", "seq"),
    Index("records_by_time", "ts_ms"),
)

personal = Table(
    "personal",
    metadata,
    Column("seq", _SEQ, ForeignKey("records.seq"), primary_key=True, autoincrement=False),
    Column("name", Text, primary_key=True),
    Column("salt", LargeBinary, nullable=False),
    Column("value", Text, nullable=False),
    Index("personal_by_value", "value", "name"),
)

heads = Table(
    "heads",
    metadata,
    Column("size", _SEQ, primary_key=True, autoincrement=False),
    Column("note", Text, nullable=False),
)

frontier = Table(
    "frontier",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False, comment="always 1"),
    Column("size", BigInteger, nullable=False),
    Column("nodes", LargeBinary, nullable=False),
)
