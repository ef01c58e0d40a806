"""Decision: the answer to one question, a value that explains itself and can be replayed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from auth.personal import Personal
from config.policy.action import Action
from config.policy.rule import Effect

MAX_LOSING_RULES = 32
"""Keeps a decision small enough for a record, whatever the size of the policy."""
MAX_RECORDED_GROUPS = 128
"""The same for people who are in very many groups."""


class Code(StrEnum):
    """Why, in words that never change: clients, records and operators key on them."""

    ALLOWED = "POLICY_ALLOWED"
    DENIED = "POLICY_DENIED"
    """A deny rule matched."""
    DEFAULT_DENY = "POLICY_DEFAULT_DENY"
    """No rule allows it."""
    RULE_EXPIRED = "POLICY_RULE_EXPIRED"
    """A rule would allow it, had it not expired."""
    OUTSIDE_HOURS = "POLICY_OUTSIDE_HOURS"
    """A rule would allow it on another day or at another hour."""
    ZONE_MISMATCH = "POLICY_ZONE_MISMATCH"
    """Network and directory name different zones for an inside party, or its address cannot be read."""
    ZONE_HIGH = "POLICY_ZONE_HIGH"
    """An inside party is in a zone of high sensitivity and the counterpart is an outsider."""
    PEER_BLOCKED = "POLICY_PEER_BLOCKED"
    """The guest is of a peer whose people may do nothing."""
    PEER_UNKNOWN = "POLICY_PEER_UNKNOWN"
    """Some peers are blocked, and it is not known that this guest is of none of them."""
    NOT_YOUR_HOST = "POLICY_NOT_YOUR_HOST"
    """A guest and someone who did not invite them."""
    ANONYMOUS = "POLICY_ANONYMOUS"
    """A party that has not signed in."""
    WRONG_PARTIES = "POLICY_WRONG_PARTIES"
    """The action does not exist between such parties (a guest inviting, a call with nobody)."""
    STOPPED = "POLICY_STOPPED"
    """An emergency stop covers it (`broker.policy.stop`); what the rules say was not the question."""


class FailedCondition(StrEnum):
    """The first condition of a rule that kept it from applying; later members came closer to applying."""

    WHO_GROUPS = "who.groups"
    WHO_ZONE = "who.zone"
    WITH_KIND = "with.kind"
    WITH_GROUPS = "with.groups"
    WITH_PEERS = "with.peers"
    DIRECTION = "direction"
    WHEN = "when"
    EXPIRES = "expires"
    OVERRULED = "overruled"
    """It applied, and a deny that also applied beat it."""


class Obligation(StrEnum):
    """What whoever acts on an allow must also do."""

    SHOW_NOT_INSPECTED = "show.not_inspected"
    """Tell both parties that the media is encrypted between them and its content not inspected."""
    FOLD_PRESENCE = "presence.fold"
    """Show the outsider only whether the insider can be reached."""


@dataclass(frozen=True, slots=True)
class LosingRule:
    rule_id: str
    inside_party: str
    """From whose side the rule was read."""
    action: str
    condition: FailedCondition

    def to_json(self) -> dict[str, Any]:
        return {
            "rule_id": self.rule_id,
            "inside_party": self.inside_party,
            "action": self.action,
            "condition": self.condition.value,
        }


@dataclass(frozen=True, slots=True)
class Limits:
    """None means unlimited."""

    minutes: int | None = None
    bits_per_second: int | None = None
    """Each way."""
    until_unix_seconds: int | None = None
    """When the last rule that allows this will have expired or its hours will be over: nothing granted by it
    outlives that moment."""

    def to_json(self) -> dict[str, Any]:
        return {
            "minutes": self.minutes,
            "bits_per_second": self.bits_per_second,
            "until_unix_seconds": self.until_unix_seconds,
        }


UNLIMITED = Limits()


@dataclass(frozen=True, slots=True)
class PartyInputs:
    """What was known of a party. Only the directory attributes that the policy's zones name are kept."""

    kind: str
    """insider, guest or anonymous."""
    party: str | None = None
    login: Personal | None = None
    """For emergency stops, which may name somebody by it. Not in `to_json()`: no rule asks for it."""
    groups: tuple[str, ...] = ()
    """At most `MAX_RECORDED_GROUPS`; those that the policy's rules name come before others."""
    groups_omitted: int = 0
    attributes: tuple[tuple[str, str], ...] = ()
    directory_version: str | None = None
    zone: str | None = None
    zone_known: bool | None = None
    """None for who is not inside; False where neither network nor directory could tell."""
    invitation_id: str | None = None
    invited_by: str | None = None
    verified_by: str | None = None
    peer: str | None = None
    """Of a guest whose domain is one of a peer's."""

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "party": self.party,
            "groups": list(self.groups),
            "groups_omitted": self.groups_omitted,
            "attributes": [list(pair) for pair in self.attributes],
            "directory_version": self.directory_version,
            "zone": self.zone,
            "zone_known": self.zone_known,
            "invitation_id": self.invitation_id,
            "invited_by": self.invited_by,
            "verified_by": self.verified_by,
            "peer": self.peer,
        }


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything the answer depended on besides the policy: with the same, the answer is the same."""

    action: Action
    at_unix_seconds: int
    actor: PartyInputs
    counterpart: PartyInputs | None
    personal: Mapping[str, Personal] = field(default_factory=lambda: MappingProxyType({}))
    """`actor_source_address`, `counterpart_source_address`, and `..._domain` of a guest's e-mail address,
    where there are any; not in `to_json()`."""

    def to_json(self) -> dict[str, Any]:
        return {
            "action": self.action.value,
            "at_unix_seconds": self.at_unix_seconds,
            "actor": self.actor.to_json(),
            "counterpart": None if self.counterpart is None else self.counterpart.to_json(),
        }


@dataclass(frozen=True, slots=True)
class Decision:
    """Show `user_sentence` and `id`; record `to_json()` and, under commitments, `inputs.personal`."""

    id: str
    effect: Effect
    code: Code
    determining_rules: tuple[str, ...]
    """Ids of the rules that made the answer, sorted; for RULE_EXPIRED and OUTSIDE_HOURS of those that would
    have allowed it."""
    losing_rules: tuple[LosingRule, ...]
    """Rules that speak of these parties and the action and did not make the answer, those that came closest
    first, at most `MAX_LOSING_RULES`; in an explanation those that speak of other parties too. Empty where no
    rule was asked."""
    losing_rules_omitted: int
    policy_revision: int
    policy_sha256: str
    inputs: Inputs
    obligations: tuple[Obligation, ...]
    limits: Limits
    user_sentence: str
    """For the actor. Tells nothing of the policy."""
    admin_sentence: str

    @property
    def allowed(self) -> bool:
        return self.effect is Effect.ALLOW

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types. Holds no source address and no domain; those are in `inputs.personal`."""
        return {
            "id": self.id,
            "effect": self.effect.value,
            "code": self.code.value,
            "determining_rules": list(self.determining_rules),
            "losing_rules": [rule.to_json() for rule in self.losing_rules],
            "losing_rules_omitted": self.losing_rules_omitted,
            "policy_revision": self.policy_revision,
            "policy_sha256": self.policy_sha256,
            "inputs": self.inputs.to_json(),
            "obligations": [obligation.value for obligation in self.obligations],
            "limits": self.limits.to_json(),
            "user_sentence": self.user_sentence,
            "admin_sentence": self.admin_sentence,
        }
