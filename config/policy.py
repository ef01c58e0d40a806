"""The organisation's policy as an administrator writes it: zones and rules, typed, checked, loaded from TOML.

Declarations only. What a policy answers to a question is `broker.policy`'s business.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)
from pydantic_core import PydanticCustomError

MAX_POLICY_BYTES = 1 << 20
"""Larger files are refused before they are parsed."""

_MAPPED_IPV4 = IPv6Network("::ffff:0:0/96")


class Action(StrEnum):
    """What can be asked of policy: modality and verb."""

    EDGE_SIGNIN = "edge.signin"
    """An insider opens a sign-in session. Has no counterpart."""
    EDGE_JOIN = "edge.join"
    """A guest redeems an invitation; the inside party is the inviter."""
    GUEST_INVITE = "guest.invite"
    GUEST_ADMIT = "guest.admit"
    PRESENCE_SEE = "presence.see"
    CHAT_SEND = "chat.send"
    CALL_AUDIO = "call.audio"
    CALL_VIDEO = "call.video"
    SCREEN_SHARE = "screen.share"
    """Inside a call: the actor shows their screen to the counterpart."""
    ADMIN_OPERATE = "admin.operate"
    ADMIN_SET_POLICY = "admin.set_policy"
    ADMIN_AUDIT = "admin.audit"


ADMINISTRATION = frozenset({Action.ADMIN_OPERATE, Action.ADMIN_SET_POLICY, Action.ADMIN_AUDIT})
"""Given by the groups that the settings' [admin] names, never by a rule: whoever writes the policy cannot
make himself an auditor, and no mistake in it locks out those who could mend it. Has no counterpart."""


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


class Sensitivity(StrEnum):
    NORMAL = "normal"
    HIGH = "high"


def _network(value: object) -> IPv4Network | IPv6Network:
    if not isinstance(value, str):
        raise PydanticCustomError("network_text", "write a network as text, such as 10.1.0.0/16")
    network = ip_network(value)
    if network.prefixlen == 0:
        raise ValueError("every address there is makes no zone; a rule for everyone says who.any = true")
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED_IPV4):
        raise ValueError("write an IPv4 network as IPv4")
    return network


Network = Annotated[IPv4Network | IPv6Network, PlainValidator(_network), WithJsonSchema({"type": "string"})]
Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
GroupName = Annotated[str, StringConstraints(min_length=1, max_length=512)]
Sentence = Annotated[str, StringConstraints(min_length=1, max_length=500, strip_whitespace=True)]


class _Declaration(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Zone(_Declaration):
    """A part of the house. Network and directory must name the same zone, else everything is refused."""

    id: Identifier = Field(description="Name that rules and records use.")
    networks: tuple[Network, ...] = Field(
        max_length=1000,
        description="Source networks in CIDR form. No address may be in two zones; none means nobody.",
    )
    attribute: Annotated[str, StringConstraints(pattern=r"^[^=\s]{1,128}=[^\r\n]{1,256}$")] | None = Field(
        default=None,
        description="Directory attribute, name=value, that marks this zone's people: they must have it.",
    )
    sensitivity: Sensitivity = Field(
        default=Sensitivity.NORMAL,
        description="A zone of high sensitivity has no external communication at all.",
    )


class Who(_Declaration):
    """The inside party."""

    groups: tuple[GroupName, ...] | None = Field(
        default=None,
        max_length=1000,
        description="Member of at least one of these groups; an empty list is nobody.",
    )
    any: Annotated[bool, Field(strict=True)] = Field(
        default=False, description="Everyone inside, instead of groups."
    )
    zone: Identifier | None = Field(default=None, description="And in this zone.")

    @field_validator("any")
    @classmethod
    def _groups_or_any(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("groups") is not None:
            raise ValueError("say groups or any = true, not both")
        return value


class With(_Declaration):
    """The counterpart."""

    kind: CounterpartKind = Field(description="guest, insider, or any of the two.")
    groups: tuple[GroupName, ...] | None = Field(
        default=None,
        max_length=1000,
        description="Only for kind = insider: in at least one of these groups; an empty list is nobody.",
    )

    @field_validator("groups")
    @classmethod
    def _only_insiders_have_groups(
        cls, value: tuple[str, ...] | None, info: ValidationInfo
    ) -> tuple[str, ...] | None:
        if value is not None and info.data.get("kind") not in (CounterpartKind.INSIDER, None):
            raise ValueError("groups are known of insiders only")
        return value


class RuleLimits(_Declaration):
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


class Rule(_Declaration):
    """One sentence of the policy: who may, or may not, do what with whom."""

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

    @field_validator("expires")
    @classmethod
    def _outside_ends_some_day(cls, value: date | None, info: ValidationInfo) -> date | None:
        with_ = info.data.get("with_")
        external = with_ is not None and with_.kind is not CounterpartKind.INSIDER
        if value is None and external and info.data.get("effect") is Effect.ALLOW:
            raise ValueError("required: the counterpart can be an outsider")
        return value

    @field_validator("limits")
    @classmethod
    def _only_an_allow_is_limited(cls, value: RuleLimits | None, info: ValidationInfo) -> RuleLimits | None:
        if value is not None and info.data.get("effect") is Effect.DENY:
            raise ValueError("a deny has no limits")
        return value


class Policy(_Declaration):
    """Everything the gate goes by. What no rule allows is denied."""

    revision: Annotated[int, Field(strict=True, ge=1)] = Field(
        description="Raised by whoever changes the file."
    )
    zones: tuple[Zone, ...] = Field(default=(), max_length=100, description="The parts of the house.")
    rules: tuple[Rule, ...] = Field(
        default=(), max_length=1000, description="In any order: order means nothing."
    )


@dataclass(frozen=True, slots=True)
class LoadedPolicy:
    policy: Policy
    sha256: str
    """Of the file's bytes, in hex; every decision and record carries it beside the revision."""


