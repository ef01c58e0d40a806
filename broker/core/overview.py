"""Overview: what is open now, for those who watch over it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from auth.principal import Guest, Insider, PartyId
from broker.audit.record import JsonValue
from broker.core.call import Call
from broker.core.clock import Now
from broker.core.house import Connection, House, Visit
from broker.policy.decision import Decision
from broker.policy.stop import Scope, ScopeKind, Stop

MAX_ROWS = 1000
"""Shown at once; the rest is counted."""


@dataclass(frozen=True, slots=True)
class LiveParty:
    """Somebody in a session. Names are personal: for the eyes of administrators in their roles."""

    role: str
    party: PartyId
    name: str
    login: str | None
    kind: str
    zone: str | None
    """As the decision that let them in says."""
    transport: str | None = None
    """How they reach the relay: udp, tcp or tls."""

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class LiveSession:
    """A connection, a call or a visit that is open."""

    id: str
    kind: str
    state: str
    external: bool
    parties: tuple[LiveParty, ...]
    decisions: tuple[Decision, ...]
    opened_at_unix_seconds: int | None
    until: int | None

    def to_json(self, now: Now) -> dict[str, Any]:
        opened = self.opened_at_unix_seconds
        return {
            "id": self.id,
            "kind": self.kind,
            "state": self.state,
            "external": self.external,
            "parties": [party.to_json() for party in self.parties],
            "rules": sorted({rule for decision in self.decisions for rule in decision.determining_rules}),
            "decisions": [decision.id for decision in self.decisions],
            "policy_revision": self.decisions[-1].policy_revision if self.decisions else None,
            "age_seconds": None if opened is None else max(0, now.wall_seconds - opened),
            "until": self.until,
        }


def emergency_overview(house: House) -> dict[str, JsonValue]:
    """Stops that are latched, lifts that wait for their approval, and the last rehearsal."""
    return {
        "stops": [_stop(house, stop) for stop in house.gate.stops.values()],
        "drill": None
        if house.drill is None
        else {
            "scope": str(house.drill.scope),
            "at_ms": house.drill.at_ms,
            "would_end": dict(house.drill.would_end),
        },
    }


def _stop(house: House, stop: Stop) -> dict[str, JsonValue]:
    tally = house.tallies.get(stop.scope)
    lift = house.lifts.get(stop.scope)
    said = {
        name: None if text is None else text.reveal()
        for name, text in (("login", stop.login), ("told_by", stop.told_by), ("reason", stop.reason))
    }
    return {
        "scope": str(stop.scope),
        "since_ms": stop.since_ms,
        "how": stop.how,
        "by": stop.by,
        **said,
        "settled": tally.settled if tally is not None else stop.how == "restart",
        "known": _known(house, stop.scope),
        "ended": dict(tally.ended) if tally is not None and tally.settled else None,
        "packets": None if tally is None else tally.packets,
        "last_packet_ms": None if tally is None else tally.last_packet_ms,
        "lift": None
        if lift is None
        else {"by": lift.by.party, "login": lift.by.login.reveal(), "until_ms": lift.until_ms},
    }


def _known(house: House, scope: Scope) -> bool:
    """Whether the policy in force has the zone or peer: otherwise the stop covers nobody."""
    policy = house.gate.policy.loaded.policy
    match scope.kind:
        case ScopeKind.ZONE:
            return any(zone.id == scope.name for zone in policy.zones)
        case ScopeKind.PEER:
            return "." in scope.name or any(peer.id == scope.name for peer in policy.peers)
        case _:
            return True


def live_sessions(house: House) -> tuple[list[LiveSession], int]:
    """Calls first, then visits, then connections; and how many more there are than are shown."""
    found = chain(
        map(_call, house.calls.values()),
        map(_visit, house.visits.values()),
        map(_connection, house.connections.values()),
    )
    total = len(house.calls) + len(house.visits) + len(house.connections)
    return list(islice(found, MAX_ROWS)), max(0, total - MAX_ROWS)


def _call(call: Call) -> LiveSession:
    decisions = (*call.grant.decisions, *call.answer_decisions)
    return LiveSession(
        call.call_id,
        "call",
        call.state.value,
        isinstance(call.caller, Guest) or isinstance(call.callee, Guest),
        tuple(
            _party(role, principal, decisions, call.transports.get(principal.party))
            for role, principal in (("caller", call.caller), ("callee", call.callee))
        ),
        decisions,
        call.opened_at_unix_seconds,
        call.grant.until_unix_seconds,
    )


def _visit(visit: Visit) -> LiveSession:
    state = "admitted" if visit.admitted else "waiting"
    return LiveSession(
        visit.guest.party,
        "visit",
        state,
        True,
        (_party("guest", visit.guest, visit.decisions),),
        visit.decisions,
        visit.opened_at_unix_seconds,
        visit.expires_at_unix_seconds,
    )


def _connection(connection: Connection) -> LiveSession:
    return LiveSession(
        connection.connection_id,
        "connection",
        "open" if connection.program is not None else "new",
        isinstance(connection.principal, Guest),
        (_party("party", connection.principal, connection.decisions),),
        connection.decisions,
        connection.opened_at_unix_seconds,
        None,
    )


def _party(
    role: str, principal: Insider | Guest, decisions: Iterable[Decision], transport: str | None = None
) -> LiveParty:
    sides = [side for d in decisions for side in (d.inputs.actor, d.inputs.counterpart) if side is not None]
    zone = next((side.zone for side in sides if side.party == principal.party and side.zone), None)
    return LiveParty(
        role,
        principal.party,
        principal.name.reveal(),
        principal.login.reveal() if isinstance(principal, Insider) else None,
        "insider" if isinstance(principal, Insider) else "guest",
        zone,
        transport,
    )
