"""Sides: who must be allowed what for one question to be answered yes.

Each insider is a side and must be allowed from their own; a guest holds no rules and is none.
"""

from __future__ import annotations

from dataclasses import dataclass

from auth.principal import Anonymous, Guest, Insider, Principal
from broker.policy.decision import Code
from broker.policy.index import PolicyIndex
from broker.policy.question import Question, Subject
from broker.policy.zone import NOWHERE, Whereabouts, locate
from config.policy.action import ADMINISTRATION, Action
from config.policy.rule import Direction

INSIDE_ONLY = ADMINISTRATION | {Action.EDGE_SIGNIN}
"""Concerns nobody outside."""
_ALONE = INSIDE_ONLY | {Action.GUEST_INVITE}
"""May be asked without a counterpart; of these only an invitation may have one, the guest to be."""


@dataclass(frozen=True, slots=True)
class Located:
    """Where the two of a question are; `NOWHERE` for who is not inside."""

    actor: Whereabouts
    counterpart: Whereabouts

    @staticmethod
    def of(policy: PolicyIndex, question: Question) -> Located:
        return Located(_locate(policy, question.actor), _locate(policy, question.counterpart))


def _locate(policy: PolicyIndex, subject: Subject | None) -> Whereabouts:
    if subject is None or not isinstance(subject.principal, Insider):
        return NOWHERE
    return locate(policy, subject.principal, subject.source_address)


@dataclass(frozen=True, slots=True)
class Side:
    """One inside party's view of the question: what the rules are read against."""

    action: Action
    insider: Insider
    whereabouts: Whereabouts
    counterpart: Insider | Guest | None
    direction: Direction

    @property
    def external(self) -> bool:
        """An invitation's guest is outside before they exist; signing in concerns nobody outside."""
        return not isinstance(self.counterpart, Insider) and self.action not in INSIDE_ONLY


def sides_of(question: Question, located: Located) -> tuple[Side, ...] | Code:
    """Who must be allowed to do what, or why such a question has no answer but no."""
    action, actor, counterpart = question.action, question.actor, question.counterpart
    principals: tuple[Principal, Principal | None]
    principals = (actor.principal, counterpart.principal if counterpart is not None else None)
    if any(isinstance(principal, Anonymous) for principal in principals):
        return Code.ANONYMOUS
    match action, principals:
        case (_, (Insider() as insider, None)) if action in _ALONE:
            return (Side(action, insider, located.actor, None, Direction.OUT),)
        case (_, (_, None)):
            return Code.WRONG_PARTIES
        case (Action.GUEST_INVITE | Action.GUEST_ADMIT, (Insider() as insider, Guest() as guest)):
            if guest.invited_by != insider.party:
                return Code.NOT_YOUR_HOST
            return (Side(action, insider, located.actor, guest, Direction.OUT),)
        case _ if action in _ALONE:
            return Code.WRONG_PARTIES
        case (_, (Guest(), Guest())):
            return Code.NOT_YOUR_HOST
        case (Action.EDGE_JOIN, (Guest() as guest, Insider() as insider)) if counterpart is not None:
            if guest.invited_by != insider.party:
                return Code.NOT_YOUR_HOST
            # An invitation is worth no more than its inviter's right to invite on the day it is redeemed.
            return (
                Side(action, insider, located.counterpart, guest, Direction.IN),
                Side(Action.GUEST_INVITE, insider, located.counterpart, guest, Direction.OUT),
            )
        case (Action.EDGE_JOIN | Action.GUEST_ADMIT, _):
            return Code.WRONG_PARTIES
    return _conversation(question, located)


def _conversation(question: Question, located: Located) -> tuple[Side, ...] | Code:
    """Seeing, writing to and calling each other: each insider is a side, a guest is none."""
    actor = question.actor.principal
    counterpart = question.counterpart.principal if question.counterpart is not None else None
    sides = []
    views = (
        (actor, counterpart, Direction.OUT, located.actor),
        (counterpart, actor, Direction.IN, located.counterpart),
    )
    for insider, other, direction, whereabouts in views:
        if not isinstance(insider, Insider) or not isinstance(other, Insider | Guest):
            continue
        if isinstance(other, Guest) and other.invited_by != insider.party:
            return Code.NOT_YOUR_HOST
        sides.append(Side(question.action, insider, whereabouts, other, direction))
    return tuple(sides) or Code.WRONG_PARTIES
