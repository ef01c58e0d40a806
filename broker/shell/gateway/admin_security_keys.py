"""The security keys of whoever is signed in: their own, and nobody else's."""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from pydantic import Field

from auth.personal import Personal
from auth.shown_text import ShownTextError, shown_text
from broker.core.admin_events import SecurityKeyMade, SecurityKeyRemovalRequested
from broker.core.commands import RequestId
from broker.core.errors import TEXT_INVALID
from broker.core.security_key import MAX_KEYS_PER_PERSON
from broker.core.stored import SecurityKey
from broker.policy.administration import View
from broker.shell.gateway.admin_door import MAX_KEY_CHARACTERS, AdminDoor
from broker.shell.gateway.edge import Edge, fresh_id
from broker.shell.gateway.http import Body, RefusedError, read_body, refused_answer, source_of
from broker.shell.gateway.security_keys import SecurityKeys


class MadeBody(Body):
    """`key` is the JSON of what `navigator.credentials.create` gave."""

    name: Annotated[str, Field(min_length=1, max_length=64, repr=False)]
    key: Annotated[str, Field(max_length=MAX_KEY_CHARACTERS, repr=False)]


class RemovedBody(Body):
    credential_id: Annotated[str, Field(min_length=1, max_length=344)]


class SecurityKeysDesk:
    """Lists, adds and removes."""

    def __init__(self, edge: Edge, door: AdminDoor, keys: SecurityKeys) -> None:
        self._edge = edge
        self._door = door
        self._keys = keys

    async def show(self, request: web.Request) -> web.Response:
        """The person's, and whether another can be added."""
        insider, _ = await self._door.through(request, View.SECURITY_KEYS)
        keys = self._edge.driver.security_keys_of(insider.party)
        return web.json_response(
            {
                "offered": self._keys.offered,
                "most": MAX_KEYS_PER_PERSON,
                "keys": [
                    {
                        "credential_id": key.credential_id,
                        "name": key.name.reveal(),
                        "enrolled_at": key.enrolled_at_unix_seconds,
                        "used_at": key.used_at_unix_seconds,
                    }
                    for key in keys
                ],
            }
        )

    async def begin(self, request: web.Request) -> web.Response:
        """What a key is to be asked."""
        insider, _ = await self._door.through(request, View.SECURITY_KEYS)
        digest, _, _ = await self._door.known(request)
        return web.json_response({"options": self._keys.to_enrol(digest, insider)})

    async def finish(self, request: web.Request) -> web.Response:
        """The key counts from now on."""
        body = await read_body(request, MadeBody)
        digest, insider, _ = await self._door.known(request)
        try:
            name = shown_text(body.name)
        except ShownTextError:
            raise RefusedError(TEXT_INVALID) from None
        made = self._keys.enrolled(digest, body.key)
        key = SecurityKey(
            made.credential_id,
            insider.party,
            Personal(name),
            made.public_key,
            made.sign_count,
            self._edge.clock().wall_seconds,
        )
        event = SecurityKeyMade(
            RequestId(f"r-{fresh_id()}"), digest, insider, Personal(source_of(request)), key
        )
        refused = await self._edge.ask(event.request_id, event)
        return refused_answer(refused) if refused is not None else web.json_response({})

    async def remove(self, request: web.Request) -> web.Response:
        """The key counts no more."""
        body = await read_body(request, RemovedBody)
        digest, insider, _ = await self._door.known(request)
        event = SecurityKeyRemovalRequested(
            RequestId(f"r-{fresh_id()}"), digest, insider, Personal(source_of(request)), body.credential_id
        )
        refused = await self._edge.ask(event.request_id, event)
        return refused_answer(refused) if refused is not None else web.json_response({})
