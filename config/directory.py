"""[directory]: where insiders, their passwords and their groups come from."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from config.section import FilePath, Section


class DirectorySettings(Section):
    """The directory that names insiders and checks their passwords."""

    kind: Literal["ldif"] = Field(
        default="ldif",
        description="Kind of directory: `ldif` reads people and groups from a file.",
        json_schema_extra={"unit": "choice"},
    )
    ldif_file: FilePath | None = Field(
        default=None,
        description="LDIF file with people and groups; passwords as `turngate user hash` prints them.",
        json_schema_extra={"unit": "path"},
    )
