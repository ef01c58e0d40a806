"""[calls]: how long calls ring and last."""

from __future__ import annotations

from pydantic import Field

from config.section import Section


class CallSettings(Section):
    """Audio and video calls."""

    ring_timeout_seconds: int = Field(
        default=45,
        ge=5,
        le=300,
        description="How long an unanswered call rings.",
        json_schema_extra={"unit": "seconds"},
    )
    max_call_seconds: int = Field(
        default=14400,
        ge=60,
        le=86400,
        description="The longest one call lasts; policy may set less.",
        json_schema_extra={"unit": "seconds"},
    )
