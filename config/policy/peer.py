"""Peer: an organisation outside, told by the domains of its people's e-mail addresses."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field

from config.policy.declaration import Identifier, PolicyDeclaration

MAX_DOMAINS = 1000
MAX_DOMAIN_CHARACTERS = 253
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


class PeerMode(StrEnum):
    """Always written: a list of domains says nothing of whether those in it may come or may not."""

    ALLOW = "allow"
    """Its people may do what rules allow them."""
    BLOCK = "block"
    """Its people may do nothing, whatever rules allow."""


class Verification(StrEnum):
    INVITATION_LINK = "invitation-link"
    """The inviter gave the address, and whoever has the link is taken for its owner."""


def domain_name(text: str) -> str:
    """A domain in lower case, as DNS writes it (A-labels); ValueError for anything else."""
    domain = text.lower().removesuffix(".")
    labels = domain.split(".")
    if len(domain) > MAX_DOMAIN_CHARACTERS or len(labels) < 2 or labels[-1].isdigit():
        raise ValueError("write a domain, such as partner.example; names in other scripts as xn--...")
    if not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("write a domain, such as partner.example; names in other scripts as xn--...")
    return domain


def domain_pattern(text: str) -> str:
    """A domain, or `*.` and a domain for everything below it."""
    below = text.startswith("*.")
    domain = domain_name(text.removeprefix("*."))
    return f"*.{domain}" if below else domain


DomainPattern = Annotated[str, AfterValidator(domain_pattern)]


class Peer(PolicyDeclaration):
    """An organisation outside. A guest is of it when their e-mail address has one of its domains."""

    id: Identifier = Field(description="Name that rules and records use.")
    mode: PeerMode = Field(
        description="allow: its people may do what rules allow; block: nothing, whatever rules say."
    )
    domains: tuple[DomainPattern, ...] = Field(
        max_length=MAX_DOMAINS,
        description="Such as partner.example; *.partner.example is everything below it, not itself. "
        "No domain may be written in two peers; none means nobody.",
    )
    verified: Verification = Field(description="How its people are known to be of it.")
