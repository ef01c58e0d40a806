"""Administration: who may work on the edge itself, as a small policy of its own that the settings make.

Rules that allow, one for each role, and the zones of the organisation's policy, so that a person whose
network and directory contradict each other is refused here as everywhere. No rule of the organisation speaks
of administration, and none of these speaks of anything else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum

from auth.case_ignore import case_ignore_key
from auth.principal import Insider
from config.policy.action import Action
from config.policy.document import Policy
from config.policy.loading import LoadedPolicy
from config.policy.rule import Effect, Rule, Who


class Role(StrEnum):
    """What a sign-in at the admin listener is for; it is for one."""

    OPERATOR = "operator"
    """Sees live sessions and ends them."""
    POLICY_ADMINISTRATOR = "policy_administrator"
    """Changes the policy."""
    AUDITOR = "auditor"
    """Sees sessions and policy, and changes nothing."""
    RECOVERY = "recovery"
    """Stops and lifts stops with an account of the settings, also when the directory is gone."""
    BREAK_GLASS = "break_glass"
    """Does what operators and policy administrators do, with an account of the settings, when nobody else
    can; an alarm says that it was used."""


ACTION_OF_ROLE: dict[Role, Action] = {
    Role.OPERATOR: Action.ADMIN_OPERATE,
    Role.POLICY_ADMINISTRATOR: Action.ADMIN_SET_POLICY,
    Role.AUDITOR: Action.ADMIN_AUDIT,
    Role.RECOVERY: Action.ADMIN_EMERGENCY,
    Role.BREAK_GLASS: Action.ADMIN_OPERATE,
}
_BESIDE = {
    Role.OPERATOR: frozenset({Action.ADMIN_EMERGENCY}),
    Role.POLICY_ADMINISTRATOR: frozenset({Action.ADMIN_EMERGENCY}),
    Role.BREAK_GLASS: frozenset({Action.ADMIN_EMERGENCY, Action.ADMIN_SET_POLICY}),
}
"""What else they may do: stop communication and lift stops; and who comes when nobody else can, all of it."""
RECOVERY_GROUP = "recovery accounts of the settings"
BREAK_GLASS_GROUP = "break-glass account of the settings"
"""What those accounts are in instead of a group of the directory."""


class View(StrEnum):
    """What can be looked at there, or done with the policy, in the words of the record."""

    SESSIONS = "sessions"
    POLICY = "policy"
    POLICY_HISTORY = "policy.history"
    POLICY_EXPLAIN = "policy.explain"
    POLICY_CHECK = "policy.check"
    POLICY_DIFF = "policy.diff"
    POLICY_REPLAY = "policy.replay"
    POLICY_APPLY = "policy.apply"
    EMERGENCY = "emergency"
    ALARMS = "alarms"
    BANDWIDTH = "bandwidth"
    SECURITY_KEYS = "security_keys"
    """One's own."""


_POLICY_PAGES = (Action.ADMIN_SET_POLICY, Action.ADMIN_AUDIT)
ACTIONS_OF_VIEW: dict[View, tuple[Action, ...]] = {
    View.SESSIONS: (Action.ADMIN_OPERATE, Action.ADMIN_AUDIT),
    View.POLICY: _POLICY_PAGES,
    View.POLICY_HISTORY: _POLICY_PAGES,
    View.POLICY_EXPLAIN: _POLICY_PAGES,
    View.POLICY_CHECK: (Action.ADMIN_SET_POLICY,),
    View.POLICY_DIFF: _POLICY_PAGES,
    View.POLICY_REPLAY: _POLICY_PAGES,
    View.POLICY_APPLY: (Action.ADMIN_SET_POLICY,),
    View.EMERGENCY: tuple(ACTION_OF_ROLE.values()),
    View.ALARMS: tuple(ACTION_OF_ROLE.values()),
    View.BANDWIDTH: (Action.ADMIN_OPERATE, Action.ADMIN_SET_POLICY, Action.ADMIN_AUDIT),
    View.SECURITY_KEYS: (Action.ADMIN_OPERATE, Action.ADMIN_SET_POLICY, Action.ADMIN_AUDIT),
}
"""Any one of them lets a person see it."""

GroupOfRole = Mapping[Role, str]
"""The directory group of each role that anybody has."""


def administration_policy(organisation: LoadedPolicy, groups: GroupOfRole) -> LoadedPolicy:
    """The rules of administration beside the organisation's policy, whose revision and zones they share."""
    rules = tuple(_rule(role, groups[role]) for role in Role if role in groups)
    organisations = organisation.policy
    # Not validated: that a rule speaks of administration is just what a policy file may not do.
    policy = Policy.model_construct(revision=organisations.revision, zones=organisations.zones, rules=rules)
    return LoadedPolicy(policy, hashlib.sha256(_canonical_text(policy).encode()).hexdigest())


def in_role(insider: Insider, role: Role, groups: GroupOfRole) -> Insider:
    """The person with no group but the role's: whoever is in several acts in the one they signed in for."""
    own = case_ignore_key(groups[role]) if role in groups else None
    return replace(insider, groups=frozenset(g for g in insider.groups if case_ignore_key(g) == own))


def _rule(role: Role, group: str) -> Rule:
    return Rule.model_construct(
        id=f"admin.{role}",
        effect=Effect.ALLOW,
        actions=_BESIDE.get(role, frozenset()) | {ACTION_OF_ROLE[role]},
        who=Who(groups=(group,)),
        owner="settings",
        reason=f"[admin] of the settings names this group for the role of {role.replace('_', ' ')}.",
    )


def _canonical_text(policy: Policy) -> str:
    """The same for the same rules and zones, whatever file they came from."""
    zones = [
        {
            "id": zone.id,
            "networks": [str(network) for network in zone.networks],
            "attribute": zone.attribute,
            "sensitivity": zone.sensitivity,
        }
        for zone in policy.zones
    ]
    rules = [
        {
            "id": rule.id,
            "effect": rule.effect,
            "actions": sorted(rule.actions),
            "who": {"groups": list(rule.who.groups or ())},
            "owner": rule.owner,
            "reason": rule.reason,
        }
        for rule in policy.rules
    ]
    document = {"revision": policy.revision, "zones": zones, "rules": rules}
    return json.dumps(document, sort_keys=True, separators=(",", ":"))
