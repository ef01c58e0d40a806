"""Rule: one sentence of the policy, who may, or may not, do what with whom."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from config.policy.action import ADMINISTRATION, Action
from config.policy.declaration import Flag, GroupName, Identifier, PolicyDeclaration, Sentence
from config.policy.when import When


class Effect(StrEnum):
    ALLOW = "allow"
    DENY = "deny"


class Direction(StrEnum):
    """Seen from the inside party: `out` is what the insider starts."""

    OUT = "out"
    IN = "in"
    BOTH = "both"


class CounterpartKind(StrEnum):
    GUEST = "guest"
    INSIDER = "insider"
    ANY = "any"


class Presence(StrEnum):
    """How much of an insider's presence an outsider sees who may see it at all."""

    EXACT = "exact"
    FOLDED = "folded"
    """Only whether they can be reached: never that they are away or busy."""


class Who(PolicyDeclaration):
    """The inside party."""

    groups: tuple[GroupName, ...] | None = Field(
        default=None,
        max_length=1000,
        description="Member of at least one of these groups; an empty list is nobody.",
    )
    any: Flag = Field(default=False, description="Everyone inside, instead of groups.")
    zone: Identifier | None = Field(default=None, description="And in this zone.")

    @field_validator("any")
    @classmethod
    def _groups_or_any(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("groups") is not None:
            raise ValueError("say groups or any = true, not both")
        return value


class With(PolicyDeclaration):
    """The counterpart."""

    kind: CounterpartKind = Field(description="guest, insider, or any of the two.")
    groups: tuple[GroupName, ...] | None = Field(
        default=None,
        max_length=1000,
        description="Only for kind = insider: in at least one of these groups; an empty list is nobody.",
    )
    peers: tuple[Identifier, ...] | None = Field(
        default=None,
        max_length=1000,
        description="Only for kind = guest: of one of these peers; an empty list is nobody.",
    )

    @field_validator("groups")
    @classmethod
    def _only_insiders_have_groups(
        cls, value: tuple[str, ...] | None, info: ValidationInfo
    ) -> tuple[str, ...] | None:
        if value is not None and info.data.get("kind") not in (CounterpartKind.INSIDER, None):
            raise ValueError("groups are known of insiders only")
        return value

    @field_validator("peers")
    @classmethod
    def _only_guests_have_peers(
        cls, value: tuple[str, ...] | None, info: ValidationInfo
    ) -> tuple[str, ...] | None:
        if value is not None and info.data.get("kind") not in (CounterpartKind.GUEST, None):
            raise ValueError("only guests are of a peer")
        return value


class RuleLimits(PolicyDeclaration):
    """What an allow is limited to. Where several apply, the strictest does."""

    minutes: Annotated[int, Field(strict=True, ge=1, le=10080)] | None = Field(
        default=None,
        description="Longest duration of one session.",
        json_schema_extra={"unit": "minutes"},
    )
    bits_per_second: Annotated[int, Field(strict=True, ge=16_000, le=1_000_000_000)] | None = Field(
        default=None,
        description="Media each way in one session.",
        json_schema_extra={"unit": "bits per second"},
    )


class Rule(PolicyDeclaration):
    """Who may, or may not, do what with whom."""

    id: Identifier = Field(description="Unique, and never reused for another rule: records quote it.")
    effect: Effect = Field(description="allow or deny. A deny that matches beats every allow.")
    actions: frozenset[Action] = Field(description="What the rule is about; an empty list is nothing.")
    who: Who = Field(description="The inside party, whoever starts.")
    with_: With | None = Field(
        default=None,
        validate_default=True,
        alias="with",
        description="The counterpart. Absent for edge.signin only.",
    )
    direction: Direction | None = Field(
        default=None,
        validate_default=True,
        description="out: the insider starts; in: the counterpart does; both. Absent for edge.signin only.",
    )
    presence: Presence | None = Field(
        default=None,
        validate_default=True,
        description="exact, or folded to whether somebody can be reached. Required to allow presence.see "
        "with an outsider, and for nothing else.",
    )
    when: When | None = Field(default=None, description="Days and hours at which the rule holds.")
    expires: Annotated[date, Field(strict=True)] | None = Field(
        default=None,
        validate_default=True,
        description="Last day, in UTC, on which the rule holds. Required to allow anything with an outsider.",
    )
    owner: Sentence = Field(description="Who answers for the rule.")
    reason: Sentence = Field(description="Why it exists.")
    limits: RuleLimits | None = Field(default=None, description="Only for effect = allow.")

    @field_validator("actions")
    @classmethod
    def _signin_stands_alone(cls, value: frozenset[Action]) -> frozenset[Action]:
        if value & ADMINISTRATION:
            raise ValueError("administration is not given by rules: [admin] in the settings names its groups")
        if Action.EDGE_SIGNIN in value and len(value) > 1:
            raise ValueError("edge.signin has no counterpart: give it a rule of its own")
        return value

    @field_validator("who")
    @classmethod
    def _someone_is_named(cls, value: Who) -> Who:
        if value.groups is None and not value.any:
            raise ValueError("say groups, or any = true")
        return value

    @field_validator("with_", "direction")
    @classmethod
    def _there_is_a_counterpart(cls, value: object, info: ValidationInfo) -> object:
        actions = info.data.get("actions")
        if actions is not None and (actions == {Action.EDGE_SIGNIN}) != (value is None):
            raise ValueError("required, except for edge.signin" if value is None else "edge.signin has none")
        return value

    @field_validator("presence")
    @classmethod
    def _outsiders_see_what_is_said(cls, value: Presence | None, info: ValidationInfo) -> Presence | None:
        if not {"actions", "effect", "with_"} <= info.data.keys():
            return value
        shows = Action.PRESENCE_SEE in info.data["actions"] and info.data["effect"] is Effect.ALLOW
        if value is None and shows and _external(info):
            raise ValueError("say exact or folded: an outsider would see how reachable people are")
        if value is not None and not (shows and _external(info)):
            raise ValueError("only for a rule that allows presence.see with an outsider")
        return value

    @field_validator("expires")
    @classmethod
    def _outside_ends_some_day(cls, value: date | None, info: ValidationInfo) -> date | None:
        if value is None and _external(info) and info.data.get("effect") is Effect.ALLOW:
            raise ValueError("required: the counterpart can be an outsider")
        return value

    @field_validator("limits")
    @classmethod
    def _only_an_allow_is_limited(cls, value: RuleLimits | None, info: ValidationInfo) -> RuleLimits | None:
        if value is not None and info.data.get("effect") is Effect.DENY:
            raise ValueError("a deny has no limits")
        return value


def _external(info: ValidationInfo) -> bool:
    with_ = info.data.get("with_")
    return with_ is not None and with_.kind is not CounterpartKind.INSIDER
