"""Tables of the product's durable state; the record's own tables are in `broker.audit.schema`, in the same
database."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, MetaData, String, Table, Text

METADATA = MetaData()

SIGN_INS = Table(
    "sign_ins",
    METADATA,
    Column("token_digest", String(64), primary_key=True),
    Column("sign_in_id", String(64), nullable=False, unique=True),
    Column("party", String(128), nullable=False),
    Column("prefix", String(64), nullable=False),
    Column("program", Text, nullable=False),
    Column("began_at", BigInteger, nullable=False),
    Column("used_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)

SIGN_IN_FAILURES = Table(
    "sign_in_failures",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("login_key", String(64), nullable=False),
    Column("source_key", String(12), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("counts_until_ms", BigInteger, nullable=False, index=True),
)
"""Wrong passwords that still count, as `auth.throttle` keeps them."""

CODE_STEPS = Table(
    "code_steps",
    METADATA,
    Column("party", String(128), primary_key=True),
    Column("step", BigInteger, nullable=False),
)

SECURITY_KEYS = Table(
    "security_keys",
    METADATA,
    Column("credential_id", String(344), primary_key=True),
    Column("party", String(128), nullable=False),
    Column("name", Text, nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    Column("sign_count", BigInteger, nullable=False),
    Column("enrolled_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),
)

MESSAGES = Table(
    "messages",
    METADATA,
    Column("message_id", String(64), primary_key=True),
    Column("sender", String(128), nullable=False),
    Column("recipient", String(128), nullable=False),
    Column("text", Text, nullable=False),
    Column("sent_at_ms", BigInteger, nullable=False),
    Column("outcome", String(16)),
    Index("messages_waiting", "recipient", "outcome"),
)
"""`outcome` is NULL while the message waits, then `delivered` or `withheld`."""

INVITATIONS = Table(
    "invitations",
    METADATA,
    Column("invitation_id", String(64), primary_key=True),
    Column("invited_by", String(128), nullable=False),
    Column("guest_name", Text, nullable=False),
    Column("guest_email", Text),
    Column("purpose", Text, nullable=False),
    Column("lifetime_seconds", BigInteger, nullable=False),
    Column("redemptions", Integer, nullable=False),
    Column("issue", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("redemptions_left", Integer, nullable=False),
)

VISITS = Table(
    "visits",
    METADATA,
    Column("guest", String(128), primary_key=True),
    Column("name", Text, nullable=False),
    Column("email", Text),
    Column("invitation_id", String(64), nullable=False),
    Column("invited_by", String(128), nullable=False),
    Column("token_digest", String(64), nullable=False, unique=True),
    Column("admitted", Boolean, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)

JOURNAL_MARK = Table(
    "journal_mark",
    METADATA,
    Column("generation", BigInteger, primary_key=True),
    Column("entered", Integer, nullable=False),
)
"""One row: how many entries of the journal's current generation are in the record."""
