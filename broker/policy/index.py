"""PolicyIndex: a policy laid out so that a question reads only the rules that can match it.

Rules are found by what they are about (action, kind of counterpart, direction), then by whom they name
inside, then by whom they name across, then by zone. Of rules that have expired only the last to expire is
read in each such place. So the cost of an answer grows with the rules that speak of these two parties, not
with the policy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from auth.case_ignore import case_ignore_key
from broker.policy.when import Span, span_at
from config.policy.action import Action
from config.policy.loading import LoadedPolicy
from config.policy.peer import Peer, PeerMode
from config.policy.rule import CounterpartKind, Direction, Effect, Rule
from config.policy.when import When
from config.policy.zone import Zone

_EPOCH = date(1970, 1, 1).toordinal()
NEVER = 2**63
"""Later than any moment that is asked about (Unix seconds)."""
ANYONE = ""
"""Stands in the index for whoever: no group and no peer has an empty name."""

Leaf = tuple["ReadRule", ...]
_Zones = dict[str | None, list["ReadRule"]]
_Place = tuple[Action, bool, Direction]
"""An action, whether the counterpart is an insider, and who started."""
_Networks = Mapping[int, list[tuple[int, dict[int, Zone]]]]
_Tables = Mapping[_Place, Mapping[str, Mapping[str, Mapping[str | None, tuple[Leaf, ...]]]]]
"""By place, by whom the rule names inside, by whom across, by zone: the allows, and the denies."""


class Hours:
    """A window of time, shared by all rules that have it. The last span is remembered, for questions come
    mostly in the order of time."""

    def __init__(self, when: When | None) -> None:
        self._when = when
        self._span = Span(True, 0, NEVER) if when is None else span_at(when, 0)

    def span(self, at_unix_seconds: int) -> Span:
        """The span around this moment."""
        if self._when is None:
            return self._span
        span = self._span  # once: another thread may ask about another moment and replace it
        if not span.holds(at_unix_seconds):
            span = self._span = span_at(self._when, at_unix_seconds)
        return span


@dataclass(slots=True, eq=False)
class ReadRule:
    """A rule with everything about it worked out that does not depend on the question."""

    rule: Rule
    who_keys: frozenset[str]
    with_keys: frozenset[str]
    """Group keys or peer ids across; empty where the rule names neither."""
    ends_unix_seconds: int
    """The first moment after its last day."""
    hours: Hours

    def span(self, at_unix_seconds: int) -> Span:
        """The rule's hours around this moment."""
        return self.hours.span(at_unix_seconds)

    def holds_until(self, at_unix_seconds: int) -> int:
        """The moment at which the rule no longer holds, if it holds now."""
        return min(self.ends_unix_seconds, self.span(at_unix_seconds).until_unix_seconds)


class PolicyIndex:
    """What `decide` reads. Made once for each policy that comes into force."""

    def __init__(self, loaded: LoadedPolicy, beside: PolicyIndex | None = None) -> None:
        """`beside`: the index of a policy with the very same zones, which need not be laid out again."""
        self.loaded = loaded
        hours = {when: Hours(when) for when in {rule.when for rule in loaded.policy.rules}}
        self.rules = tuple(_read(rule, hours[rule.when]) for rule in loaded.policy.rules)
        self._tables = _tables(self.rules)
        self._networks: _Networks = _networks(loaded.policy.zones) if beside is None else beside._networks
        self._marks: dict[str, list[Zone]] = {}
        for zone in loaded.policy.zones:
            if zone.attribute is not None:
                self._marks.setdefault(case_ignore_key(zone.attribute), []).append(zone)
        self._domains = {domain: peer for peer in loaded.policy.peers for domain in peer.domains}
        self.blocks_peers = any(peer.mode is PeerMode.BLOCK for peer in loaded.policy.peers)
        self.consulted_attributes = frozenset(
            case_ignore_key(zone.attribute.partition("=")[0])
            for zone in loaded.policy.zones
            if zone.attribute
        )
        self.named_groups = frozenset[str]().union(
            *(group_keys(rule.rule.who.groups or ()) for rule in self.rules),
            *(group_keys((rule.rule.with_ and rule.rule.with_.groups) or ()) for rule in self.rules),
        )

    def speaking_of(
        self,
        action: Action,
        with_insider: bool,
        direction: Direction,
        who_keys: frozenset[str],
        with_keys: frozenset[str] | None,
        zone: str | None,
        zone_known: bool,
    ) -> Iterator[Leaf]:
        """The rules that can match, in leaves of like rules, those that end last first. A rule that names
        several of somebody's groups comes several times. Where the zone is unknown every zone's come, and
        every peer's where `with_keys` is None: it is not known of which the guest is."""
        table = self._tables.get((action, with_insider, direction), {})
        for who in (table.keys() & who_keys) | (table.keys() & {ANYONE}):
            across = table[who]
            keys = across.keys() if with_keys is None else across.keys() & (with_keys | {ANYONE})
            for zones in [across[key] for key in keys]:
                for named in (None, zone) if zone_known and zone is not None else (None,):
                    yield from zones.get(named, ())
                if not zone_known:
                    yield from (leaf for name, leaves in zones.items() if name is not None for leaf in leaves)

    def of_action(self, action: Action) -> Iterator[ReadRule]:
        """Every rule that speaks of the action, for those who ask why none of them matched."""
        return (rule for rule in self.rules if action in rule.rule.actions)

    def marked(self, attributes: tuple[tuple[str, str], ...]) -> list[Zone]:
        """Zones whose mark in the directory is among these attributes."""
        return [zone for key in self._marks.keys() & _held(attributes) for zone in self._marks[key]]

    def around(self, source_address: str) -> Zone | None:
        """The zone whose network has this address; ValueError for what is no address."""
        address = _address(source_address)
        if address is None:
            raise ValueError("no address")
        number, bits = int(address), address.max_prefixlen
        for length, networks in self._networks[address.version]:
            zone = networks.get(number >> (bits - length))
            if zone is not None:
                return zone
        return None

    def peer(self, domain: str) -> Peer | None:
        """The peer that has the domain; the more of it an entry names, the more it counts."""
        if domain in self._domains:
            return self._domains[domain]
        labels = domain.split(".")
        below = (f"*.{'.'.join(labels[first:])}" for first in range(1, len(labels) - 1))
        return next((self._domains[pattern] for pattern in below if pattern in self._domains), None)

    def next_change(self, at_unix_seconds: int) -> int:
        """The next moment at which an answer can change by time alone (Unix seconds)."""
        ends = (rule.ends_unix_seconds for rule in self.rules if rule.ends_unix_seconds > at_unix_seconds)
        spans = (rule.span(at_unix_seconds).until_unix_seconds for rule in self.rules if rule.rule.when)
        return min((*ends, *spans), default=NEVER)


