"""The one question everything asks before it happens: may this party do this with that one, now?

Silence means deny; a deny that matches beats every allow; every inside party must be allowed on its own side;
among the allows that match, the strictest limit counts. The order of rules means nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from types import MappingProxyType

from auth.case_ignore import case_ignore_key
from auth.personal import Personal
from auth.principal import Anonymous, Guest, Insider, Principal
from broker.policy.decision import (
    MAX_LOSING_RULES,
    MAX_RECORDED_GROUPS,
    UNLIMITED,
    Code,
    Decision,
    FailedCondition,
    Inputs,
    Limits,
    LosingRule,
    Obligation,
    PartyInputs,
)
from broker.policy.sentences import admin_sentence, user_sentence
from broker.policy.zone import Whereabouts, locate
from config.policy import (
    ADMINISTRATION,
    Action,
    CounterpartKind,
    Direction,
    Effect,
    LoadedPolicy,
    Policy,
    Rule,
)

_EPOCH = date(1970, 1, 1).toordinal()
_NEARNESS = {condition: number for number, condition in enumerate(FailedCondition)}
_MEDIA = (Action.CALL_AUDIO, Action.CALL_VIDEO, Action.SCREEN_SHARE)
_INSIDE_ONLY = ADMINISTRATION | {Action.EDGE_SIGNIN}
"""Concerns nobody outside."""
_ALONE = _INSIDE_ONLY | {Action.GUEST_INVITE}


@dataclass(frozen=True, slots=True)
class Subject:
    principal: Principal
    source_address: str | None
    """Where they connect from; None when they do not (a host whose guest arrives first)."""


@dataclass(frozen=True, slots=True)
class Question:
    """`edge.signin`: the actor is the insider. `guest.invite`: no counterpart yet. `edge.join`: the actor is
    the guest the redeemer is about to become, the counterpart the inviter."""

    action: Action
    actor: Subject
    counterpart: Subject | None
    at_unix_seconds: int


@dataclass(frozen=True, slots=True)
class _Side:
    """One inside party's view of the question: what the rules are read against."""

    action: Action
    insider: Insider
    whereabouts: Whereabouts
    counterpart: Principal | None
    direction: Direction

    @property
    def external(self) -> bool:
        """An invitation's guest is outside before they exist; signing in concerns nobody outside."""
        return not isinstance(self.counterpart, Insider) and self.action not in _INSIDE_ONLY


@dataclass(frozen=True, slots=True)
class _Verdict:
    code: Code
    determining: tuple[Rule, ...] = ()
    losing: tuple[LosingRule, ...] = ()
    limits: Limits = UNLIMITED


def decide(policy: LoadedPolicy, question: Question, decision_id: str) -> Decision:
    """Answer a question. Pure, and raises nothing: what cannot be understood is denied."""
    whereabouts = {
        subject: locate(policy.policy, subject.principal, subject.source_address)
        for subject in (question.actor, question.counterpart)
        if subject is not None and isinstance(subject.principal, Insider)
    }
    inputs = _inputs(policy.policy, question, whereabouts)
    verdict = _judge(policy.policy, question, whereabouts)
    allowed = verdict.code is Code.ALLOWED
    rule_ids = tuple(sorted({rule.id for rule in verdict.determining}))
    return Decision(
        id=decision_id,
        effect=Effect.ALLOW if allowed else Effect.DENY,
        code=verdict.code,
        determining_rules=rule_ids,
        losing_rules=_closest_first(verdict.losing)[:MAX_LOSING_RULES],
        losing_rules_omitted=max(0, len(verdict.losing) - MAX_LOSING_RULES),
        policy_revision=policy.policy.revision,
        policy_sha256=policy.sha256,
        inputs=inputs,
        obligations=(Obligation.SHOW_NOT_INSPECTED,) if allowed and question.action in _MEDIA else (),
        limits=verdict.limits,
        user_sentence=user_sentence(verdict.code, isinstance(question.actor.principal, Insider)),
        admin_sentence=admin_sentence(verdict.code, rule_ids, inputs),
    )


def _judge(policy: Policy, question: Question, whereabouts: dict[Subject, Whereabouts]) -> _Verdict:
    sides = _sides(question, whereabouts)
    if isinstance(sides, Code):
        return _Verdict(sides)
    if not all(side.whereabouts.agreed for side in sides):
        return _Verdict(Code.ZONE_MISMATCH)
    if any(side.whereabouts.high and side.external for side in sides):
        return _Verdict(Code.ZONE_HIGH)
    return _read_rules(policy.rules, sides, question.at_unix_seconds)


