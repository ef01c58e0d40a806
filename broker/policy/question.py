"""Question: what is asked of policy, by whom, about whom, when."""

from __future__ import annotations

from dataclasses import dataclass

from auth.principal import Principal
from config.policy.action import Action


@dataclass(frozen=True, slots=True)
class Subject:
    principal: Principal
    source_address: str | None
    """Where they connect from; None when they do not (a host whose guest arrives first)."""


@dataclass(frozen=True, slots=True)
class Question:
    """`edge.signin`: the actor is the insider. `guest.invite`: the counterpart is the guest to be, if one is
    named. `edge.join`: the actor is the guest the redeemer is about to become, the counterpart the
    inviter."""

    action: Action
    actor: Subject
    counterpart: Subject | None
    at_unix_seconds: int
