"""The red button: stopping communication, rehearsing that, and lifting a stop, two people together."""

from __future__ import annotations

from typing import Annotated, Literal

from aiohttp import web
from pydantic import Field

from auth.personal import Personal
from broker.core.commands import RequestId
from broker.core.errors import SCOPE_INVALID
from broker.core.events import EmergencyRequested
from broker.policy.administration import View
from broker.policy.stop import Scope, ScopeError, ScopeKind, parse_scope
from broker.shell.gateway.admin_door import AdminDoor
from broker.shell.gateway.edge import Edge, fresh_id
from broker.shell.gateway.http import Body, RefusedError, read_body, refused_answer, source_of


class ScopeBody(Body):
    scope: Annotated[str, Field(min_length=1, max_length=80)]


class StopBody(ScopeBody):
    reason: Annotated[str, Field(max_length=500)] = ""


class EmergencyDesk:
    """What is stopped now, and the button."""

    def __init__(self, edge: Edge, door: AdminDoor) -> None:
        self._edge = edge
        self._door = door

    async def show(self, request: web.Request) -> web.Response:
        """Stops, lifts that wait, the last rehearsal, and what could be stopped."""
        await self._door.through(request, View.EMERGENCY)
        policy = self._edge.driver.policy.loaded.policy
        names = {"zones": [z.id for z in policy.zones], "peers": [p.id for p in policy.peers]}
        return web.json_response(self._edge.driver.emergency() | names)

    async def alarms(self, request: web.Request) -> web.Response:
        """What needs a person now."""
        await self._door.through(request, View.ALARMS)
        return web.json_response({"alarms": self._edge.driver.alarms()})

    async def stop(self, request: web.Request) -> web.Response:
        """Stops at once, also while the directory does not answer: whoever is signed in is known."""
        body = await read_body(request, StopBody)
        return await self._asked(request, "stop", self._scope(body), body.reason)

    async def lift(self, request: web.Request) -> web.Response:
        """Asks for a lift, or approves another's."""
        return await self._asked(request, "lift", _parsed(await read_body(request, ScopeBody)))

    async def drill(self, request: web.Request) -> web.Response:
        """Rehearses."""
        return await self._asked(request, "drill", self._scope(await read_body(request, ScopeBody)))

    async def _asked(
        self, request: web.Request, what: Literal["stop", "lift", "drill"], scope: Scope, reason: str = ""
    ) -> web.Response:
        digest, insider, _ = await self._door.known(request, as_last_known=what == "stop")
        asked = self._edge.driver.lift_asked_by(scope) if what == "lift" else None
        requester = await self._door.person(*asked) if asked is not None else None
        event = EmergencyRequested(
            RequestId(f"r-{fresh_id()}"),
            digest,
            insider,
            Personal(source_of(request)),
            what,
            scope,
            Personal(reason) if reason else None,
            requester,
        )
        refused = await self._edge.ask(event.request_id, event)
        if refused is not None:
            return refused_answer(refused)
        return web.json_response(self._edge.driver.emergency())

    def _scope(self, body: ScopeBody) -> Scope:
        """One that covers somebody: a name that the policy does not have would stop nothing."""
        scope = _parsed(body)
        policy = self._edge.driver.policy.loaded.policy
        unknown = (scope.kind is ScopeKind.ZONE and all(zone.id != scope.name for zone in policy.zones)) or (
            scope.kind is ScopeKind.PEER
            and "." not in scope.name
            and all(peer.id != scope.name for peer in policy.peers)
        )
        if unknown:
            raise RefusedError(SCOPE_INVALID)
        return scope


def _parsed(body: ScopeBody) -> Scope:
    try:
        return parse_scope(body.scope)
    except ScopeError:
        raise RefusedError(SCOPE_INVALID) from None
