"""Small policies, people and questions, for specifications of `decide()`."""

from __future__ import annotations

from datetime import UTC, datetime

from auth.personal import Personal
from auth.principal import Guest, Insider, PartyId, Principal
from broker.policy.decide import decide
from broker.policy.decision import Decision
from broker.policy.index import PolicyIndex
from broker.policy.question import Question, Subject
from config.policy.action import ADMINISTRATION, Action
from config.policy.loading import load_policy

NOW = int(datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp())
OFFICE, LAB, HOME = "10.1.2.3", "10.9.0.7", "192.0.2.50"

ZONES = """
revision = 41
zones = [
  { id = "office", networks = ["10.1.0.0/16", "fd00:1::/32"] },
  { id = "lab", networks = ["10.9.0.0/16"], attribute = "ou=Lab" },
  { id = "vault", networks = ["10.66.0.0/16"], sensitivity = "high" },
  { id = "cabinet", networks = ["10.67.0.0/16"], attribute = "clearance=top", sensitivity = "high" },
]
"""
ALL_ACTIONS = ", ".join(
    f'"{action}"' for action in Action if action not in ADMINISTRATION | {Action.EDGE_SIGNIN}
)


def rule(
    rule_id: str,
    actions: str = ALL_ACTIONS,
    who: str = "{ any = true }",
    with_: str = '{ kind = "any" }',
    direction: str = "both",
    effect: str = "allow",
    expires: str | None = "2027-01-31",
    limits: str | None = None,
    presence: str = "exact",
    when: str | None = None,
) -> str:
    lines = [
        "[[rules]]",
        f'id = "{rule_id}"',
        f'effect = "{effect}"',
        f"who = {who}",
        f"actions = [{actions}]",
        'owner = "o"',
        'reason = "r"',
    ]
    if '"edge.signin"' not in actions:
        lines += [f"with = {with_}", f'direction = "{direction}"']
    if expires is not None:
        lines.append(f"expires = {expires}")
    if limits is not None:
        lines.append(f"limits = {limits}")
    if '"presence.see"' in actions and effect == "allow" and "insider" not in with_:
        lines.append(f'presence = "{presence}"')
    if when is not None:
        lines.append(f"when = {when}")
    return "\n".join(lines) + "\n"


def policy(*rules: str) -> PolicyIndex:
    return PolicyIndex(load_policy(ZONES + "\n".join(rules), "test"))


def insider(party: str = "u-ada", groups: tuple[str, ...] = (), **attributes: str) -> Insider:
    return Insider(
        PartyId(party),
        Personal("login"),
        Personal("name"),
        frozenset(groups),
        tuple(sorted(attributes.items())),
        version="7",
    )


def guest(party: str = "g-1", host: str = "u-ada") -> Guest:
    return Guest(PartyId(party), Personal("Gus"), "inv-1", PartyId(host))


def ask(
    loaded: PolicyIndex,
    action: Action,
    actor: Principal,
    counterpart: Principal | None = None,
    *,
    source: str | None = OFFICE,
    counterpart_source: str | None = OFFICE,
    at: int = NOW,
    explained: bool = False,
) -> Decision:
    other = None if counterpart is None else Subject(counterpart, counterpart_source)
    return decide(loaded, Question(action, Subject(actor, source), other, at), "d-1", explained=explained)


ANYTHING = policy(rule("all"), rule("signin", '"edge.signin"', expires=None))
