"""The admin listener: the console of those who work on the edge itself, is it well, and the figures. Loopback
or the management network only."""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Handler

from auth.security_key import RelyingParty
from broker.shell.gateway.admin_door import AdminDoor, DeniedError
from broker.shell.gateway.admin_emergency import EmergencyDesk
from broker.shell.gateway.admin_policy import PolicyDesk
from broker.shell.gateway.admin_security_keys import SecurityKeysDesk
from broker.shell.gateway.admin_sessions import SessionsDesk
from broker.shell.gateway.edge import Edge
from broker.shell.gateway.http import listener_app, refused_answer
from broker.shell.gateway.pages import Pages
from broker.shell.gateway.security_keys import SecurityKeys


def admin_app(edge: Edge, pages: Pages) -> web.Application:
    """Everything the admin listener serves."""
    app = listener_app(edge, "admin", edge.settings.admin.origin)
    app.middlewares.append(_tell_denials)
    name, origin = edge.settings.admin.host_name, edge.settings.admin.origin
    page = RelyingParty(name, origin) if name is not None else None
    keys = SecurityKeys(page, edge.driver, lambda: edge.clock())
    door = AdminDoor(edge, keys)
    own_keys = SecurityKeysDesk(edge, door, keys)
    sessions, policy = SessionsDesk(edge, door), PolicyDesk(edge, door)
    emergency = EmergencyDesk(edge, door)

    app.on_cleanup.append(policy.close)

    async def healthz(_: web.Request) -> web.Response:
        """503 while the record cannot be written: nothing new opens then."""
        well = edge.driver.healthy
        answer = {"ok": well, "record": "written" if well else "unavailable"}
        return web.json_response(answer, status=200 if well else 503)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=edge.metrics.text(), headers={"Content-Type": "text/plain; version=0.0.4"})

    app.router.add_get("/healthz", healthz)
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/api/me", door.me)
    app.router.add_post("/api/sign-in", door.sign_in)
    app.router.add_post("/api/sign-in/challenge", door.challenge)
    app.router.add_post("/api/sign-out", door.sign_out)
    app.router.add_get("/api/security-keys", own_keys.show)
    app.router.add_post("/api/security-keys/begin", own_keys.begin)
    app.router.add_post("/api/security-keys/finish", own_keys.finish)
    app.router.add_post("/api/security-keys/remove", own_keys.remove)
    app.router.add_get("/api/sessions", sessions.show)
    app.router.add_post("/api/sessions/end", sessions.end)
    app.router.add_get("/api/bandwidth", sessions.bandwidth)
    app.router.add_get("/api/alarms", emergency.alarms)
    app.router.add_get("/api/emergency", emergency.show)
    app.router.add_post("/api/emergency/stop", emergency.stop)
    app.router.add_post("/api/emergency/lift", emergency.lift)
    app.router.add_post("/api/emergency/drill", emergency.drill)
    app.router.add_get("/api/policy", policy.show)
    app.router.add_get("/api/policy/history", policy.history)
    app.router.add_post("/api/policy/explain", policy.explain)
    app.router.add_post("/api/policy/check", policy.check)
    app.router.add_post("/api/policy/diff", policy.diff)
    app.router.add_post("/api/policy/replay", policy.replay)
    app.router.add_post("/api/policy/apply", policy.apply)
    app.router.add_post("/api/policy/rollback", policy.roll_back)
    pages.add_routes(app, "admin.html")
    return app


@web.middleware
async def _tell_denials(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except DeniedError as denied:
        return refused_answer(denied.refused)
