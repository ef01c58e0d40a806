"""[guests]: what guests are told and how long a visit lasts."""

from __future__ import annotations

from pydantic import Field

from config.section import Section


class GuestSettings(Section):
    """What people from outside see before and after they join."""

    notice_text: str = Field(
        default="You are joining from outside. Times, participants and messages of this visit are recorded.",
        max_length=4000,
        description="Notice a guest acknowledges before joining; the acknowledgement is recorded.",
        json_schema_extra={"unit": "text"},
    )
    contact_text: str = Field(
        default="Ask the person who invited you.",
        max_length=1000,
        description="Whom a guest may ask for help; shown with every refusal.",
        json_schema_extra={"unit": "text"},
    )
    visit_seconds: int = Field(
        default=43200,
        ge=300,
        le=604800,
        description="The longest one visit lasts after an invitation was redeemed.",
        json_schema_extra={"unit": "seconds"},
    )
