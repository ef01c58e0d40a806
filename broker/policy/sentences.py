"""What a decision says: to the actor, who learns nothing of the policy, and to the administrator."""

from __future__ import annotations

from broker.policy.decision import Code, Inputs, PartyInputs

_SHOWN_RULES = 5

_ADMIN_REASONS = {
    Code.ALLOWED: "every inside party is allowed",
    Code.DENIED: "a deny rule applies",
    Code.DEFAULT_DENY: "no rule allows it on every inside party's side",
    Code.RULE_EXPIRED: "the rules that allowed it have expired",
    Code.OUTSIDE_HOURS: "the rules that allow it hold on other days or at other hours",
    Code.ZONE_MISMATCH: "network and directory do not name the same zone for an inside party",
    Code.ZONE_HIGH: "a zone of high sensitivity has no external communication",
    Code.PEER_BLOCKED: "the guest is of a blocked peer",
    Code.PEER_UNKNOWN: "the guest's domain is not known, and some peers are blocked",
    Code.NOT_YOUR_HOST: "the guest was not invited by this counterpart",
    Code.ANONYMOUS: "a party has not signed in",
    Code.STOPPED: "an emergency stop is latched",
    Code.WRONG_PARTIES: "the action does not exist between such parties",
}


def user_sentence(code: Code, inside: bool) -> str:
    if code is Code.ALLOWED:
        return "This is allowed."
    if code is Code.STOPPED:
        return "This has been stopped for now by the organisation."
    if code is Code.ANONYMOUS:
        return "Sign in or open your invitation first."
    if code is Code.NOT_YOUR_HOST and not inside:
        return "As a guest you can reach only the person who invited you."
    if code is Code.OUTSIDE_HOURS and inside:
        return "This is not allowed at this time."
    if code is Code.PEER_UNKNOWN and inside:
        return "Say the guest's e-mail address: without one this is not allowed."
    if inside:
        return "Your organisation's policy does not allow this."
    return "The organisation you are visiting does not allow this."


def admin_sentence(code: Code, rule_ids: tuple[str, ...], inputs: Inputs) -> str:
    """Names parties, zones and rules by id: no personal data, nothing that an outsider could have written."""
    effect = "Allowed" if code is Code.ALLOWED else "Denied"
    counterpart = "" if inputs.counterpart is None else f" with {_party(inputs.counterpart)}"
    rules = ", ".join(rule_ids[:_SHOWN_RULES]) + (", ..." if len(rule_ids) > _SHOWN_RULES else "")
    by_rules = f" (rule {rules})" if rule_ids else ""
    event = f"{effect} {inputs.action.value} by {_party(inputs.actor)}{counterpart}"
    return f"{event}: {_ADMIN_REASONS[code]}{by_rules}."


def _party(party: PartyInputs) -> str:
    zone = f" in zone {party.zone}" if party.zone is not None else ""
    return f"{party.kind} {party.party}{zone}" if party.party is not None else party.kind
