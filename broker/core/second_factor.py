"""Second factor: what came with an administrator's password is used up by the first who comes with it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from broker.core.admin_events import AdminSignInProved, KeyUse
from broker.core.answers import reply
from broker.core.clock import Now
from broker.core.commands import Answer, Command, Note, SaveCodeStep, SaveSecurityKey, Write
from broker.core.errors import SIGN_IN_REFUSED
from broker.core.house import House
from broker.core.recording import draft, named
from broker.core.stored import SecurityKey


@dataclass(frozen=True, slots=True)
class Taken:
    """`method` is how somebody signs in, in the words of the record; `within` what the sign-in stands on."""

    method: str
    writes: tuple[Write, ...] = ()
    within: tuple[str, ...] = ()


def take(house: House, event: AdminSignInProved, now: Now) -> Taken | None:
    """Uses it up, whatever comes of that; None where it had been, or is the person's no more."""
    party = event.insider.party
    if event.key_use is not None:
        key = house.security_keys.get(event.key_use.credential_id)
        if key is None or key.party != party or not _goes_on(key, event.key_use):
            return None
        key = replace(key, sign_count=event.key_use.sign_count, used_at_unix_seconds=now.wall_seconds)
        house.security_keys[key.credential_id] = key
        return Taken("password and security key", (SaveSecurityKey(key),), (scope_of(key.credential_id),))
    if event.code_step is None:
        return Taken("password")
    if event.code_step <= house.code_steps.get(party, -1):
        return None
    house.code_steps[party] = event.code_step
    return Taken("password and code", (SaveCodeStep(party, event.code_step),))


def refused(house: House, event: AdminSignInProved) -> list[Command]:
    """Nobody is told why. That a key counts backwards goes on record: there may be two of it."""
    refusal = (reply(event.request_id, SIGN_IN_REFUSED),)
    use = event.key_use
    key = house.security_keys.get(use.credential_id) if use is not None else None
    if use is None or key is None or key.party != event.insider.party:
        return [Answer(refusal)]
    record = draft(
        "admin.key_refused",
        personal=named("user", event.insider, event.source) | {"key.name": key.name},
        user=key.party,
        key=key.credential_id,
        sign_count=use.sign_count,
        last_sign_count=key.sign_count,
    )
    return [Note((record,), refusal, on_failure=refusal)]


def scope_of(credential_id: str) -> str:
    """The scope of a security key's enrolment."""
    return f"security key {credential_id}"


def _goes_on(key: SecurityKey, use: KeyUse) -> bool:
    """WebAuthn Level 3, section 7.2, step 22: a key that counts says more each time."""
    return use.sign_count > key.sign_count or (use.sign_count, key.sign_count) == (0, 0)
