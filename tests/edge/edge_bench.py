"""A whole edge in this process, on free loopback ports, and its clients.

`with_house` writes a house, `running_bench` runs it (again and again, if a test wants restarts), `edge_bench`
does both. Clients bind to any address of 127.0.0.0/8 and so come from any source a test likes.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import structlog

from auth.personal import Personal
from auth.principal import Insider, PartyId
from auth.second_factor import STEP_SECONDS, code_at
from auth.throttle import FailureTable
from auth.tokens import token_digest
from broker.client.administration import Credentials
from broker.client.invitations import split_link
from broker.client.tls import Connector
from broker.core.client_frames import InvitationCreate
from broker.core.clock import Now
from broker.core.commands import RequestId
from broker.core.events import SignInProved
from broker.core.frame_codec import SUBPROTOCOL
from broker.shell.facts import insider_of
from broker.shell.gateway.edge import Edge, fresh_id
from broker.shell.gateway.token import fresh_token
from broker.shell.parts import load_parts
from broker.shell.serve import read_clock, running_edge
from broker.shell.source import SourceLimiter, source_prefix
from tests.edge.bench_house import (
    GUEST_NAME,
    LOCAL,
    POLICY,
    SECOND_FACTORS,
    BenchHouse,
    password_of,
    with_house,
)
from tests.edge.bench_wire import WAIT_SECONDS, Answer, Wire


@dataclass
class Bench:
    """A running edge and its clients."""

    house: BenchHouse
    edge: Edge
    shown: ssl.SSLContext
    """What its listeners show."""
    tls: ssl.SSLContext
    """What its clients trust."""
    tasks: asyncio.TaskGroup
    sessions: dict[str, aiohttp.ClientSession] = field(default_factory=dict)

    @property
    def inside(self) -> str:
        return self.house.settings.inside.origin

    @property
    def outside(self) -> str:
        return self.house.settings.outside.origin

    @property
    def admin(self) -> str:
        return self.house.settings.admin.origin

    def session(self, source: str = LOCAL) -> aiohttp.ClientSession:
        """HTTP from one source address; it keeps no cookies."""
        if source not in self.sessions:
            connector = Connector(self.tls, local_addr=(source, 0), limit=0)
            self.sessions[source] = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
            )
        return self.sessions[source]

    async def http(
        self,
        method: str,
        url: str,
        body: object = None,
        *,
        data: bytes | None = None,
        headers: dict[str, str] | None = None,
        source: str = LOCAL,
    ) -> Answer:
        named = dict(headers or {})
        if body is not None:
            data = json.dumps(body).encode()
        if data is not None:
            named.setdefault("Content-Type", "application/json")
        async with (
            asyncio.timeout(WAIT_SECONDS * 2),
            self.session(source).request(
                method, url, data=data, headers=named, allow_redirects=False
            ) as answer,
        ):
            raw = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in answer.raw_headers]
            return Answer(answer.status, await answer.read(), raw)

    async def post_sign_in(self, login: str, password: str, *, source: str = LOCAL, **more: object) -> Answer:
        body = {"login": login, "password": password, "notice_acknowledged": True, **more}
        return await self.http("POST", f"{self.inside}/api/sign-in", body, source=source)

    def new_code(self, login: str) -> str:
        """What the app of an administrator shows, one step of the edge's clock after the last that was asked
        for; nothing for who has none."""
        later_ms = next(self.house.steps) * STEP_SECONDS * 1000

        def clock() -> Now:
            now = read_clock()
            return Now(now.wall_ms + later_ms, now.monotonic_seconds)

        self.edge.clock = clock
        secret = SECOND_FACTORS.get(login)
        return code_at(secret, clock().wall_seconds) if secret is not None else ""

    def credentials(self, login: str, password: str | None = None) -> Credentials:
        """The same for the Python client."""
        given = password_of(login) if password is None else password
        return Credentials(login, given, self.new_code(login))

    async def post_admin_sign_in(
        self, login: str, role: str, password: str | None = None, code: str | None = None, **more: object
    ) -> Answer:
        """With the person's own password and a code that is new, unless others are given."""
        given = {
            "login": login,
            "password": password_of(login) if password is None else password,
            "code": self.new_code(login) if code is None else code,
        }
        body = {**given, "role": role, "notice_acknowledged": True, **more}
        return await self.http("POST", f"{self.admin}/api/sign-in", body)

    async def redeem(self, secret: str, *, source: str = LOCAL, **more: object) -> Answer:
        body = {"invitation": secret, "name": GUEST_NAME, "notice_acknowledged": True, **more}
        return await self.http("POST", f"{self.outside}/api/redeem", body, source=source)

    async def token_of(self, login: str, source: str = LOCAL) -> str:
        """A sign-in's token without the cost of a password: the core decides and records as always."""
        entry = next(e for e in await self.edge.directory.list_entries(100) if e.login.reveal() == login)
        token, request_id = fresh_token(), RequestId(f"r-{fresh_id()}")
        prefix = Personal(source_prefix(source))
        event = SignInProved(request_id, insider_of(entry), Personal(source), token_digest(token), prefix)
        assert await self.edge.ask(request_id, event) is None
        return token

    @asynccontextmanager
    async def wire(
        self,
        origin: str,
        token: str | None,
        *,
        source: str = LOCAL,
        headers: dict[str, str] | None = None,
        hello: bool = True,
        protocols: tuple[str, ...] = (SUBPROTOCOL,),
    ) -> AsyncIterator[Wire]:
        """A raw client. Without a token only the given headers name it."""
        named = ({"Authorization": f"Bearer {token}"} if token is not None else {}) | (headers or {})
        socket = await self.session(source).ws_connect(
            f"{origin}/ws", headers=named, protocols=protocols, timeout=aiohttp.ClientWSTimeout(ws_close=1.0)
        )
        wire = Wire(socket)
        wire.token = token or ""
        self.tasks.create_task(wire._read())
        try:
            if hello:
                await wire.hello()
            yield wire
        finally:
            await socket.close()

    @asynccontextmanager
    async def insider(self, login: str, source: str = LOCAL) -> AsyncIterator[Wire]:
        async with self.wire(self.inside, await self.token_of(login, source), source=source) as wire:
            yield wire

    async def invitation(self, host: Wire, redemptions: int = 1) -> str:
        """The secret of a fresh invitation."""
        ref = fresh_id()
        asked = {"guest_name": GUEST_NAME, "purpose": "A talk", "redemptions": redemptions}
        await host.send(InvitationCreate.model_validate({"ref": ref, **asked}))
        created = await host.until("invitation.created", ref=ref)
        return split_link(created["link"])[1]

    async def guest_token(self, host: Wire, source: str = LOCAL) -> str:
        answer = await self.redeem(await self.invitation(host), source=source, bearer=True)
        assert answer.status == 200, answer
        return str(answer.json["token"])

    @asynccontextmanager
    async def guest(self, host: Wire, source: str = LOCAL, *, admitted: bool = True) -> AsyncIterator[Wire]:
        token = await self.guest_token(host, source)
        async with self.wire(self.outside, token, source=source) as wire:
            if admitted:
                await host.send(json.dumps({"type": "lobby.admit", "guest": wire.you}))
                await wire.until("lobby.admitted")
            yield wire

    async def person(self, login: str) -> Insider:
        entries = await self.edge.directory.list_entries(100)
        return next(insider_of(entry) for entry in entries if entry.login.reveal() == login)

    async def party(self, login: str) -> PartyId:
        return (await self.person(login)).party

    async def settled(self, *wires: Wire) -> None:
        """Everything these clients sent was handled, what it caused is on record or has failed, and has
        arrived."""
        for wire in wires:
            await wire.heard()
        assert await self.edge.driver.drained(WAIT_SECONDS)
        for wire in wires:
            await wire.heard()

    def records(self, *types: str) -> list[dict[str, Any]]:
        """The record so far, as anybody who may read the database sees it."""
        with sqlite3.connect(self.house.database) as database:
            rows = database.execute("SELECT type, body FROM records ORDER BY seq").fetchall()
        return [json.loads(body) for kind, body in rows if not types or kind in types]

    async def recorded(self, kind: str, count: int = 1) -> list[dict[str, Any]]:
        """The records of one type, once there are that many: what closes is entered soon, not at once."""
        await until(lambda: len(self.records(kind)) >= count)
        return self.records(kind)