def _sides(question: Question, whereabouts: dict[Subject, Whereabouts]) -> tuple[_Side, ...] | Code:
    """Who must be allowed to do what, or why such a question has no answer but no."""
    action, actor, counterpart = question.action, question.actor, question.counterpart
    principals = (actor.principal, counterpart.principal if counterpart is not None else None)
    if any(isinstance(principal, Anonymous) for principal in principals):
        return Code.ANONYMOUS
    match action, principals:
        case (_, (Insider() as insider, None)) if action in _ALONE:
            return (_Side(action, insider, whereabouts[actor], None, Direction.OUT),)
        case (_, (_, None)):
            return Code.WRONG_PARTIES
        case _ if action in _ALONE:
            return Code.WRONG_PARTIES
        case (_, (Guest(), Guest())):
            return Code.NOT_YOUR_HOST
        case (Action.EDGE_JOIN, (Guest() as guest, Insider() as insider)) if counterpart is not None:
            if guest.invited_by != insider.party:
                return Code.NOT_YOUR_HOST
            # An invitation is worth no more than its inviter's right to invite on the day it is redeemed.
            return (
                _Side(action, insider, whereabouts[counterpart], guest, Direction.IN),
                _Side(Action.GUEST_INVITE, insider, whereabouts[counterpart], guest, Direction.OUT),
            )
        case (Action.GUEST_ADMIT, (Insider() as insider, Guest() as guest)):
            if guest.invited_by != insider.party:
                return Code.NOT_YOUR_HOST
            return (_Side(action, insider, whereabouts[actor], guest, Direction.OUT),)
        case (Action.EDGE_JOIN | Action.GUEST_ADMIT, _):
            return Code.WRONG_PARTIES
    return _conversation(action, actor, counterpart, whereabouts)


def _conversation(
    action: Action, actor: Subject, counterpart: Subject | None, whereabouts: dict[Subject, Whereabouts]
) -> tuple[_Side, ...] | Code:
    """Seeing, writing to and calling each other: each insider is a side, a guest is none."""
    sides = []
    views = ((actor, counterpart, Direction.OUT), (counterpart, actor, Direction.IN))
    for subject, other, direction in views:
        if subject is None or other is None or not isinstance(subject.principal, Insider):
            continue
        if isinstance(other.principal, Guest) and other.principal.invited_by != subject.principal.party:
            return Code.NOT_YOUR_HOST
        sides.append(_Side(action, subject.principal, whereabouts[subject], other.principal, direction))
    return tuple(sides) or Code.WRONG_PARTIES


def _read_rules(rules: Iterable[Rule], sides: tuple[_Side, ...], at_unix_seconds: int) -> _Verdict:
    denies: list[Rule] = []
    allows: list[list[Rule]] = [[] for _ in sides]
    expired: list[list[Rule]] = [[] for _ in sides]
    losing: list[LosingRule] = []
    for rule in rules:
        for index, side in enumerate(sides):
            if side.action not in rule.actions:
                continue
            failed = _failed_condition(rule, side, at_unix_seconds)
            if failed is None:
                (denies if rule.effect is Effect.DENY else allows[index]).append(rule)
                continue
            losing.append(LosingRule(rule.id, side.insider.party, side.action, failed))
            if failed is FailedCondition.EXPIRES and rule.effect is Effect.ALLOW:
                expired[index].append(rule)
    if all(allows) and not denies:
        matched = tuple(rule for side_allows in allows for rule in side_allows)
        return _Verdict(Code.ALLOWED, matched, tuple(losing), _strictest(allows))
    for side, side_allows in zip(sides, allows, strict=True):
        party, overruled = side.insider.party, FailedCondition.OVERRULED
        losing += (LosingRule(rule.id, party, side.action, overruled) for rule in side_allows)
    if denies:
        return _Verdict(Code.DENIED, tuple(denies), tuple(losing))
    if all(a or e for a, e in zip(allows, expired, strict=True)):
        lapsed = tuple(rule for a, e in zip(allows, expired, strict=True) if not a for rule in e)
        return _Verdict(Code.RULE_EXPIRED, lapsed, tuple(losing))
    return _Verdict(Code.DEFAULT_DENY, (), tuple(losing))


