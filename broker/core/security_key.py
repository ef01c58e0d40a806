"""Security keys: an administrator who signed in with a second factor adds keys of their own, and removes
them."""

from __future__ import annotations

from auth.principal import Insider, PartyId
from broker.audit.record import Draft
from broker.core import administration
from broker.core.admin_events import SecurityKeyMade, SecurityKeyRemovalRequested
from broker.core.answers import reply, reply_denied
from broker.core.clock import Now
from broker.core.commands import (
    Answer,
    Command,
    Narrowing,
    RemoveSecurityKey,
    ReplyDone,
    ReplyGranted,
    SaveSecurityKey,
)
from broker.core.errors import (
    AUDIT_UNAVAILABLE,
    NOT_SIGNED_IN,
    SECOND_FACTOR_NEEDED,
    SECURITY_KEY_REFUSED,
    TOO_MANY_SECURITY_KEYS,
    UNKNOWN_SECURITY_KEY,
)
from broker.core.house import House
from broker.core.recording import draft, named
from broker.core.second_factor import scope_of
from broker.core.stored import SecurityKey
from broker.policy.administration import View
from broker.policy.decision import Decision

MAX_KEYS_PER_PERSON = 8


def of_party(house: House, party: PartyId) -> list[SecurityKey]:
    """The person's, the oldest first."""
    return [key for key in house.security_keys.values() if key.party == party]


def made(house: House, event: SecurityKeyMade, now: Now) -> list[Command]:
    """It counts once that is on record. A password alone makes no key."""
    signed_in = administration.sign_in_of(house, event)
    if signed_in is None or event.insider is None or event.key.party != signed_in.party:
        return [Answer((reply(event.request_id, NOT_SIGNED_IN),))]
    decision = administration.ask_to_see(house, signed_in.role, event, event.insider, View.SECURITY_KEYS, now)
    if not decision.allowed:
        return reply_denied(event.request_id, decision, event.insider)
    key = event.key
    if not signed_in.second_factor:
        return [Answer((reply(event.request_id, SECOND_FACTOR_NEEDED),))]
    if key.credential_id in house.security_keys:
        return [Answer((reply(event.request_id, SECURITY_KEY_REFUSED),))]
    if len(of_party(house, key.party)) >= MAX_KEYS_PER_PERSON:
        return [Answer((reply(event.request_id, TOO_MANY_SECURITY_KEYS),))]
    house.security_keys[key.credential_id] = key
    return [
        house.gate.opening(
            scope_of(key.credential_id),
            (decision,),
            (_record("admin.key_enrolled", event, event.insider, key, decision),),
            (ReplyGranted(event.request_id),),
            writes=(SaveSecurityKey(key),),
            on_failure=(reply(event.request_id, AUDIT_UNAVAILABLE),),
        )
    ]


def removal_requested(house: House, event: SecurityKeyRemovalRequested, now: Now) -> list[Command]:
    """It counts no more, at once."""
    signed_in = administration.sign_in_of(house, event)
    if signed_in is None or event.insider is None:
        return [Answer((reply(event.request_id, NOT_SIGNED_IN),))]
    decision = administration.ask_to_see(house, signed_in.role, event, event.insider, View.SECURITY_KEYS, now)
    if not decision.allowed:
        return reply_denied(event.request_id, decision, event.insider)
    key = house.security_keys.get(event.credential_id)
    if key is None or key.party != signed_in.party:
        return [Answer((reply(event.request_id, UNKNOWN_SECURITY_KEY),))]
    del house.security_keys[key.credential_id]
    record = _record("admin.key_removed", event, event.insider, key, decision)
    write = RemoveSecurityKey(key.credential_id)
    return [Narrowing((scope_of(key.credential_id),), (ReplyDone(event.request_id),), (record,), (write,))]


def take_back(house: House, opening_scope: str) -> None:
    """The record of a key could not be written: it never was."""
    for credential_id in [one for one in house.security_keys if scope_of(one) == opening_scope]:
        del house.security_keys[credential_id]


def _record(
    kind: str,
    event: SecurityKeyMade | SecurityKeyRemovalRequested,
    insider: Insider,
    key: SecurityKey,
    decision: Decision,
) -> Draft:
    personal = named("user", insider, event.source) | {"key.name": key.name}
    return draft(kind, basis=(decision,), personal=personal, user=key.party, key=key.credential_id)
