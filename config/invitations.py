"""[invitations]: links by which insiders invite guests."""

from __future__ import annotations

from typing import Self

from pydantic import Field, SecretStr, model_validator

from config.section import FilePath, Section


class InvitationSettings(Section):
    """How long invitations last, how often they may be used, and the secret that signs them."""

    default_expiry_seconds: int = Field(
        default=604800,
        ge=300,
        le=31536000,
        description="How long an invitation is good when the inviter names no time.",
        json_schema_extra={"unit": "seconds"},
    )
    max_expiry_seconds: int = Field(
        default=2592000,
        ge=300,
        le=31536000,
        description="The longest an inviter may ask for.",
        json_schema_extra={"unit": "seconds"},
    )
    default_redemptions: int = Field(
        default=1,
        ge=1,
        le=1000,
        description="How many guests one invitation admits when the inviter names no number.",
        json_schema_extra={"unit": "guests"},
    )
    max_redemptions: int = Field(
        default=20,
        ge=1,
        le=1000,
        description="The most guests an inviter may ask for with one invitation.",
        json_schema_extra={"unit": "guests"},
    )
    secret: SecretStr | None = Field(
        default=None,
        min_length=32,
        max_length=1024,
        description="Secret that signs invitation links. Changing it ends every open invitation.",
        json_schema_extra={"unit": "secret"},
    )
    secret_file: FilePath | None = Field(
        default=None,
        description="File whose first line is the secret; readable by the service alone.",
        json_schema_extra={"unit": "path"},
    )

    @model_validator(mode="after")
    def _defaults_within_the_most(self) -> Self:
        if self.default_expiry_seconds > self.max_expiry_seconds:
            raise ValueError("default_expiry_seconds is above max_expiry_seconds")
        if self.default_redemptions > self.max_redemptions:
            raise ValueError("default_redemptions is above max_redemptions")
        return self
