"""Principal: who is at the other end of a connection, as established by sign-in and never by a frame's
content."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NewType

from auth.personal import Personal

PartyId = NewType("PartyId", str)
"""`u-` + the directory's stable id for an insider, `g-` + a random id for a guest. Opaque to clients."""


@dataclass(frozen=True, slots=True)
class Insider:
    """Someone the directory vouches for."""

    party: PartyId
    login: Personal
    name: Personal
    groups: frozenset[str]
    """Group names as the directory spells them, nested groups resolved."""
    attributes: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Directory attributes that policy may look at, sorted by name; a multi-valued one appears once per
    value."""
    version: str = ""
    """The directory's version of this entry; a changed version makes live grants due for re-evaluation."""


@dataclass(frozen=True, slots=True)
class Guest:
    """An outsider who redeemed an invitation. What is known about them is what the inviter and they
    themselves said."""

    party: PartyId
    name: Personal
    invitation_id: str
    invited_by: PartyId
    verified_by: str = "invitation-link"
    email: Personal | None = None
    """Whom the inviter meant the invitation for; None where they did not say."""

    @property
    def domain(self) -> str | None:
        """Of the e-mail address, in lower case."""
        return None if self.email is None else self.email.reveal().rpartition("@")[2].lower()


@dataclass(frozen=True, slots=True)
class Anonymous:
    """Nobody yet: a source that has not signed in. First-class, so that silence about it denies."""


Principal = Insider | Guest | Anonymous
