"""Check: what a policy says that its author probably did not mean. A policy with findings can be used."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice, product

from auth.case_ignore import case_ignore_key
from broker.policy.index import PolicyIndex, ReadRule
from config.policy.action import Action
from config.policy.peer import PeerMode
from config.policy.rule import CounterpartKind, Direction, Effect
from config.policy.zone import Sensitivity

MAX_COMPARED = 500
"""Other rules that one is compared with, of those that name the same people; what they hide is not found."""
EXPIRES_SOON_SECONDS = 30 * 86_400


@dataclass(frozen=True, slots=True)
class Finding:
    kind: str
    """`expired`, `expires-soon`, `unreachable`, `shadowed`, `unknown-group`, `unused`."""
    rule_id: str
    """Of the rule it is about, or of the zone or peer."""
    sentence: str

    def to_json(self) -> dict[str, str]:
        return asdict(self)


def findings(
    policy: PolicyIndex, at_unix_seconds: int, known_groups: frozenset[str] | None = None
) -> list[Finding]:
    """All of them, in the order of the rules. `known_groups` are those the directory has; None: not asked."""
    groups = None if known_groups is None else frozenset(case_ignore_key(group) for group in known_groups)
    found = list(_unused(policy))
    coverers = _coverers(policy.rules, at_unix_seconds)
    for read in policy.rules:
        if read.ends_unix_seconds <= at_unix_seconds:
            found.append(Finding("expired", read.rule.id, f"expired on {read.rule.expires}"))
            continue
        if read.ends_unix_seconds <= at_unix_seconds + EXPIRES_SOON_SECONDS:
            found.append(Finding("expires-soon", read.rule.id, f"expires on {read.rule.expires}"))
        never = _never(policy, read)
        if never is not None:
            found.append(Finding("unreachable", read.rule.id, never))
            continue
        found.extend(_unknown_groups(read, groups))
        found.extend(_shadowed(read, coverers))
    return found


def _never(policy: PolicyIndex, read: ReadRule) -> str | None:
    """Why the rule can never apply."""
    rule, with_ = read.rule, read.rule.with_
    zones = {zone.id: zone for zone in policy.loaded.policy.zones}
    peers = {peer.id: peer for peer in policy.loaded.policy.peers}
    if not rule.actions:
        return "it is about no action"
    if rule.who.groups == ():
        return "it names no group inside, so nobody"
    if rule.when is not None and rule.when.days == ():
        return "it holds on no day"
    if with_ is not None:
        if with_.groups == () or with_.peers == ():
            return "it names nobody across"
        high = rule.who.zone is not None and zones[rule.who.zone].sensitivity is Sensitivity.HIGH
        if high and with_.kind is CounterpartKind.GUEST and rule.effect is Effect.ALLOW:
            return f"zone {rule.who.zone} is of high sensitivity and has no guests"
        blocked = with_.peers and all(peers[peer].mode is PeerMode.BLOCK for peer in with_.peers)
        if blocked and rule.effect is Effect.ALLOW:
            return "all its peers are blocked"
        if with_.kind is CounterpartKind.INSIDER and rule.actions <= _WITH_GUESTS_ONLY:
            return "its actions are about guests, and it is with insiders"
    return None


_WITH_GUESTS_ONLY = {Action.EDGE_JOIN, Action.GUEST_INVITE, Action.GUEST_ADMIT}


def _unknown_groups(read: ReadRule, known: frozenset[str] | None) -> Iterator[Finding]:
    named = (read.rule.who.groups or ()) + ((read.rule.with_.groups or ()) if read.rule.with_ else ())
    for group in named:
        if known is not None and case_ignore_key(group) not in known:
            sentence = f"the directory has no group {group!a} that anybody is in"
            yield Finding("unknown-group", read.rule.id, sentence)


def _unused(policy: PolicyIndex) -> Iterator[Finding]:
    document = policy.loaded.policy
    zones = {rule.who.zone for rule in document.rules}
    peers = {peer for rule in document.rules if rule.with_ for peer in rule.with_.peers or ()}
    for zone in document.zones:
        if not zone.networks:
            yield Finding("unreachable", zone.id, "the zone has no network, so nobody is in it")
        elif zone.id not in zones and zone.sensitivity is Sensitivity.NORMAL and zone.attribute is None:
            yield Finding("unused", zone.id, "no rule names the zone")
    for peer in document.peers:
        if not peer.domains:
            yield Finding("unreachable", peer.id, "the peer has no domain, so nobody is of it")
        elif peer.id not in peers and peer.mode is PeerMode.ALLOW:
            yield Finding("unused", peer.id, "no rule names the peer")


_Coverers = dict[tuple[str, str], list[ReadRule]]
"""By whom they name inside and across, "" standing for anyone."""


def _coverers(rules: Iterable[ReadRule], at_unix_seconds: int) -> _Coverers:
    """Rules that could cover others, under each of those whom they name."""
    found: _Coverers = defaultdict(list)
    for read in rules:
        if read.ends_unix_seconds > at_unix_seconds:
            for place in product(read.who_keys or {""}, read.with_keys or {""}):
                found[place].append(read)
    return found


def _shadowed(read: ReadRule, coverers: _Coverers) -> Iterator[Finding]:
    who, across = {"", min(read.who_keys, default="")}, {"", min(read.with_keys, default="")}
    near = (one for place in product(sorted(who), sorted(across)) for one in coverers.get(place, ()))
    for other in islice(near, MAX_COMPARED):
        if other is read or not _covers(other, read):
            continue
        if other.rule.effect is Effect.DENY and read.rule.effect is Effect.ALLOW:
            sentence = f"{other.rule.id} denies all that it allows: it can never apply"
            yield Finding("shadowed", read.rule.id, sentence)
            return
        if other.rule.effect is not read.rule.effect or other.rule.limits or read.rule.limits:
            continue
        if _covers(read, other) and other.rule.id > read.rule.id:
            continue  # two that say the same: the finding is about the later one
        if read.rule.presence in (None, other.rule.presence):
            sentence = f"{other.rule.id} says all that it says: without it nothing would change"
            yield Finding("shadowed", read.rule.id, sentence)
            return


def _covers(wide: ReadRule, narrow: ReadRule) -> bool:
    """Whether `wide` applies wherever and whenever `narrow` does."""
    one, other = wide.rule, narrow.rule
    return (
        other.actions <= one.actions
        and wide.ends_unix_seconds >= narrow.ends_unix_seconds
        and (one.when is None or one.when == other.when)
        and (one.who.any or (not other.who.any and narrow.who_keys <= wide.who_keys))
        and one.who.zone in (None, other.who.zone)
        and one.direction in (None, Direction.BOTH, other.direction)
        and _covers_across(wide, narrow)
    )


def _covers_across(wide: ReadRule, narrow: ReadRule) -> bool:
    one, other = wide.rule.with_, narrow.rule.with_
    if one is None or other is None:
        return one is other
    if one.kind not in (CounterpartKind.ANY, other.kind):
        return False
    if one.groups is None and one.peers is None:
        return True
    named = other.groups is not None or other.peers is not None
    return named and narrow.with_keys <= wide.with_keys
