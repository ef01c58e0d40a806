"""Bandwidth: how much media may pass, in all, of a zone, of a person, of a call."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from config.policy.declaration import Identifier, PolicyDeclaration, Sentence

BitsPerSecond = Annotated[int, Field(strict=True, ge=64_000, le=100_000_000_000)]


class BandwidthOf(StrEnum):
    TOTAL = "total"
    """All calls together."""
    ZONE = "zone"
    """All calls of people in one zone together."""
    USER = "user"
    """Each insider, all their calls together."""
    CALL = "call"
    """Each call."""


class Media(StrEnum):
    ALL = "all"
    AUDIO = "audio"
    VIDEO = "video"
    SCREEN = "screen"


class Bandwidth(PolicyDeclaration):
    """A limit on what insiders send and are sent. The strictest limit wins, and with every rule's own."""

    id: Identifier = Field(description="Name that records and the console use.")
    of: BandwidthOf = Field(
        strict=False,
        description="total: all calls together; zone: those of one zone's people; user: each insider's; "
        "call: each call by itself.",
    )
    zone: Identifier | None = Field(default=None, description="Whose people, with of = zone.")
    media: Media = Field(
        default=Media.ALL, strict=False, description="Only what is sent of this: all, audio, video or screen."
    )
    from_inside_bits_per_second: BitsPerSecond | None = Field(
        default=None, description="What insiders may send. Absent: no limit."
    )
    to_inside_bits_per_second: BitsPerSecond | None = Field(
        default=None, description="What insiders may be sent. Absent: no limit."
    )
    owner: Sentence = Field(description="Who answers for it.")
    reason: Sentence = Field(description="Why there is such a limit.")

    @model_validator(mode="after")
    def _limits_something(self) -> Self:
        if (self.of is BandwidthOf.ZONE) != (self.zone is not None):
            raise ValueError("name the zone with of = zone, and only then")
        if self.from_inside_bits_per_second is None and self.to_inside_bits_per_second is None:
            raise ValueError("say from_inside_bits_per_second, to_inside_bits_per_second or both")
        return self
