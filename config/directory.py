"""[directory]: where insiders, their passwords and their groups come from."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from config.section import FilePath, Section


class DirectorySettings(Section):
    """The directory that names insiders and checks their passwords."""

    kind: Literal["ldif", "openldap", "active_directory"] = Field(
        default="ldif",
        description="Kind of directory: `ldif` reads people and groups from a file, the others ask the "
        "servers of [ldap].",
        json_schema_extra={"unit": "choice"},
    )
    ldif_file: FilePath | None = Field(
        default=None,
        description="LDIF file with people and groups; passwords as `turngate user hash` prints them.",
        json_schema_extra={"unit": "path"},
    )
    outage_grace_seconds: int = Field(
        default=900,
        ge=0,
        le=86400,
        description="How long people who are signed in may go on while the directory does not answer. "
        "Nobody signs in meanwhile. 0 ends everything at once.",
        json_schema_extra={"unit": "seconds"},
    )
    max_vanished_percent: int = Field(
        default=20,
        ge=1,
        le=100,
        description="Where more of those who have something open vanish from the directory at once, it is "
        "taken for a mistake: an alarm is raised, and they go on. Five may always vanish. Whoever is "
        "disabled never counts.",
        json_schema_extra={"unit": "percent"},
    )
