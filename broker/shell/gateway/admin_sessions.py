"""Live sessions, as operators and auditors see them, and the operator's way to end one."""

from __future__ import annotations

from typing import Annotated, Any

from aiohttp import web
from pydantic import Field

from auth.personal import Personal
from broker.core.admin_events import SessionEndRequested
from broker.core.commands import ConnectionId, RequestId
from broker.core.events import MediaCount
from broker.core.overview import LiveSession
from broker.policy.administration import View
from broker.shell.bandwidth_meter import STEP_SECONDS
from broker.shell.gateway.admin_door import AdminDoor
from broker.shell.gateway.edge import Edge, fresh_id
from broker.shell.gateway.http import Body, read_body, refused_answer, source_of
from broker.shell.gateway.socket import SocketOutbox


class SessionEndBody(Body):
    session_id: Annotated[str, Field(min_length=1, max_length=64)]


class SessionsDesk:
    """What is open now, and ending it."""

    def __init__(self, edge: Edge, door: AdminDoor) -> None:
        self._edge = edge
        self._door = door

    async def show(self, request: web.Request) -> web.Response:
        """Every live session, calls first, with what it has carried so far."""
        await self._door.through(request, View.SESSIONS)
        sessions, omitted = self._edge.driver.live_sessions()
        now = self._edge.clock()
        rows = [session.to_json(now) | self._carried(session) for session in sessions]
        return web.json_response({"sessions": rows, "omitted": omitted})

    async def bandwidth(self, request: web.Request) -> web.Response:
        """What is carried, in all and of each zone, for the last hour, and the limits of the policy."""
        await self._door.through(request, View.BANDWIDTH)
        limits = self._edge.driver.policy.loaded.policy.bandwidth
        return web.json_response(
            {
                "series": self._edge.bandwidth.to_json(),
                "step_seconds": STEP_SECONDS,
                "limits": [limit.model_dump(mode="json") for limit in limits],
            }
        )

    async def end(self, request: web.Request) -> web.Response:
        """Ends one, at once."""
        body = await read_body(request, SessionEndBody)
        digest, insider, _ = await self._door.known(request)
        request_id = RequestId(f"r-{fresh_id()}")
        source = Personal(source_of(request))
        event = SessionEndRequested(request_id, digest, insider, source, body.session_id)
        refused = await self._edge.ask(request_id, event)
        return refused_answer(refused) if refused is not None else web.json_response({})

    def _carried(self, session: LiveSession) -> dict[str, Any]:
        if session.kind == "call":
            return _each_way(self._edge.media.counted(session.id))
        outbox = self._edge.effects.outboxes.get(ConnectionId(session.id))
        if isinstance(outbox, SocketOutbox):
            return {
                "bytes": {"a_to_b": outbox.bytes_in, "b_to_a": outbox.bytes_out},
                "packets": {"a_to_b": outbox.frames_in, "b_to_a": outbox.frames_out},
            }
        return {"bytes": None, "packets": None}


def _each_way(count: MediaCount | None) -> dict[str, Any]:
    if count is None:
        return {"bytes": None, "packets": None}
    return {
        "bytes": dict(zip(("a_to_b", "b_to_a"), count.bytes, strict=True)),
        "packets": dict(zip(("a_to_b", "b_to_a"), count.packets, strict=True)),
    }