@lru_cache(maxsize=8192)
def group_keys(groups: Iterable[str]) -> frozenset[str]:
    """Group names as directories compare them, lest a deny miss a group for its spelling. Cached, because
    every decision compares mostly the same people."""
    return frozenset(case_ignore_key(group) for group in groups)


def _read(rule: Rule, hours: Hours) -> ReadRule:
    across = frozenset[str]()
    if rule.with_ is not None:
        across = group_keys(rule.with_.groups or ()) | frozenset(rule.with_.peers or ())
    ends = NEVER if rule.expires is None else end_of(rule.expires)
    return ReadRule(rule, group_keys(rule.who.groups or ()), across, ends, hours)


def end_of(day: date) -> int:
    """Unix seconds at which the day, in UTC, is over."""
    return (day.toordinal() - _EPOCH + 1) * 86_400


def _tables(rules: Iterable[ReadRule]) -> _Tables:
    growing: dict[_Place, dict[str, dict[str, _Zones]]] = {}
    for read in rules:
        for place in _places(read.rule):
            by_who = growing.setdefault(place, {})
            for who in {ANYONE} if read.rule.who.any else read.who_keys:
                by_with = by_who.setdefault(who, {})
                for across in _across(read):
                    by_with.setdefault(across, {}).setdefault(read.rule.who.zone, []).append(read)
    return {
        place: {
            who: {
                across: {zone: _leaves(rules) for zone, rules in zones.items()}
                for across, zones in by_with.items()
            }
            for who, by_with in by_who.items()
        }
        for place, by_who in growing.items()
    }


def _leaves(rules: Iterable[ReadRule]) -> tuple[Leaf, ...]:
    ordered = sorted(rules, key=_last_to_end_first)
    return tuple(tuple(read for read in ordered if read.rule.effect is effect) for effect in Effect)


def _last_to_end_first(read: ReadRule) -> tuple[int, str]:
    return -read.ends_unix_seconds, read.rule.id


def _places(rule: Rule) -> Iterator[_Place]:
    kind = CounterpartKind.ANY if rule.with_ is None else rule.with_.kind
    insiders = {CounterpartKind.ANY: (True, False), CounterpartKind.INSIDER: (True,)}.get(kind, (False,))
    directions = (
        (Direction.OUT, Direction.IN) if rule.direction in (None, Direction.BOTH) else (rule.direction,)
    )
    for action in rule.actions:
        for with_insider in insiders:
            for direction in directions:
                if direction is not None:
                    yield action, with_insider, direction


def _across(read: ReadRule) -> Iterable[str]:
    with_ = read.rule.with_
    named = with_ is not None and (with_.groups is not None or with_.peers is not None)
    return read.with_keys if named else (ANYONE,)


def _networks(zones: Iterable[Zone]) -> _Networks:
    """By version: prefix lengths, each with its networks' leading bits. Networks of two zones never overlap,
    so the order of lengths does not matter."""
    tables: dict[int, dict[int, dict[int, Zone]]] = {4: {}, 6: {}}
    for zone in zones:
        for network in zone.networks:
            bits = int(network.network_address) >> (network.max_prefixlen - network.prefixlen)
            tables[network.version].setdefault(network.prefixlen, {})[bits] = zone
    return {version: sorted(lengths.items()) for version, lengths in tables.items()}


@lru_cache(maxsize=8192)
def _held(attributes: tuple[tuple[str, str], ...]) -> frozenset[str]:
    return frozenset(case_ignore_key(f"{name}={value}") for name, value in attributes)


@lru_cache(maxsize=8192)
def _address(text: str) -> IPv4Address | IPv6Address | None:
    """A dual-stack socket reports IPv4 peers as ::ffff:a.b.c.d: the same machine, hence the same zone."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address
