"""What every part of a policy is made of: strict models, and the few kinds of text in them."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
GroupName = Annotated[str, StringConstraints(min_length=1, max_length=512)]
Sentence = Annotated[str, StringConstraints(min_length=1, max_length=500, strip_whitespace=True)]
Flag = Annotated[bool, Field(strict=True)]


class PolicyDeclaration(BaseModel):
    """An unknown member is an error; nothing changes after loading."""

    model_config = ConfigDict(frozen=True, extra="forbid")
