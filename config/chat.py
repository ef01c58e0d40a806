"""[chat]: bounds on text messages."""

from __future__ import annotations

from pydantic import Field

from config.section import Section


class ChatSettings(Section):
    """Text messages between people."""

    max_text_characters: int = Field(
        default=4000,
        ge=1,
        le=10000,
        description="Longest message.",
        json_schema_extra={"unit": "characters"},
    )
