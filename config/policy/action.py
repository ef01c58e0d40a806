"""Action: what can be asked of policy."""

from __future__ import annotations

from enum import StrEnum


class Action(StrEnum):
    """Modality and verb."""

    EDGE_SIGNIN = "edge.signin"
    """An insider opens a sign-in session. Has no counterpart."""
    EDGE_JOIN = "edge.join"
    """A guest redeems an invitation; the inside party is the inviter."""
    GUEST_INVITE = "guest.invite"
    GUEST_ADMIT = "guest.admit"
    PRESENCE_SEE = "presence.see"
    CHAT_SEND = "chat.send"
    CALL_AUDIO = "call.audio"
    CALL_VIDEO = "call.video"
    SCREEN_SHARE = "screen.share"
    """Inside a call: the actor shows their screen to the counterpart."""
    ADMIN_OPERATE = "admin.operate"
    ADMIN_SET_POLICY = "admin.set_policy"
    ADMIN_AUDIT = "admin.audit"
    ADMIN_EMERGENCY = "admin.emergency"
    """Stop communication, rehearse that, and, two people together, lift it."""


ADMINISTRATION = frozenset(
    {Action.ADMIN_OPERATE, Action.ADMIN_SET_POLICY, Action.ADMIN_AUDIT, Action.ADMIN_EMERGENCY}
)
"""Given by the groups that the settings' [admin] names, never by a rule: whoever writes the policy cannot
make himself an auditor, and no mistake in it locks out those who could mend it. Has no counterpart."""
