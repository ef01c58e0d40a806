"""[alarms]: when somebody is called, and how."""

from __future__ import annotations

from pydantic import Field

from config.section import FilePath, Section


class AlarmSettings(Section):
    """What needs a person, beside the log, the metrics and the console."""

    command: FilePath | None = Field(
        default=None,
        description="Program to run when an alarm is raised or cleared: its name and `raised` or `cleared` "
        "are the arguments, its sentence is on standard input.",
        json_schema_extra={"unit": "path"},
    )
    certificate_days: int = Field(
        default=14,
        ge=1,
        le=365,
        description="How long before its end the listeners' certificate is an alarm.",
        json_schema_extra={"unit": "days"},
    )
    refusals_per_minute: int = Field(
        default=1000,
        ge=10,
        le=1000000,
        description="So many strangers of one kind turned away within a minute are a flood.",
        json_schema_extra={"unit": "refusals"},
    )