async def until(condition: Callable[[], bool]) -> None:
    """Waits for what another thread or the other end of a socket brings about."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0.005)


@asynccontextmanager
async def running_bench(house: BenchHouse, *, rates: bool = False) -> AsyncIterator[Bench]:
    """Run the house's edge; `rates` keeps the bounds on requests and on guesses per source, which most tests
    would trip over.

    What a test raises comes out as it is, not wrapped in the groups of the edge's tasks.
    """
    raised: Exception | None = None
    if not structlog.is_configured():
        structlog.configure(
            processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        )
    async with AsyncExitStack() as stack:
        parts = load_parts(house.settings)
        edge = await stack.enter_async_context(running_edge(house.settings, parts))
        assert await edge.driver.drained(WAIT_SECONDS)
        if not rates:
            edge.limiter = SourceLimiter(1e9, 1e9, max_rows=64)
            edge.guesses = FailureTable(10**9, 300.0, max_entries=64)
        tls = ssl.create_default_context(cafile=str(house.ca_file))
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        bench = Bench(house, edge, parts.tls, tls, tasks)
        try:
            yield bench
        except Exception as error:
            raised = error
        finally:
            for session in bench.sessions.values():
                await session.close()
    if raised is not None:
        raise raised


@asynccontextmanager
async def edge_bench(
    folder: Path, *, rates: bool = False, policy: str = POLICY, **gateway: float
) -> AsyncIterator[Bench]:
    """A fresh house and its edge."""
    async with running_bench(with_house(folder, policy=policy, **gateway), rates=rates) as bench:
        yield bench
