"""What a decision keeps of a question: everything the answer depends on, small enough for a record."""

from __future__ import annotations

from types import MappingProxyType

from auth.case_ignore import case_ignore_key
from auth.personal import Personal
from auth.principal import Anonymous, Guest, Insider
from broker.policy.decision import MAX_RECORDED_GROUPS, Inputs, PartyInputs
from broker.policy.index import PolicyIndex
from broker.policy.question import Question, Subject
from broker.policy.sides import Located
from broker.policy.zone import Whereabouts


def recorded_inputs(policy: PolicyIndex, question: Question, located: Located) -> Inputs:
    """What the answer to this question depends on."""
    actor, counterpart = question.actor, question.counterpart
    personal = _personal("actor", actor)
    if counterpart is not None:
        personal |= _personal("counterpart", counterpart)
    return Inputs(
        action=question.action,
        at_unix_seconds=question.at_unix_seconds,
        actor=_party(policy, actor, located.actor),
        counterpart=None if counterpart is None else _party(policy, counterpart, located.counterpart),
        personal=MappingProxyType(personal),
    )


def _personal(role: str, subject: Subject) -> dict[str, Personal]:
    facts: dict[str, Personal] = {}
    if subject.source_address is not None:
        facts[f"{role}_source_address"] = Personal(subject.source_address)
    if isinstance(subject.principal, Guest) and subject.principal.domain is not None:
        facts[f"{role}_domain"] = Personal(subject.principal.domain)
    return facts


def _party(policy: PolicyIndex, subject: Subject, whereabouts: Whereabouts) -> PartyInputs:
    match subject.principal:
        case Insider() as insider:
            groups = _recorded_groups(policy, insider.groups)
            consulted = policy.consulted_attributes
            return PartyInputs(
                kind="insider",
                party=insider.party,
                login=insider.login,
                groups=groups,
                groups_omitted=len(insider.groups) - len(groups),
                attributes=tuple(
                    pair for pair in insider.attributes if consulted and case_ignore_key(pair[0]) in consulted
                ),
                directory_version=insider.version,
                zone=whereabouts.zone,
                zone_known=whereabouts.known,
            )
        case Guest() as guest:
            peer = policy.peer(guest.domain) if guest.domain is not None else None
            return PartyInputs(
                kind="guest",
                party=guest.party,
                invitation_id=guest.invitation_id,
                invited_by=guest.invited_by,
                verified_by=guest.verified_by,
                peer=None if peer is None else peer.id,
            )
        case Anonymous():
            return PartyInputs(kind="anonymous")


def _recorded_groups(policy: PolicyIndex, groups: frozenset[str]) -> tuple[str, ...]:
    if len(groups) <= MAX_RECORDED_GROUPS:
        return tuple(sorted(groups))
    named = policy.named_groups
    first = sorted(groups, key=lambda group: (case_ignore_key(group) not in named, group))
    return tuple(first[:MAX_RECORDED_GROUPS])
