"""Small policies in TOML, for specifications of what asks them."""

from __future__ import annotations

from config.policy.action import ADMINISTRATION, Action


def rule(rule_id: str, actions: str, **more: str) -> str:
    """One rule in TOML. `actions` separated by blanks; `more` are further members as TOML text."""
    members = {"effect": '"allow"', "who": "{ any = true }", "owner": '"o"', "reason": '"r"'}
    if actions != "edge.signin":
        members |= {"with": '{ kind = "any" }', "direction": '"both"', "expires": "2999-12-31"}
    if "presence.see" in actions.split():
        members["presence"] = '"exact"'
    members |= more
    if members["effect"] == '"deny"':
        members.pop("expires", None)
    if members["effect"] == '"deny"' or '"insider"' in members.get("with", ""):
        members.pop("presence", None)
    listed = ", ".join(f'"{action}"' for action in actions.split())
    lines = [
        f'[[rules]]\nid = "{rule_id}"\nactions = [{listed}]',
        *(f"{k} = {v}" for k, v in members.items()),
    ]
    return "\n".join(lines) + "\n"


SIGN_IN = "revision = 1\n" + rule("sign-in", "edge.signin")
EVERYTHING = " ".join(action for action in Action if action not in ADMINISTRATION | {Action.EDGE_SIGNIN})
OPEN_POLICY = SIGN_IN + rule("everything", EVERYTHING)


def without(*denied: Action) -> str:
    """Everything is allowed but these."""
    return OPEN_POLICY + rule("but-not", " ".join(denied), effect='"deny"')
