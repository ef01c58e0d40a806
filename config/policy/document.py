"""Policy: everything the gate goes by."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from config.policy.bandwidth import Bandwidth
from config.policy.client import Clients
from config.policy.declaration import PolicyDeclaration
from config.policy.peer import Peer
from config.policy.rule import Rule
from config.policy.zone import Zone

MAX_RULES = 10_000


class Policy(PolicyDeclaration):
    """Everything the gate goes by. What no rule allows is denied."""

    revision: Annotated[int, Field(strict=True, ge=1, le=2**53)] = Field(
        description="Raised with every change: a revision is one text, and records quote it."
    )
    zones: tuple[Zone, ...] = Field(default=(), max_length=100, description="The parts of the house.")
    peers: tuple[Peer, ...] = Field(default=(), max_length=1000, description="Organisations outside.")
    clients: Clients | None = Field(
        default=None, description="Which programs may connect. Absent: any, in any version."
    )
    bandwidth: tuple[Bandwidth, ...] = Field(
        default=(), max_length=100, description="How much media may pass. Absent: as much as rules allow."
    )
    rules: tuple[Rule, ...] = Field(
        default=(), max_length=MAX_RULES, description="In any order: order means nothing."
    )
