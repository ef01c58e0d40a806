"""[policy]: where the organisation's policy is written."""

from __future__ import annotations

from pydantic import Field

from config.section import FilePath, Section


class PolicySettings(Section):
    """The policy file; its own shape is declared in `config.policy`."""

    file: FilePath | None = Field(
        default=None,
        description="TOML file with zones and rules. Without one nothing is allowed.",
        json_schema_extra={"unit": "path"},
    )
