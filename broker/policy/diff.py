"""Diff: which people may do what under one policy and not under the other.

People who are alike to both policies are asked about once, from every place that either knows; across from
them stand everyone alike, and one guest for each peer, one of no peer and one without an address.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from auth.personal import Personal
from auth.principal import Guest, Insider, PartyId
from broker.policy.decide import decide
from broker.policy.index import PolicyIndex, group_keys
from broker.policy.question import Question, Subject
from config.policy.action import ADMINISTRATION, Action

MAX_QUESTIONS = 250_000
"""Asked of both policies, this takes about as long as somebody waits for an answer."""
ELSEWHERE = "203.0.113.1"
"""An address for documentation (RFC 5737): in nobody's zone, unless a policy says so."""
_NOBODY = Personal("")
_UNKNOWN_DOMAIN = "no-peer.invalid"
_TALK = (Action.PRESENCE_SEE, Action.CHAT_SEND, Action.CALL_AUDIO, Action.CALL_VIDEO, Action.SCREEN_SHARE)


@dataclass(frozen=True, slots=True)
class Kind:
    """Insiders whom neither policy tells apart."""

    example: Insider
    count: int

    @property
    def groups(self) -> list[str]:
        return sorted(self.example.groups)


@dataclass(frozen=True, slots=True)
class Difference:
    """One answer that changes. `who` is inside; `direction` is seen from there."""

    who: PartyId
    like_them: int
    """How many people are alike, themselves included."""
    zone: str | None
    action: str
    direction: str
    across: str
    before: str
    after: str
    rules_before: tuple[str, ...]
    rules_after: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        plain = {name: getattr(self, name) for name in self.__slots__}
        return plain | {"rules_before": list(self.rules_before), "rules_after": list(self.rules_after)}


class TooManyQuestionsError(ValueError):
    """People, zones and peers differ too much for every pair of them to be asked about."""


def diff(
    before: PolicyIndex, after: PolicyIndex, people: Sequence[Insider], at_unix_seconds: int
) -> Iterator[Difference]:
    """Every answer that differs at this moment. Raises TooManyQuestionsError."""
    kinds = _kinds(before, after, people)
    places = _places(before, after)
    for one in kinds[:1]:
        asked_of_each = sum(1 for _ in _questions(one, ELSEWHERE, kinds, before, after))
        questions = asked_of_each * len(kinds) * len(places)
        if questions > MAX_QUESTIONS:
            raise TooManyQuestionsError(
                f"{questions} questions, for {len(kinds)} kinds of people in {len(places)} places; at most "
                f"{MAX_QUESTIONS} can be compared"
            )
    for kind in kinds:
        for place in places:
            for action, direction, across, question in _questions(kind, place, kinds, before, after):
                asked = Question(question[0], question[1], question[2], at_unix_seconds)
                old, new = (decide(policy, asked, "d-compared") for policy in (before, after))
                if old.effect is new.effect:
                    continue
                party = new.inputs.actor if direction == "out" else new.inputs.counterpart
                yield Difference(
                    kind.example.party,
                    kind.count,
                    party.zone if party is not None else None,
                    action.value,
                    direction,
                    across,
                    old.code.value,
                    new.code.value,
                    old.determining_rules,
                    new.determining_rules,
                )


def _kinds(before: PolicyIndex, after: PolicyIndex, people: Sequence[Insider]) -> list[Kind]:
    named = before.named_groups | after.named_groups
    alike: dict[tuple[object, ...], list[Insider]] = {}
    for person in people:
        marks = [frozenset(zone.id for zone in p.marked(person.attributes)) for p in (before, after)]
        key = (group_keys(person.groups) & named, *marks)
        alike.setdefault(key, []).append(person)
    return [Kind(same[0], len(same)) for same in alike.values()]


def _places(before: PolicyIndex, after: PolicyIndex) -> list[str]:
    """One address in each zone of either policy, and one in none."""
    zones = [zone for policy in (before, after) for zone in policy.loaded.policy.zones]
    firsts = [str(zone.networks[0].network_address) for zone in zones if zone.networks]
    return list(dict.fromkeys([*firsts, ELSEWHERE]))


_Asked = tuple[Action, Subject, Subject | None]


def _questions(
    kind: Kind, place: str, kinds: Sequence[Kind], before: PolicyIndex, after: PolicyIndex
) -> Iterator[tuple[Action, str, str, _Asked]]:
    me = Subject(kind.example, place)
    for action in sorted(set(Action) - ADMINISTRATION):
        if action is Action.EDGE_SIGNIN:
            yield action, "out", "", (action, me, None)
            continue
        for label, guest in _guests(kind.example, before, after):
            them = Subject(guest, ELSEWHERE)
            if action is not Action.EDGE_JOIN:
                yield action, "out", label, (action, me, them)
            if action is Action.EDGE_JOIN or action in _TALK:
                yield action, "in", label, (action, them, me)
        if action in _TALK:
            for other in kinds:
                colleague = Subject(_other(other.example, kind.example), place)
                yield action, "out", f"insider like {other.example.party}", (action, me, colleague)


def _guests(host: Insider, before: PolicyIndex, after: PolicyIndex) -> Iterator[tuple[str, Guest]]:
    peers = {peer.id: peer for policy in (before, after) for peer in policy.loaded.policy.peers}
    domains = {f"guest of peer {peer.id}": peer.domains[0] for peer in peers.values() if peer.domains}
    named = {label: domain.replace("*.", "below.") for label, domain in domains.items()}
    named |= {"guest of no peer": _UNKNOWN_DOMAIN, "guest without an address": ""}
    for label, domain in named.items():
        email = Personal(f"guest@{domain}") if domain else None
        yield label, Guest(PartyId("g-compared"), _NOBODY, "i-compared", host.party, email=email)


def _other(example: Insider, than: Insider) -> Insider:
    """Somebody like the example who is not the very same person."""
    party = PartyId(f"{example.party}-too") if example.party == than.party else example.party
    return Insider(party, _NOBODY, _NOBODY, example.groups, example.attributes, example.version)
