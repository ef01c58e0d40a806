"""Where an edge keeps its record, its signing key and its file of heads: one answer for who writes and who
verifies."""

from __future__ import annotations

from pathlib import Path

from config.settings import Settings

NODE = "turngate"
"""Names the record's origin and signing key, and the edge in every record."""


def database_url(settings: Settings) -> str:
    """The database that holds the record and the product's state."""
    return settings.audit.database_url or f"sqlite:///{settings.data_directory / 'turngate.sqlite'}"


def signing_key_file(settings: Settings) -> Path:
    """The private key, in PEM."""
    return settings.audit.signing_key_file or settings.data_directory / "record-key.pem"


def heads_file(settings: Settings) -> Path:
    """Signed heads, on their way off the host."""
    return settings.audit.heads_file or settings.data_directory / "record-heads.txt"
