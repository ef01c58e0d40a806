"""Explain: the answer to a question with every rule that speaks of its action, and why silence denied.

It is `decide` itself, asked to look at all rules and to have no effect.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from broker.policy.decide import decide
from broker.policy.decision import Code, Decision, LosingRule
from broker.policy.index import PolicyIndex
from broker.policy.question import Question
from config.policy.rule import Rule

EXPLANATION_ID = "d-explained"
"""Stands for the id of a decision that nobody acted on and nobody recorded."""


@dataclass(frozen=True, slots=True)
class Explanation:
    decision: Decision
    winning: tuple[Rule, ...]
    """The rules that made the answer; of a denial by time those that would have allowed it."""
    silence: str | None
    """Where no rule allows it: how close the rules came that speak of it. None for other answers."""

    def to_json(self) -> dict[str, Any]:
        return {
            "decision": self.decision.to_json(),
            "winning": [
                {"id": rule.id, "effect": rule.effect.value, "owner": rule.owner, "reason": rule.reason}
                for rule in self.winning
            ],
            "losing": [losing.to_json() for losing in self.decision.losing_rules],
            "losing_omitted": self.decision.losing_rules_omitted,
            "silence": self.silence,
        }


def explain(policy: PolicyIndex, question: Question) -> Explanation:
    """What `decide` answers, and all there is to say about it."""
    decision = decide(policy, question, EXPLANATION_ID, explained=True)
    made_it = set(decision.determining_rules)
    winning = tuple(rule for rule in policy.loaded.policy.rules if rule.id in made_it)
    return Explanation(decision, winning, _silence(decision))


def _silence(decision: Decision) -> str | None:
    if decision.code is not Code.DEFAULT_DENY:
        return None
    action = decision.inputs.action.value
    count = len(decision.losing_rules) + decision.losing_rules_omitted
    if count == 0:
        return f"no rule speaks of {action}: what no rule allows is denied"
    nearest = decision.losing_rules[0]
    counts = Counter(losing.condition.value for losing in decision.losing_rules)
    failed = ", ".join(f"{number} by {condition}" for condition, number in counts.most_common())
    more = f" and {decision.losing_rules_omitted} more" if decision.losing_rules_omitted else ""
    return (
        f"of the rules that speak of {action} none allows it on every inside party's side: "
        f"{failed} failed{more}; {_came_closest(nearest)}"
    )


def _came_closest(losing: LosingRule) -> str:
    return f"{losing.rule_id} came closest for {losing.inside_party}, and failed by {losing.condition.value}"
