"""Sign-ins for playbooks and stages, without asking the gate: as those of an earlier run."""

from __future__ import annotations

from auth.personal import Personal
from auth.principal import PartyId
from broker.core import signing_in
from broker.core.clock import Now
from broker.core.house import House
from broker.core.stored import StoredSignIn


def signed_in(
    house: House, party: PartyId, token: str, now: Now, prefix: str = "10.7.0.0/24"
) -> StoredSignIn:
    """Begun now, and good for as long as any."""
    began = now.wall_seconds
    ends = began + house.rules.sign_in_seconds
    kept = StoredSignIn(f"s-{token}", token, party, Personal(prefix), "", began, began, ends)
    signing_in.begin(house, kept, now)
    return kept
