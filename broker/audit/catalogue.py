"""The event catalogue: every type of record there is, what it says, and the public facts it always carries.

A kind of session is opened by `<kind>.opened` and ended by `<kind>.closed`, `<kind>.lost` or, before a host
let the guest in, `visit.refused`. `docs/record.md` lists the same table for people.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EventType:
    """One row. `required` names the `fields` without which such a record would not answer its question."""

    name: str
    sentence: str
    required: tuple[str, ...] = ()


_TYPES = (
    EventType("node.started", "The edge started."),
    EventType("node.stopped", "The edge stopped in good order."),
    EventType("record.unavailable", "The record could not be written; nothing new was opened from here on."),
    EventType("record.resumed", "The record can be written again.", ("outage_seconds", "entries_missed")),
    EventType(
        "auth.accepted",
        "A person acknowledged the notice and is signed in, with so many other sign-ins of theirs.",
        ("user", "method", "sign_in", "other_sign_ins"),
    ),
    EventType(
        "auth.refused", "Sign-ins were refused; counted per source prefix and minute.", ("code", "count")
    ),
    EventType("auth.ended", "A sign-in ended.", ("reason",)),
    EventType("connection.opened", "A person's signalling connection was admitted.", ("party", "external")),
    EventType("connection.closed", "A signalling connection ended.", ("party", "reason", "bytes", "packets")),
    EventType("connection.lost", "A connection was open when the edge stopped without warning.", ("reason",)),
    EventType("invitation.created", "An insider invited a guest.", ("invitation", "host", "expires_at")),
    EventType(
        "invitation.reissued",
        "An invitation got another link; the old one is worth nothing.",
        ("invitation", "host", "expires_at"),
    ),
    EventType("invitation.revoked", "An invitation was withdrawn.", ("invitation", "host")),
    EventType(
        "invitation.refused", "Redemptions were refused; counted per prefix and minute.", ("code", "count")
    ),
    EventType(
        "visit.opened",
        "A guest acknowledged the notice and redeemed an invitation.",
        ("guest", "host", "invitation"),
    ),
    EventType("visit.admitted", "The host let the guest in.", ("guest", "host")),
    EventType(
        "visit.refused", "The guest left or was sent away before being let in.", ("guest", "host", "reason")
    ),
    EventType("visit.closed", "A guest's visit ended.", ("guest", "host", "reason")),
    EventType("visit.lost", "A visit was open when the edge stopped and could not be resumed.", ("reason",)),
    EventType("presence.opened", "A connection was shown other people, and they it."),
    EventType(
        "chat.accepted",
        "A chat message was taken for delivery.",
        ("message_id", "sender", "recipient", "bytes"),
    ),
    EventType("chat.released", "A message that waited was allowed to its recipient.", ("message_id",)),
    EventType("chat.delivered", "The recipient's client has the message.", ("message_id", "recipient")),
    EventType("chat.withheld", "A message that waited was not delivered.", ("message_id", "code")),
    EventType(
        "call.opened", "A call was allowed and rings.", ("caller", "callee", "external", "media", "until")
    ),
    EventType("call.answered", "The callee took the call.", ("callee",)),
    EventType(
        "call.refused",
        "A call did not come about for other reasons than policy.",
        ("caller", "callee", "code"),
    ),
    EventType("call.counters", "What a live call has carried so far.", ("parties", "packets", "bytes")),
    EventType("call.signal_refused", "A signal inside a call was refused.", ("sender", "code")),
    EventType("share.opened", "A party of a call was allowed to show its screen.", ("party",)),
    EventType("share.closed", "The screen was not shown any more.", ("party", "reason")),
    EventType("call.closed", "A call ended.", ("reason", "parties", "packets", "bytes")),
    EventType("call.lost", "A call was open when the edge stopped without warning.", ("reason",)),
    EventType("call.narrowed", "A live call was allowed less than before.", ("until", "bits_per_second")),
    EventType("presence.narrowed", "A connection sees fewer people, or less of them.", ("party", "lost")),
    EventType("policy.applied", "A policy came into force.", ("revision", "sha256", "how", "rules")),
    EventType(
        "policy.refused", "A policy file could not be used; the old policy goes on.", ("sha256", "errors")
    ),
    EventType(
        "admin.signed_in",
        "A person acknowledged the notice and signed in at the admin listener, in one role.",
        ("user", "role", "expires_at"),
    ),
    EventType("admin.signed_out", "Such a sign-in ended.", ("user", "role", "reason")),
    EventType(
        "admin.viewed",
        "Somebody signed in there looked at something for the first time.",
        ("user", "role", "what"),
    ),
    EventType("admin.session_ended", "An operator ended a session.", ("session", "user", "role")),
    EventType("admin.key_enrolled", "A person added a security key of theirs.", ("user", "key")),
    EventType("admin.key_removed", "A person removed a security key of theirs.", ("user", "key")),
    EventType(
        "admin.key_refused",
        "A security key said that it had been used no more often than before: there may be a copy of it.",
        ("user", "key", "sign_count", "last_sign_count"),
    ),
    EventType("emergency.requested", "An administrator asked for an emergency stop.", ("scope", "user")),
    EventType("emergency.stopped", "An emergency stop was latched.", ("scope", "how")),
    EventType(
        "emergency.effective",
        "All that an emergency stop covers had ended, with the time of its last packet.",
        ("scope", "calls", "connections", "last_packet_ms"),
    ),
    EventType(
        "emergency.latch_missing", "The file of an emergency stop was gone; the stop went on.", ("scope",)
    ),
    EventType(
        "emergency.lift_requested", "An administrator wants an emergency stop lifted.", ("scope", "user")
    ),
    EventType(
        "emergency.lift_refused", "Whoever asked for a lift cannot approve it.", ("scope", "user", "code")
    ),
    EventType("emergency.lift_expired", "Nobody approved a lift in time.", ("scope",)),
    EventType(
        "emergency.lifted", "Two administrators lifted an emergency stop.", ("scope", "user", "requested_by")
    ),
    EventType("emergency.lift_failed", "The file of a lifted stop could not be removed.", ("scope",)),
    EventType("emergency.drilled", "An emergency stop was rehearsed.", ("scope", "calls", "connections")),
    EventType("alarm.raised", "Something needs a person.", ("alarm",)),
    EventType("alarm.cleared", "It does not need one any more.", ("alarm", "seconds")),
    EventType("client.refused", "A person's program was not allowed.", ("party", "program", "link")),
    EventType(
        "client.outdated",
        "A person was told that their program is out of date.",
        ("party", "program", "link"),
    ),
    EventType("decision.denied", "Policy denied an action."),
    EventType(
        "relay.allocated",
        "A party of an admitted session got a relayed address.",
        ("party", "relayed", "transport"),
    ),
    EventType("relay.released", "A relayed address was given back.", ("party", "relayed", "reason")),
    EventType(
        "relay.refused",
        "Requests to the relay were refused; counted per prefix and minute.",
        ("code", "count"),
    ),
)

CATALOGUE: dict[str, EventType] = {event_type.name: event_type for event_type in _TYPES}
"""Every type by its name."""

SESSION_KINDS = ("connection", "call", "visit")
"""What a session id can stand for."""

OPENING_TYPES: dict[str, str] = {f"{kind}.opened": kind for kind in SESSION_KINDS}
"""Types that open a session, and the kind they open."""

ENDING_TYPES = (*(f"{kind}.{end}" for kind in SESSION_KINDS for end in ("closed", "lost")), "visit.refused")
"""Types that end a session."""

COUNTING_TYPES = ("call.counters",)
"""Types that carry the running counters of a session."""
