"""The red button of a playbook, and who may press it."""

from __future__ import annotations

from auth.personal import Personal
from auth.principal import Insider
from broker.core.admin_events import AdminSignInProved
from broker.core.answers import return_after_seconds
from broker.core.commands import (
    CloseConnection,
    ReplyRefused,
    RequestId,
)
from broker.core.errors import EMERGENCY_STOP
from broker.core.events import EmergencyRequested, LatchFound
from broker.core.frames import Error
from broker.policy.administration import Role
from broker.policy.stop import ALL, Scope
from tests.spec.outcome import Outcome
from tests.spec.playbook import Client, Playbook
from tests.spec.policies import OPEN_POLICY

SOURCE = Personal("10.7.9.9")
ASKED = RequestId("r-asked")
GROUPS = {
    Role.OPERATOR: "ops",
    Role.POLICY_ADMINISTRATOR: "policy",
    Role.AUDITOR: "audit",
    Role.RECOVERY: "recovery",
    Role.BREAK_GLASS: "glass",
}
ZONED = (
    OPEN_POLICY
    + """
[[zones]]
id = "lan"
networks = ["10.7.0.0/16"]

[[zones]]
id = "lab"
networks = ["10.8.0.0/16"]
"""
)


def house(text: str = OPEN_POLICY) -> Playbook:
    play = Playbook(text)
    play.house.gate.administrators = GROUPS
    play.house.gate.policy = play.house.gate.policy
    return play


def admin(play: Playbook, name: str, role: Role = Role.OPERATOR) -> Insider:
    person = play.insider(name, GROUPS[role])
    play >> AdminSignInProved(RequestId("r-in"), person, SOURCE, f"t-{name}", role)
    return person


def presses(play: Playbook, person: Insider, scope: Scope = ALL) -> Outcome:
    return stops(play, EmergencyRequested(ASKED, _token(person), person, SOURCE, "stop", scope))


def stops(play: Playbook, event: EmergencyRequested | LatchFound) -> Outcome:
    """Both steps: what happens in the event itself, and all that follows at once."""
    first = play >> event
    return Outcome([*first.commands, *play.later(0).commands])


def lifts(play: Playbook, person: Insider, scope: Scope = ALL) -> Outcome:
    pending = play.house.lifts.get(scope)
    requester = play.people.get(pending.by.party) if pending is not None else None
    event = EmergencyRequested(ASKED, _token(person), person, SOURCE, "lift", scope, requester=requester)
    return play >> event


def _token(person: Insider) -> str:
    return f"t-{person.party.removeprefix('u-')}"


def found(scope: Scope = ALL) -> LatchFound:
    return LatchFound(scope, None, None)


def refusal(outcome: Outcome) -> str:
    (answer,) = [one for one in outcome.effects if isinstance(one, ReplyRefused)]
    return answer.error.code


def stopped_scopes(play: Playbook) -> set[Scope]:
    return set(play.house.gate.stops)


def stopped(client: Client) -> CloseConnection:
    """The connection closed, with the time at which its program may be back."""
    return CloseConnection(client.connection_id, EMERGENCY_STOP, return_after_seconds(client.connection_id))


def is_denied(outcome: Outcome, client: Client) -> bool:
    told = [e.frame for e in outcome.effects if getattr(e, "connection_id", "") == client.connection_id]
    return any(isinstance(frame, Error) and frame.code == "EMERGENCY_STOP" for frame in told)
