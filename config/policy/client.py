"""Client: which programs may connect, by name and version, as each says of itself in its `hello`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from pydantic import AfterValidator, Field, StringConstraints, ValidationInfo, field_validator

from config.policy.declaration import PolicyDeclaration, Sentence


class ClientEffect(StrEnum):
    ALLOW = "allow"
    WARN = "warn"
    """Goes on, and the person is told."""
    REFUSE = "refuse"


class ClientSide(StrEnum):
    INSIDER = "insider"
    GUEST = "guest"
    BOTH = "both"


def _versions(text: str) -> str:
    try:
        SpecifierSet(text)
    except InvalidSpecifier:
        raise ValueError("write a range of versions, such as >=1.2,<2") from None
    return text


Versions = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_versions)]
Link = Annotated[str, StringConstraints(pattern=r"^https://[!-~]{1,500}$")]


class ClientProgram(PolicyDeclaration):
    """A program that connects. Where several entries cover one, the strictest effect counts."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=64)] = Field(
        description="As the program names itself in its hello."
    )
    side: ClientSide = Field(description="insider, guest or both: whose program it is about.")
    versions: Versions | None = Field(
        default=None, description="Such as >=1.2,<2 (PEP 440). Absent: every version."
    )
    effect: ClientEffect = Field(description="allow, warn or refuse.")
    link: Link | None = Field(
        default=None,
        validate_default=True,
        description="Where the person gets a version that is allowed. Required to warn or refuse.",
    )
    message: Sentence | None = Field(default=None, description="What the person is told beside the link.")

    @field_validator("link")
    @classmethod
    def _somewhere_to_go(cls, value: str | None, info: ValidationInfo) -> str | None:
        effect = info.data.get("effect")
        if value is None and effect in (ClientEffect.WARN, ClientEffect.REFUSE):
            raise ValueError("required: say where an allowed version is")
        return value


class Clients(PolicyDeclaration):
    """Which programs may connect, insiders' and guests' alike."""

    otherwise: ClientEffect = Field(description="What becomes of a program or version that no entry covers.")
    otherwise_link: Link | None = Field(
        default=None,
        validate_default=True,
        description="Where the person gets one that is allowed. Required unless otherwise = allow.",
    )
    programs: tuple[ClientProgram, ...] = Field(default=(), max_length=200, description="In any order.")

    @field_validator("otherwise_link")
    @classmethod
    def _somewhere_to_go(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None and info.data.get("otherwise") in (ClientEffect.WARN, ClientEffect.REFUSE):
            raise ValueError("required: say where an allowed program is")
        return value
