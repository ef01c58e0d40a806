"""The one question everything asks before it happens: may this party do this with that one, now?

Silence means deny; a deny that matches beats every allow; every inside party must be allowed on its own side;
among the allows that match, the strictest limit counts. The order of rules means nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from auth.principal import Guest, Insider
from broker.policy.decision import (
    MAX_LOSING_RULES,
    UNLIMITED,
    Code,
    Decision,
    FailedCondition,
    Limits,
    LosingRule,
    Obligation,
)
from broker.policy.index import NEVER, PolicyIndex, ReadRule, group_keys
from broker.policy.inputs import recorded_inputs
from broker.policy.question import Question
from broker.policy.sentences import admin_sentence, user_sentence
from broker.policy.sides import Located, Side, sides_of
from broker.policy.stop import Scope, stopped
from config.policy.action import Action
from config.policy.peer import PeerMode
from config.policy.rule import CounterpartKind, Direction, Effect, Presence

_NEARNESS = {condition: number for number, condition in enumerate(FailedCondition)}
_MEDIA = (Action.CALL_AUDIO, Action.CALL_VIDEO, Action.SCREEN_SHARE)
_BY_TIME = {FailedCondition.WHEN: Code.OUTSIDE_HOURS, FailedCondition.EXPIRES: Code.RULE_EXPIRED}


@dataclass(frozen=True, slots=True)
class _Verdict:
    code: Code
    determining: tuple[ReadRule, ...] = ()
    losing: tuple[LosingRule, ...] = ()
    limits: Limits = UNLIMITED


def decide(
    policy: PolicyIndex,
    question: Question,
    decision_id: str,
    stops: Collection[Scope] = (),
    *,
    explained: bool = False,
) -> Decision:
    """Answer a question. Pure, and raises nothing: what cannot be understood is denied. `stops` are the
    emergency stops that are latched: they come before every rule.

    `explained` reads also the rules that speak of other people, to say why each of them lost; it never
    changes the answer, and costs as much as the policy is long."""
    located = Located.of(policy, question)
    inputs = recorded_inputs(policy, question, located)
    if stops and stopped(stops, inputs):
        verdict = _Verdict(Code.STOPPED)
    else:
        verdict = _judge(policy, question, located, explained)
    allowed = verdict.code is Code.ALLOWED
    rule_ids = tuple(sorted({read.rule.id for read in verdict.determining}))
    return Decision(
        id=decision_id,
        effect=Effect.ALLOW if allowed else Effect.DENY,
        code=verdict.code,
        determining_rules=rule_ids,
        losing_rules=_closest_first(verdict.losing)[:MAX_LOSING_RULES] if verdict.losing else (),
        losing_rules_omitted=max(0, len(verdict.losing) - MAX_LOSING_RULES),
        policy_revision=policy.loaded.policy.revision,
        policy_sha256=policy.loaded.sha256,
        inputs=inputs,
        obligations=_obligations(question, verdict.determining) if allowed else (),
        limits=verdict.limits,
        user_sentence=user_sentence(verdict.code, isinstance(question.actor.principal, Insider)),
        admin_sentence=admin_sentence(verdict.code, rule_ids, inputs),
    )


def _obligations(question: Question, determining: Iterable[ReadRule]) -> tuple[Obligation, ...]:
    if question.action in _MEDIA:
        return (Obligation.SHOW_NOT_INSPECTED,)
    outside = isinstance(question.actor.principal, Guest)
    if question.action is Action.PRESENCE_SEE and outside:
        folded = any(read.rule.presence is Presence.FOLDED for read in determining)
        return (Obligation.FOLD_PRESENCE,) if folded else ()
    return ()


def _judge(policy: PolicyIndex, question: Question, located: Located, explained: bool) -> _Verdict:
    sides = sides_of(question, located)
    if isinstance(sides, Code):
        return _Verdict(sides)
    if not all(side.whereabouts.agreed for side in sides):
        return _Verdict(Code.ZONE_MISMATCH)
    if any(side.whereabouts.high and side.external for side in sides):
        return _Verdict(Code.ZONE_HIGH)
    barred = _barred_peer(policy, sides)
    if barred is not None:
        return _Verdict(barred)
    return _read_rules(policy, sides, question.at_unix_seconds, explained)


def _barred_peer(policy: PolicyIndex, sides: tuple[Side, ...]) -> Code | None:
    """Whoever cannot be told not to be of a blocked peer is treated like one who is."""
    for side in sides:
        if side.external and policy.blocks_peers:
            domain = side.counterpart.domain if isinstance(side.counterpart, Guest) else None
            if domain is None:
                return Code.PEER_UNKNOWN
            peer = policy.peer(domain)
            if peer is not None and peer.mode is PeerMode.BLOCK:
                return Code.PEER_BLOCKED
    return None


def _read_rules(
    policy: PolicyIndex, sides: tuple[Side, ...], at_unix_seconds: int, explained: bool
) -> _Verdict:
    denies: list[ReadRule] = []
    allows: list[list[ReadRule]] = [[] for _ in sides]
    lapsed: list[dict[FailedCondition, ReadRule]] = [{} for _ in sides]
    losing: list[LosingRule] = []
    for index, side in enumerate(sides):
        across = _Across.of(policy, side)
        candidates = (
            policy.of_action(side.action) if explained else _reading(policy, side, across, at_unix_seconds)
        )
        for read in candidates:
            failed = _failed_condition(read, side, across, at_unix_seconds)
            if failed is None:
                (denies if read.rule.effect is Effect.DENY else allows[index]).append(read)
                continue
            losing.append(LosingRule(read.rule.id, side.insider.party, side.action, failed))
            if failed in _BY_TIME and read.rule.effect is Effect.ALLOW:
                nearest = lapsed[index].setdefault(failed, read)
                lapsed[index][failed] = min(nearest, read, key=_last_to_end)
    if all(allows) and not denies:
        matched = tuple(read for side_allows in allows for read in side_allows)
        return _Verdict(Code.ALLOWED, matched, tuple(losing), _strictest(allows, at_unix_seconds))
    for side, side_allows in zip(sides, allows, strict=True):
        party, overruled = side.insider.party, FailedCondition.OVERRULED
        losing += (LosingRule(read.rule.id, party, side.action, overruled) for read in side_allows)
    if denies:
        return _Verdict(Code.DENIED, tuple(denies), tuple(losing))
    return _missed(allows, lapsed, tuple(losing))


def _missed(
    allows: list[list[ReadRule]],
    lapsed: list[dict[FailedCondition, ReadRule]],
    losing: tuple[LosingRule, ...],
) -> _Verdict:
    """No deny, and somebody without an allow: was it a matter of time for each of them?"""
    late: list[tuple[Code, ReadRule]] = []
    for side_allows, side_lapsed in zip(allows, lapsed, strict=True):
        if side_allows:
            continue
        condition = next((one for one in _BY_TIME if one in side_lapsed), None)
        if condition is None:
            return _Verdict(Code.DEFAULT_DENY, (), losing)
        late.append((_BY_TIME[condition], side_lapsed[condition]))
    codes = {code for code, _ in late}
    code = Code.RULE_EXPIRED if Code.RULE_EXPIRED in codes else Code.OUTSIDE_HOURS
    return _Verdict(code, tuple(read for _, read in late), losing)


def _last_to_end(read: ReadRule) -> tuple[int, str]:
    return -read.ends_unix_seconds, read.rule.id


@dataclass(frozen=True, slots=True)
class _Across:
    """The counterpart as rules name them."""

    insider: bool
    keys: frozenset[str]
    """Keys of an insider's groups, or the id of a guest's peer."""
    known: bool = True
    """False for a guest of whose address nothing is known: they may be of any peer that a deny names."""

    @staticmethod
    def of(policy: PolicyIndex, side: Side) -> _Across:
        match side.counterpart:
            case Insider() as colleague:
                return _Across(True, group_keys(colleague.groups))
            case Guest() as guest if guest.domain is not None:
                peer = policy.peer(guest.domain)
                return _Across(False, frozenset((peer.id,)) if peer is not None else frozenset())
            case _:
                return _Across(False, frozenset(), known=False)


def _reading(policy: PolicyIndex, side: Side, across: _Across, at_unix_seconds: int) -> Iterator[ReadRule]:
    """Each rule that can match, once; of the expired ones in a leaf the last to expire."""
    seen = set[ReadRule]()
    leaves = policy.speaking_of(
        side.action,
        across.insider,
        side.direction,
        group_keys(side.insider.groups),
        across.keys if across.known else None,
        side.whereabouts.zone,
        side.whereabouts.known,
    )
    for leaf in leaves:
        for read in leaf:
            if read not in seen:
                seen.add(read)
                yield read
            if read.ends_unix_seconds <= at_unix_seconds:
                break


def _failed_condition(
    read: ReadRule, side: Side, across: _Across, at_unix_seconds: int
) -> FailedCondition | None:
    """The first condition that does not hold, or None when the rule applies. Those of time come last: a rule
    said to fail by one of them would have applied at another moment."""
    rule = read.rule
    if not rule.who.any and read.who_keys.isdisjoint(group_keys(side.insider.groups)):
        return FailedCondition.WHO_GROUPS
    # Someone whose zone cannot be told may be in the one a deny names, so the deny applies.
    elsewhere = side.whereabouts.known or rule.effect is Effect.ALLOW
    if rule.who.zone is not None and rule.who.zone != side.whereabouts.zone and elsewhere:
        return FailedCondition.WHO_ZONE
    if rule.with_ is not None:
        kind = CounterpartKind.INSIDER if across.insider else CounterpartKind.GUEST
        if rule.with_.kind not in (CounterpartKind.ANY, kind):
            return FailedCondition.WITH_KIND
        if rule.with_.groups is not None and read.with_keys.isdisjoint(across.keys):
            return FailedCondition.WITH_GROUPS
        maybe_theirs = not across.known and rule.effect is Effect.DENY and bool(read.with_keys)
        if rule.with_.peers is not None and read.with_keys.isdisjoint(across.keys) and not maybe_theirs:
            return FailedCondition.WITH_PEERS
    if rule.direction is not None and rule.direction not in (Direction.BOTH, side.direction):
        return FailedCondition.DIRECTION
    if at_unix_seconds >= read.ends_unix_seconds:
        return FailedCondition.EXPIRES
    if rule.when is not None and not read.span(at_unix_seconds).open:
        return FailedCondition.WHEN
    return None


def _strictest(allows: list[list[ReadRule]], at_unix_seconds: int) -> Limits:
    limits = [read.rule.limits for side_allows in allows for read in side_allows if read.rule.limits]
    ends = [max(read.holds_until(at_unix_seconds) for read in side_allows) for side_allows in allows]
    until = min(ends)
    return Limits(
        minutes=min((limit.minutes for limit in limits if limit.minutes is not None), default=None),
        bits_per_second=min(
            (limit.bits_per_second for limit in limits if limit.bits_per_second is not None), default=None
        ),
        until_unix_seconds=until if until < NEVER else None,
    )


def _closest_first(losing: Iterable[LosingRule]) -> tuple[LosingRule, ...]:
    """Independent of the order of rules in the file."""

    def rank(rule: LosingRule) -> tuple[int, str, str, str]:
        return -_NEARNESS[rule.condition], rule.rule_id, rule.inside_party, rule.action

    return tuple(sorted(losing, key=rank))
