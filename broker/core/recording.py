"""What the core puts on record: drafts with their public facts and, apart from them, what is personal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from auth.personal import Personal
from auth.principal import Guest, Insider, Principal
from broker.audit.record import Draft, JsonValue, RecordError
from broker.core.gate import Grant
from broker.policy.decision import Decision, PartyInputs

MAX_SHORTENED_RULES = 64


MAX_RECORDED_DECISIONS = 16
"""In one record: people connected from many places are asked about at each pair of them."""


def draft(
    record_type: str,
    session_id: str | None = None,
    *,
    basis: Sequence[Decision] | Grant = (),
    personal: dict[str, Personal] | None = None,
    more: Mapping[str, JsonValue] | None = None,
    **facts: JsonValue,
) -> Draft:
    """A draft; `basis` is what allowed or denied it: decisions in full, or a grant by its session."""
    fields: dict[str, JsonValue] = {**facts, **(more or {})}
    if isinstance(basis, Grant):
        fields["grant"] = basis.session_id
        return Draft(type=record_type, session_id=session_id, fields=fields, personal=personal or {})
    kept = dict(personal or {})
    if basis:
        kept_decisions = basis[:MAX_RECORDED_DECISIONS]
        fields["decisions"] = [decision.to_json() for decision in kept_decisions]
        if len(basis) > MAX_RECORDED_DECISIONS:
            fields["decisions_omitted"] = len(basis) - MAX_RECORDED_DECISIONS
        for number, decision in enumerate(kept_decisions):
            kept.update(
                {f"decision.{number}.{name}": value for name, value in decision.inputs.personal.items()}
            )
    try:
        return Draft(type=record_type, session_id=session_id, fields=fields, personal=kept)
    except RecordError:
        fields["decisions"] = [_shortened(decision) for decision in basis[:MAX_RECORDED_DECISIONS]]
        return Draft(type=record_type, session_id=session_id, fields=fields, personal=kept)


def _shortened(decision: Decision) -> dict[str, JsonValue]:
    """The decision without the lists that grow with the policy and the directory: those of two people in very
    many groups can be larger than a record. Such a decision cannot be replayed from the record alone."""
    facts: dict[str, JsonValue] = {**decision.to_json(), "shortened": True}
    facts["determining_rules"] = list(decision.determining_rules[:MAX_SHORTENED_RULES])
    facts["losing_rules"] = []
    facts["losing_rules_omitted"] = decision.losing_rules_omitted + len(decision.losing_rules)
    inputs = decision.inputs
    facts["inputs"] = {
        **inputs.to_json(),
        "actor": _shortened_party(inputs.actor),
        "counterpart": None if inputs.counterpart is None else _shortened_party(inputs.counterpart),
    }
    return facts


def _shortened_party(party: PartyInputs) -> dict[str, JsonValue]:
    omitted = party.groups_omitted + len(party.groups)
    return {**party.to_json(), "groups": [], "groups_omitted": omitted, "attributes": []}


def named(role: str, principal: Principal, source: Personal | None = None) -> dict[str, Personal]:
    """The personal facts about one party, under the role they have in the record."""
    facts: dict[str, Personal] = {}
    if isinstance(principal, Insider):
        facts[f"{role}.login"] = principal.login
        facts[f"{role}.name"] = principal.name
    elif isinstance(principal, Guest):
        facts[f"{role}.name"] = principal.name
        if principal.email is not None:
            facts[f"{role}.email"] = principal.email
    if source is not None:
        facts[f"{role}.address"] = source
    return facts
