"""What the core puts on record: drafts with their public facts and, apart from them, what is personal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from auth.personal import Personal
from auth.principal import Insider, Principal
from broker.audit.record import Draft, JsonValue
from broker.core.gate import Grant
from broker.policy.decision import Decision


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
        fields["decisions"] = [decision.to_json() for decision in basis]
        for number, decision in enumerate(basis):
            kept.update(
                {f"decision.{number}.{name}": value for name, value in decision.inputs.personal.items()}
            )
    return Draft(type=record_type, session_id=session_id, fields=fields, personal=kept)


def named(role: str, principal: Principal, source: Personal | None = None) -> dict[str, Personal]:
    """The personal facts about one party, under the role they have in the record."""
    facts: dict[str, Personal] = {}
    if isinstance(principal, Insider):
        facts[f"{role}.login"] = principal.login
        facts[f"{role}.name"] = principal.name
    elif hasattr(principal, "name"):
        facts[f"{role}.name"] = principal.name
    if source is not None:
        facts[f"{role}.address"] = source
    return facts