@dataclass(frozen=True, slots=True)
class PolicyError:
    path: str
    """Such as `rules[2].expires`; empty for the file as a whole."""
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class PolicyErrors(Exception):  # noqa: N818 - it carries all errors, not one
    """Everything that is wrong with a policy file."""

    def __init__(self, source_name: str, errors: Iterable[PolicyError]) -> None:
        self.source_name = source_name
        self.errors = tuple(errors)
        super().__init__("\n".join(f"{source_name}: {error}" for error in self.errors))


def load_policy(text: str | bytes, source_name: str) -> LoadedPolicy:
    """Parse and check a policy file (TOML, UTF-8, at most `MAX_POLICY_BYTES`).

    Raises PolicyErrors, with every problem that can be told at once; `source_name` is what it calls the file.
    """
    try:
        raw = text.encode() if isinstance(text, str) else bytes(text)
        if len(raw) > MAX_POLICY_BYTES:
            raise ValueError(f"larger than {MAX_POLICY_BYTES} bytes")
        document = tomllib.loads(raw.decode())
    except (ValueError, RecursionError) as error:
        raise PolicyErrors(source_name, [PolicyError("", f"not readable as TOML: {error}")]) from None
    errors: list[PolicyError] = []
    policy: Policy | None = None
    try:
        policy = Policy.model_validate(document)
    except ValidationError as error:
        errors += [
            PolicyError(_path(e["loc"], e["type"]), e["msg"].removeprefix("Value error, "))
            for e in error.errors()
        ]
    errors += _contradictions(
        list(_readable(Zone, document.get("zones"))), list(_readable(Rule, document.get("rules")))
    )
    if policy is None or errors:
        raise PolicyErrors(source_name, errors)
    return LoadedPolicy(policy, hashlib.sha256(raw).hexdigest())


_Entry = TypeVar("_Entry", bound=_Declaration)


def _readable(model: type[_Entry], entries: Any) -> Iterator[tuple[int, _Entry]]:
    """The entries that stand on their own: a broken one must not hide contradictions among the rest."""
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        try:
            yield index, model.model_validate(entry)
        except ValidationError:
            continue


def _contradictions(zones: list[tuple[int, Zone]], rules: list[tuple[int, Rule]]) -> Iterator[PolicyError]:
    zone_ids: dict[str, int] = {}
    attributes: dict[str, str] = {}
    for index, zone in zones:
        if zone.id in zone_ids:
            yield PolicyError(f"zones[{index}].id", f"already the id of zones[{zone_ids[zone.id]}]")
        zone_ids.setdefault(zone.id, index)
        if zone.attribute is not None:
            first = attributes.setdefault(zone.attribute.casefold(), zone.id)
            if first != zone.id:
                yield PolicyError(f"zones[{index}].attribute", f"already marks zone {first}")
    yield from _overlaps(zones)
    rule_ids: dict[str, int] = {}
    for index, rule in rules:
        if rule.id in rule_ids:
            yield PolicyError(f"rules[{index}].id", f"already the id of rules[{rule_ids[rule.id]}]")
        rule_ids.setdefault(rule.id, index)
        if rule.who.zone is not None and rule.who.zone not in zone_ids:
            yield PolicyError(f"rules[{index}].who.zone", f"there is no zone {rule.who.zone}")


def _overlaps(zones: list[tuple[int, Zone]]) -> Iterator[PolicyError]:
    """Networks of different zones that share an address. Sorted, what overlaps follows at once."""
    spans = sorted(
        (net.version, int(net.network_address), -int(net.broadcast_address), index, position, zone.id)
        for index, zone in zones
        for position, net in enumerate(zone.networks)
    )
    # CIDR networks nest or are apart, so comparing with the outermost one that is still open is enough.
    open_version, open_last, open_zone = 0, -1, ""
    for version, first, minus_last, index, position, zone_id in spans:
        if version != open_version or first > open_last:
            open_version, open_last, open_zone = version, -minus_last, zone_id
        elif zone_id != open_zone:
            yield PolicyError(
                f"zones[{index}].networks[{position}]", f"overlaps a network of zone {open_zone}"
            )


def _path(location: tuple[int | str, ...], error_type: str) -> str:
    if location[-1] == "with_" and error_type == "value_error":
        location = (*location[:-1], "with")  # pydantic names a default by its attribute, not by its key
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            name = part if part.isascii() and part.replace("_", "").isalnum() else ascii(part)[:80]
            path += f".{name}" if path else name
    return path
