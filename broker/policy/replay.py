"""Replay: recorded questions asked of another policy, and every answer that would have been another one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from broker.policy.decide import decide
from broker.policy.decision import Code
from broker.policy.index import PolicyIndex
from broker.policy.recorded import UnreadableDecisionError, question_of
from config.policy.action import ADMINISTRATION

MAX_CHANGES = 10_000
"""Told one by one; the rest is counted."""


@dataclass(frozen=True, slots=True)
class RecordedDecision:
    """A decision as a record holds it."""

    seq: int
    ts: str
    decision: Mapping[str, Any]
    personal: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Change:
    """One recorded answer that the candidate would not have given."""

    seq: int
    ts: str
    decision_id: str
    action: str
    actor: str | None
    counterpart: str | None
    before: str
    after: str
    before_code: str
    after_code: str
    rules: tuple[str, ...]
    """Of the candidate, that made its answer."""

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__} | {"rules": list(self.rules)}


@dataclass(slots=True)
class Replay:
    decided: int = 0
    changed: list[Change] = field(default_factory=list)
    changed_omitted: int = 0
    unreadable: Counter[str] = field(default_factory=Counter)
    """Decisions that could not be asked again, by why."""

    def to_json(self) -> dict[str, Any]:
        return {
            "decided": self.decided,
            "changed": [change.to_json() for change in self.changed],
            "changed_omitted": self.changed_omitted,
            "unreadable": sum(self.unreadable.values()),
            "unreadable_reasons": dict(sorted(self.unreadable.items())),
        }


def replay(candidate: PolicyIndex, recorded: Iterable[RecordedDecision]) -> Replay:
    """Ask the candidate everything that was asked. Questions of administration, and those that an
    emergency stop answered, are not the policy's."""
    outcome = Replay()
    for one in recorded:
        try:
            question = question_of(one.decision, one.personal)
        except UnreadableDecisionError as error:
            outcome.unreadable[str(error)] += 1
            continue
        if question.action in ADMINISTRATION or one.decision.get("code") == Code.STOPPED:
            continue
        answer = decide(candidate, question, str(one.decision.get("id")))
        outcome.decided += 1
        if answer.effect == one.decision.get("effect"):
            continue
        if len(outcome.changed) >= MAX_CHANGES:
            outcome.changed_omitted += 1
            continue
        inputs = answer.inputs
        outcome.changed.append(
            Change(
                one.seq,
                one.ts,
                answer.id,
                inputs.action.value,
                inputs.actor.party,
                inputs.counterpart.party if inputs.counterpart is not None else None,
                str(one.decision.get("effect")),
                answer.effect.value,
                str(one.decision.get("code")),
                answer.code.value,
                answer.determining_rules,
            )
        )
    return outcome
