"""Run: the first and the last event of the process."""

from __future__ import annotations

from broker.core import calling, emergency, signing_in
from broker.core.admin_events import AdminSignInProved, AdminViewRequested, SecurityKeyMade
from broker.core.answers import reply
from broker.core.clock import Now
from broker.core.commands import Answer, CloseConnection, Command, Narrowing, Note
from broker.core.errors import EDGE_STOPPING
from broker.core.events import Connected, RedeemRequested, SignInProved, Started, Stopping
from broker.core.house import House, PolicyInForce, Visit
from broker.core.invitation_list import watch_expiry
from broker.core.recording import draft


def started(house: House, event: Started, now: Now) -> list[Command]:
    """Take up what the store still holds, and close on record what the previous run left open."""
    for row in event.invitations:
        house.invitations[row.invitation_id] = row
        watch_expiry(house, row, now)
    house.code_steps.update(event.code_steps)
    house.security_keys.update({key.credential_id: key for key in event.security_keys})
    for stored in event.visits:
        guest = stored.guest
        house.visits[guest.party] = Visit(
            guest, stored.token_digest, stored.admitted, stored.expires_at_unix_seconds
        )
        left = stored.expires_at_unix_seconds - now.wall_seconds
        house.deadlines.add(now, left, "visit.expiry", guest.party)
    for kept in event.sign_ins:
        signing_in.begin(house, kept, now)
    lost = tuple(
        draft(
            f"{session.kind}.lost", session.session_id, reason="edge_restarted", last_count=session.last_count
        )
        for session in event.lost
        if session.session_id not in house.visits
    )
    house.deadlines.add(now, 0, "review.clock", "")
    house.policy_in_force = PolicyInForce(now.wall_ms, "start", None)
    policy = house.gate.policy.loaded
    applied = draft(
        "policy.applied",
        revision=policy.policy.revision,
        sha256=policy.sha256,
        how="start",
        by=None,
        rules=len(policy.policy.rules),
    )
    stops = emergency.resumed(house, event.stops, event.latches, now)
    return [*stops, Note((draft("node.started"), applied, *lost))]


def stopping(house: House, event: Stopping, now: Now) -> list[Command]:
    """End every call and close every connection; what waits in the journal is entered before the process
    ends."""
    house.stopping = True
    commands: list[Command] = [
        calling.end(house, call, "edge_stopping", None) for call in list(house.calls.values())
    ]
    for connection in [c for c in house.connections.values() if not c.closing]:
        connection.closing = True
        commands.append(
            Narrowing(
                (connection.connection_id,), (CloseConnection(connection.connection_id, EDGE_STOPPING),)
            )
        )
    commands.append(Narrowing(records=(*house.refusals.flush(), draft("node.stopped"))))
    return commands


Arrival = (
    SignInProved | RedeemRequested | Connected | AdminSignInProved | AdminViewRequested | SecurityKeyMade
)
"""What comes from somebody who wants in, or to see something."""


def turn_away(event: Arrival) -> list[Command]:
    """Nobody comes in any more."""
    if isinstance(event, Connected):
        return [Narrowing((), (CloseConnection(event.connection_id, EDGE_STOPPING),))]
    return [Answer((reply(event.request_id, EDGE_STOPPING),))]
