"""[audit]: where the record is written, how it is sealed, and what happens when it cannot be written."""

from __future__ import annotations

import re

from pydantic import Field, field_validator

from config.section import FilePath, Section

_SQLITE = re.compile(r"sqlite:///[^?#\x00-\x1f]+")


class AuditSettings(Section):
    """The record of every external connection."""

    database_url: str = Field(
        default="",
        max_length=1000,
        description="Database of the record, `sqlite:///` and a path; empty is a file in `data_directory`.",
        json_schema_extra={"unit": "URL"},
    )
    signing_key_file: FilePath | None = Field(
        default=None,
        description="Ed25519 key that signs the record's heads; one in `data_directory` by default.",
        json_schema_extra={"unit": "path"},
    )
    heads_file: FilePath | None = Field(
        default=None,
        description="File that signed heads are appended to, on another machine's disk if at all possible; "
        "one in `data_directory` by default.",
        json_schema_extra={"unit": "path"},
    )
    outage_grace_seconds: int = Field(
        default=30,
        ge=0,
        le=600,
        description="How long admitted calls continue while the record cannot be written; nothing new opens.",
        json_schema_extra={"unit": "seconds"},
    )
    counters_interval_seconds: int = Field(
        default=30,
        ge=5,
        le=600,
        description="How often the counters of running calls are recorded.",
        json_schema_extra={"unit": "seconds"},
    )
    journal_bytes: int = Field(
        default=1048576,
        ge=65536,
        le=1073741824,
        description="Size of the preallocated journal for what happens while the record cannot be written.",
        json_schema_extra={"unit": "bytes"},
    )
    refusal_table_rows: int = Field(
        default=4096,
        ge=64,
        le=1048576,
        description="Sources for which refused strangers are counted; beyond it they share one row.",
        json_schema_extra={"unit": "rows"},
    )

    @field_validator("database_url")
    @classmethod
    def _in_sqlite(cls, url: str) -> str:
        if url and not _SQLITE.fullmatch(url):
            raise ValueError("must be sqlite:/// and the path of a file")
        return url