def _failed_condition(rule: Rule, side: _Side, at_unix_seconds: int) -> FailedCondition | None:
    """The first condition that does not hold, or None when the rule applies. `expires` comes last: a rule
    said to fail by it would have applied before."""
    if not rule.who.any and not _member(side.insider, rule.who.groups):
        return FailedCondition.WHO_GROUPS
    # Someone whose zone cannot be told may be in the one a deny names, so the deny applies.
    elsewhere = side.whereabouts.known or rule.effect is Effect.ALLOW
    if rule.who.zone is not None and rule.who.zone != side.whereabouts.zone and elsewhere:
        return FailedCondition.WHO_ZONE
    if rule.with_ is not None:
        colleague = side.counterpart if isinstance(side.counterpart, Insider) else None
        kind = CounterpartKind.GUEST if colleague is None else CounterpartKind.INSIDER
        if rule.with_.kind not in (CounterpartKind.ANY, kind):
            return FailedCondition.WITH_KIND
        if rule.with_.groups is not None and (colleague is None or not _member(colleague, rule.with_.groups)):
            return FailedCondition.WITH_GROUPS
    if rule.direction is not None and rule.direction not in (Direction.BOTH, side.direction):
        return FailedCondition.DIRECTION
    if rule.expires is not None and at_unix_seconds >= _end_of(rule.expires):
        return FailedCondition.EXPIRES
    return None


@lru_cache(maxsize=4096)
def _keys(groups: Iterable[str] | None) -> frozenset[str]:
    """Group names as directories compare them, lest a deny miss a group for its spelling. Cached, because
    every decision compares the same rules and mostly the same people."""
    return frozenset(case_ignore_key(group) for group in groups or ())


def _member(insider: Insider, groups: tuple[str, ...] | None) -> bool:
    return not _keys(groups).isdisjoint(_keys(insider.groups))


def _end_of(day: date) -> int:
    """Unix seconds at which the day, in UTC, is over."""
    return (day.toordinal() - _EPOCH + 1) * 86_400


def _strictest(allows: list[list[Rule]]) -> Limits:
    limits = [rule.limits for side_allows in allows for rule in side_allows if rule.limits is not None]
    ends = [
        max(_end_of(rule.expires) for rule in side_allows if rule.expires is not None)
        for side_allows in allows
        if all(rule.expires is not None for rule in side_allows)
    ]
    return Limits(
        minutes=min((limit.minutes for limit in limits if limit.minutes is not None), default=None),
        bits_per_second=min(
            (limit.bits_per_second for limit in limits if limit.bits_per_second is not None), default=None
        ),
        until_unix_seconds=min(ends, default=None),
    )


def _closest_first(losing: Iterable[LosingRule]) -> tuple[LosingRule, ...]:
    """Independent of the order of rules in the file."""

    def rank(rule: LosingRule) -> tuple[int, str, str, str]:
        return -_NEARNESS[rule.condition], rule.rule_id, rule.inside_party, rule.action

    return tuple(sorted(losing, key=rank))


def _recorded_groups(policy: Policy, insider: Insider) -> tuple[str, ...]:
    if len(insider.groups) <= MAX_RECORDED_GROUPS:
        return tuple(sorted(insider.groups))
    named = set[str]()
    for rule in policy.rules:
        named |= _keys(rule.who.groups)
        if rule.with_ is not None:
            named |= _keys(rule.with_.groups)
    first = sorted(insider.groups, key=lambda group: (case_ignore_key(group) not in named, group))
    return tuple(first[:MAX_RECORDED_GROUPS])


def _inputs(policy: Policy, question: Question, whereabouts: dict[Subject, Whereabouts]) -> Inputs:
    consulted = {case_ignore_key(zone.attribute.partition("=")[0]) for zone in policy.zones if zone.attribute}

    def party(subject: Subject) -> PartyInputs:
        match subject.principal:
            case Insider() as insider:
                groups = _recorded_groups(policy, insider)
                return PartyInputs(
                    kind="insider",
                    party=insider.party,
                    groups=groups,
                    groups_omitted=len(insider.groups) - len(groups),
                    attributes=tuple(
                        pair for pair in insider.attributes if case_ignore_key(pair[0]) in consulted
                    ),
                    directory_version=insider.version,
                    zone=whereabouts[subject].zone,
                    zone_known=whereabouts[subject].known,
                )
            case Guest() as guest:
                return PartyInputs(
                    kind="guest",
                    party=guest.party,
                    invitation_id=guest.invitation_id,
                    invited_by=guest.invited_by,
                    verified_by=guest.verified_by,
                )
            case Anonymous():
                return PartyInputs(kind="anonymous")

    named = (("actor_source_address", question.actor), ("counterpart_source_address", question.counterpart))
    return Inputs(
        action=question.action,
        at_unix_seconds=question.at_unix_seconds,
        actor=party(question.actor),
        counterpart=None if question.counterpart is None else party(question.counterpart),
        personal=MappingProxyType(
            {
                name: Personal(subject.source_address)
                for name, subject in named
                if subject is not None and subject.source_address is not None
            }
        ),
    )
