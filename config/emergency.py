"""[emergency]: who can lift an emergency stop when the directory is gone."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from config.section import FilePath, LocalAccount, Section


class EmergencySettings(Section):
    """The accounts of people who can lift an emergency stop without the directory; they can do nothing
    else."""

    recovery_accounts: tuple[LocalAccount, ...] = Field(
        default=(),
        max_length=16,
        description="One NAME:HASH for each account, as `turngate emergency enrol` prints it. None, or two "
        "and more: nobody lifts a stop alone.",
        json_schema_extra={"unit": "accounts"},
    )
    recovery_accounts_file: FilePath | None = Field(
        default=None,
        description="File with one NAME:HASH a line; readable by the service alone.",
        json_schema_extra={"unit": "path"},
    )

    @model_validator(mode="after")
    def _two_people(self) -> Self:
        names = [one.get_secret_value().partition(":")[0] for one in self.recovery_accounts]
        if len(names) == 1 or len(set(names)) < len(names):
            raise ValueError("recovery_accounts must be of two people or more, each once")
        return self
